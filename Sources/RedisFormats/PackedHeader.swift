/// What the first bytes of a packed string (ziplist, listpack, intset, zipmap) say about it.
struct PackedHeader: Sendable, Equatable {
  enum Kind: Sendable { case ziplist, listpack, intset, zipmap }
  /// The maximum number of header bytes needed.
  static let byteCount = 12

  /// Entries, a lower bound when the header can't count them (65 535 and more; zipmap: 254).
  var entries: UInt64
  /// The size in the header; nil if the header has none.
  var totalBytes: UInt64?

  /// Nil if `head` is too short for that kind.
  init?(_ kind: Kind, head: [UInt8]) {
    switch kind {
    case .ziplist:
      // u32 bytes, u32 offset of the last entry, u16 entries; an end byte.
      guard head.count >= 11 else { return nil }
      totalBytes = littleEndian(head, 0, 4)
      entries = littleEndian(head, 8, 2)
    case .listpack:
      // u32 bytes, u16 entries; an end byte.
      guard head.count >= 7 else { return nil }
      totalBytes = littleEndian(head, 0, 4)
      entries = littleEndian(head, 4, 2)
    case .intset:
      // u32 width of an integer (2, 4 or 8), u32 integers.
      guard head.count >= 8 else { return nil }
      let width = littleEndian(head, 0, 4)
      guard width == 2 || width == 4 || width == 8 else { return nil }
      entries = littleEndian(head, 4, 4)
      totalBytes = 8 + entries * width
    case .zipmap:
      // u8 pairs, 254 when more than 253; an end byte.
      guard head.count >= 2 else { return nil }
      entries = UInt64(head[0])
      totalBytes = nil
    }
  }
}

private func littleEndian(_ bytes: [UInt8], _ start: Int, _ count: Int) -> UInt64 {
  var value: UInt64 = 0
  for index in 0..<count { value |= UInt64(bytes[start + index]) << UInt64(8 * index) }
  return value
}
