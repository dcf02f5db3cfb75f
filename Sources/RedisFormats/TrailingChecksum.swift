/// The CRC-64 of a growing run of bytes, and of the same run without its last eight bytes, so that
/// a file whose structure can't be walked can still be held against its own trailer.
struct TrailingChecksum: Sendable {
  /// Over everything but the tail.
  private var crc = CRC64()
  /// The last bytes, at most eight; the oldest is the least significant byte.
  private var tail: UInt64 = 0
  private var tailCount = 0

  mutating func absorb(_ bytes: UnsafeRawBufferPointer) {
    var release = max(0, tailCount &+ bytes.count &- 8)
    let fromTail = min(release, tailCount)
    if fromTail > 0 {
      withUnsafeBytes(of: tail.littleEndian) {
        crc.update(UnsafeRawBufferPointer(rebasing: $0.prefix(fromTail)))
      }
      tail = fromTail == 8 ? 0 : tail >> UInt64(8 * fromTail)
      tailCount &-= fromTail
    }
    release &-= fromTail
    crc.update(UnsafeRawBufferPointer(rebasing: bytes.prefix(release)))
    for byte in bytes.dropFirst(release) {
      tail |= UInt64(byte) << UInt64(8 * tailCount)
      tailCount &+= 1
    }
  }

  /// The CRC of all bytes.
  var ofAll: UInt64 {
    var copy = crc
    withUnsafeBytes(of: tail.littleEndian) {
      copy.update(UnsafeRawBufferPointer(rebasing: $0.prefix(tailCount)))
    }
    return copy.value
  }

  /// What the last eight bytes say about all before them; `pending` when there are fewer.
  var verdict: RDBSummary.Checksum {
    guard tailCount == 8 else { return .pending }
    if tail == 0 { return .none }
    return tail == crc.value ? .matches : .differs
  }
}
