/// Looks for the end of an RDB whose records are not all known: FF, and the CRC of everything up to it. Records
/// decide nothing here, so a file that was cut or changed is recognised behind an unknown one, too, and commands
/// may follow.
struct UnknownEnd: Sendable {
  /// The offset behind the checksum, once it was found.
  private(set) var found: UInt64?
  /// FF and eight zero bytes were met: an end without a checksum looks like this.
  private(set) var mayBeUnchecked = false
  private var crc: CRC64
  private var offset: UInt64
  /// The last eight bytes; the oldest is the least significant.
  private var recent: UInt64 = .max
  /// The CRC up to and with each of the last sixteen bytes, if it was FF; nil for another.
  private var sums = [UInt64?](repeating: nil, count: 16)

  /// - Parameter crc: of everything before `offset`.
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
