import BackupLogic
import BackupTypes
import SystemIO

/// Notices that a file which should only grow was changed below what was read of it: the last bytes
/// read are compared before reading on. A change without that (same bytes at the same place) is no
/// change to a reader either.
struct TailGuard {
  private static let bytesMax: UInt64 = 64
  private var tails: [PinID: (end: UInt64, bytes: [UInt8])] = [:]

  func isKnown(_ pin: PinID) -> Bool { tails[pin] != nil }

  func isUnchanged(_ file: OpenFile, _ pin: PinID, at offset: UInt64) throws -> Bool {
    // Only a read that goes on where the last one ended can be checked; a rescan starts lower.
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
