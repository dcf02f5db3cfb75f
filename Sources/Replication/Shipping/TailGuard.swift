import BackupLogic
import BackupTypes
import SystemIO

/// Notices that a file which should only grow was changed below the part that was read: it compares the
/// last bytes read before it reads on. If these bytes are the same at the same place, a reader sees no
/// change either.
struct TailGuard {
  private static let bytesMax: UInt64 = 64
  private var tails: [PinID: (end: UInt64, bytes: [UInt8])] = [:]

  func isKnown(_ pin: PinID) -> Bool { tails[pin] != nil }

  func isUnchanged(_ file: OpenFile, _ pin: PinID, at offset: UInt64) throws -> Bool {
    // Only a read that continues where the last one ended can be checked. A rescan starts lower.
    guard let tail = tails[pin], tail.end == offset, try file.status().size >= offset else {
      return true
    }
    return try file.bytes(from: offset - UInt64(tail.bytes.count), to: offset) == tail.bytes
  }

  mutating func remember(_ file: OpenFile, _ pin: PinID, upTo end: UInt64) throws {
    guard end > 0, try file.status().size >= end else { return }
    tails[pin] = (end, try file.bytes(from: end - min(end, TailGuard.bytesMax), to: end))
  }

  mutating func forget(except pins: Set<PinID>) {
    tails = tails.filter { pins.contains($0.key) }
  }
}
