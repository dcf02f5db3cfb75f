/// RDB's length encoding (Redis's `rdb.h` and `rdbLoadLenByRef`).
struct RDBLength {
  /// The length, or the number of a special string encoding.
  var value: UInt64
  /// Encoded bytes; 0 for an invalid encoding.
  var size: Int
  var isSpecial = false

  /// Nil if more bytes are needed.
  @inline(__always)
  static func read(_ bytes: UnsafeRawBufferPointer, at start: Int = 0) -> RDBLength? {
    guard start < bytes.count else { return nil }
    let first = bytes[start]
    let left = bytes.count &- start
    switch first >> 6 {
    case 0:
      return RDBLength(value: UInt64(first & 0x3f), size: 1)
    case 1:
      guard left >= 2 else { return nil }
      return RDBLength(value: UInt64(first & 0x3f) << 8 | UInt64(bytes[start &+ 1]), size: 2)
    case 2:
      if first == 0x80 {
        guard left >= 5 else { return nil }
        let value = bytes.loadUnaligned(fromByteOffset: start &+ 1, as: UInt32.self)
        return RDBLength(value: UInt64(UInt32(bigEndian: value)), size: 5)
      }
      if first == 0x81 {
        guard left >= 9 else { return nil }
        let value = bytes.loadUnaligned(fromByteOffset: start &+ 1, as: UInt64.self)
        return RDBLength(value: UInt64(bigEndian: value), size: 9)
      }
      return RDBLength(value: 0, size: 0)
    default:
      return RDBLength(value: UInt64(first & 0x3f), size: 1, isSpecial: true)
    }
  }
}
