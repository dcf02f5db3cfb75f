/// Searches for the end of an RDB with unknown records: FF and the CRC of everything up to it. This does not
/// depend on the records, so truncation or damage after an unknown record is detected, too, and commands may
/// follow.
struct UnknownEnd: Sendable {
  /// The offset after the checksum, once it was found.
  private(set) var found: UInt64?
  /// Whether there were FF and eight zero bytes, which looks like an end without a checksum.
  private(set) var mayBeUnchecked = false
  private var crc: CRC64
  private var offset: UInt64
  /// The last eight bytes. The oldest one is the least significant.
  private var recent: UInt64 = .max
  /// For each of the last sixteen bytes, the CRC up to and including it if it was FF; otherwise nil.
  private var sums = [UInt64?](repeating: nil, count: 16)

  /// - Parameter crc: the CRC of everything before `offset`.
  init(crc: CRC64, at offset: UInt64) { (self.crc, self.offset) = (crc, offset) }

  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    guard found == nil else { return }
    for index in 0..<bytes.count {
      crc.update(UnsafeRawBufferPointer(rebasing: bytes[index...index]))
      recent = recent >> 8 | UInt64(bytes[index]) << 56
      sums[Int(offset & 15)] = bytes[index] == 0xff ? crc.value : nil
      offset &+= 1
      guard let sum = sums[Int((offset &- 9) & 15)] else { continue }
      if recent == 0 { mayBeUnchecked = true }
      if recent == sum, sum != 0 {
        found = offset
        return
      }
    }
  }
}
