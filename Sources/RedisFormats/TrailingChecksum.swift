/// The CRC-64 of the bytes so far, and of the same bytes without the last eight. So a file whose structure
/// can't be walked can still be compared with its own trailer.
struct TrailingChecksum: Sendable {
  /// The CRC of everything except the tail.
  private var crc = CRC64()
  /// The last bytes, at most eight. The oldest one is the least significant.
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

  /// Whether the last eight bytes match the bytes before them; `pending` if there are fewer.
  var verdict: RDBSummary.Checksum {
    guard tailCount == 8 else { return .pending }
    if tail == 0 { return .none }
    return tail == crc.value ? .matches : .differs
  }
}
