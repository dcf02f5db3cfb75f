/// Counts the fields with a time to live in a hash that is packed as a listpack of triples: field, value,
/// expiry. The integer 0 means no expiry (Redis 7.4's HASH_LISTPACK_EX).
enum FieldExpiries {
  /// How many bytes of such a hash are read. With the default limits (512 fields of 64 bytes), a hash has
  /// about 75 KiB. For a longer one, the count is a lower bound.
  static let byteCountMax = 1 << 18

  /// `listpack` may be truncated.
  static func count(_ listpack: [UInt8]) -> UInt64 {
    var result: UInt64 = 0
    var index = 6
    var entry = 0
    while index < listpack.count, listpack[index] != 0xff {
      // A server always uses the 7-bit encoding for 0.
      if entry == 2, listpack[index] != 0 { result += 1 }
      guard let size = size(listpack, at: index) else { break }
      index += size + backLengthSize(size)
      entry = (entry + 1) % 3
    }
    return result
  }

  /// The size of the entry at `index`: encoding and content.
  private static func size(_ bytes: [UInt8], at index: Int) -> Int? {
    func byte(_ offset: Int) -> Int? {
      index + offset < bytes.count ? Int(bytes[index + offset]) : nil
    }
    let first = bytes[index]
    switch first {
    case 0x00...0x7f: return 1
    case 0x80...0xbf: return 1 + Int(first & 0x3f)
    case 0xc0...0xdf: return 2
    case 0xe0...0xef: return byte(1).map { 2 + (Int(first & 0x0f) << 8 | $0) }
    case 0xf0:
      guard let a = byte(1), let b = byte(2), let c = byte(3), let d = byte(4) else { return nil }
      return 5 + (a | b << 8 | c << 16 | d << 24)
    case 0xf1: return 3
    case 0xf2: return 4
    case 0xf3: return 5
    case 0xf4: return 9
    default: return nil
    }
  }

  /// The size of the length after every entry, which is for walking backwards.
  static func backLengthSize(_ size: Int) -> Int {
    switch size {
    case ...127: 1
    case ..<16_383: 2
    case ..<2_097_151: 3
    case ..<268_435_455: 4
    default: 5
    }
  }
}
