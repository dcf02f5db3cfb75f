import BackupFormat
import BackupTypes
import SystemIO
import WriterLogic

/// Notices if a file that should only grow was changed in the part that was read already. Before it reads
/// further, it compares the last bytes that were read with those that are there now.
struct TailGuard {
  private static let bytesMax: UInt64 = 64
  private var tails: [PinID: (end: UInt64, bytes: [UInt8])] = [:]

  func isKnown(_ pin: PinID) -> Bool { tails[pin] != nil }

  func isUnchanged(_ file: any SourceFile, _ pin: PinID, at offset: UInt64) async throws -> Bool {
    // Only a read that continues where the last one ended can be checked. A rescan starts lower.
    guard let tail = tails[pin], tail.end == offset, try await file.version().size >= offset else {
      return true
    }
    return try await file.whole(from: offset - UInt64(tail.bytes.count), to: offset) == tail.bytes
  }

  mutating func remember(_ file: any SourceFile, _ pin: PinID, upTo end: UInt64) async throws {
    guard end > 0, try await file.version().size >= end else { return }
    tails[pin] = (end, try await file.whole(from: end - min(end, TailGuard.bytesMax), to: end))
  }

  mutating func forget(except pins: Set<PinID>) {
    tails = tails.filter { pins.contains($0.key) }
  }
}
