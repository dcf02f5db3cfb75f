/// The entries of a packed string as text: integers in decimal (Redis's `listpack.c`, `ziplist.c`,
/// `intset.c`). Nil for bytes that are not a packed string.
enum PackedList {
  static func listpack(_ bytes: [UInt8]) -> [[UInt8]]? {
    guard bytes.count >= 7 else { return nil }
    var entries: [[UInt8]] = []
    var index = 6
    func part(_ start: Int, _ count: Int) -> ArraySlice<UInt8>? {
      count >= 0 && start + count < bytes.count ? bytes[start..<start + count] : nil
    }
    while index < bytes.count, bytes[index] != 0xff {
      let first = bytes[index]
      var header = 1
      var body = 0
      var number: Int64?
      switch first {
      case 0x00...0x7f: number = Int64(first)
      case 0x80...0xbf: body = Int(first & 0x3f)
      case 0xc0...0xdf:
        guard let low = part(index + 1, 1)?.first else { return nil }
        let value = Int64(first & 0x1f) << 8 | Int64(low)
        number = value >= 1 << 12 ? value - (1 << 13) : value
        header = 2
      case 0xe0...0xef:
        guard let low = part(index + 1, 1)?.first else { return nil }
        header = 2
        body = Int(first & 0x0f) << 8 | Int(low)
      case 0xf0:
        guard let size = part(index + 1, 4) else { return nil }
        header = 5
        body = Int(UInt32(truncatingIfNeeded: littleEndianInteger(size)))
      case 0xf1...0xf4:
        let width = [2, 3, 4, 8][Int(first - 0xf1)]
        guard let value = part(index + 1, width) else { return nil }
        number = littleEndianInteger(value)
        header = 1 + width
      default: return nil
      }
      if let number {
        entries.append(Array(String(number).utf8))
      } else {
        guard let text = part(index + header, body) else { return nil }
        entries.append(Array(text))
      }
      index += header + body + FieldExpiries.backLengthSize(header + body)
    }
    return index == bytes.count - 1 ? entries : nil
  }

  static func ziplist(_ bytes: [UInt8]) -> [[UInt8]]? {
    guard bytes.count >= 11 else { return nil }
    var entries: [[UInt8]] = []
    var index = 10
    func part(_ start: Int, _ count: Int) -> ArraySlice<UInt8>? {
      count >= 0 && start + count < bytes.count ? bytes[start..<start + count] : nil
    }
    while index < bytes.count, bytes[index] != 0xff {
      index += bytes[index] < 254 ? 1 : 5  // the size of the entry before
      guard let first = part(index, 1)?.first else { return nil }
      var header = 1
      var body = 0
      var width = 0
      switch first {
      case 0x00...0x3f: body = Int(first)
      case 0x40...0x7f:
        guard let low = part(index + 1, 1)?.first else { return nil }
        header = 2
        body = Int(first & 0x3f) << 8 | Int(low)
      case 0x80:
        guard let size = part(index + 1, 4) else { return nil }
        header = 5
        body = size.reduce(0) { $0 << 8 | Int($1) }
      case 0xc0: width = 2
      case 0xd0: width = 4
      case 0xe0: width = 8
      case 0xf0: width = 3
      case 0xfe: width = 1
      case 0xf1...0xfd:
        entries.append(Array(String(Int(first & 0x0f) - 1).utf8))
        index += 1
        continue
      default: return nil
      }
      guard let content = part(index + header, width > 0 ? width : body) else { return nil }
      entries.append(
        width > 0 ? Array(String(littleEndianInteger(content)).utf8) : Array(content))
      index += header + content.count
    }
    return index == bytes.count - 1 ? entries : nil
  }

  static func intset(_ bytes: [UInt8]) -> [[UInt8]]? {
    guard bytes.count >= 8 else { return nil }
    let width = Int(littleEndianInteger(bytes[0..<4]))
    let count = Int(UInt32(truncatingIfNeeded: littleEndianInteger(bytes[4..<8])))
    guard [2, 4, 8].contains(width), bytes.count == 8 + width * count else { return nil }
    return stride(from: 8, to: bytes.count, by: width).map {
      Array(String(littleEndianInteger(bytes[$0..<$0 + width])).utf8)
    }
  }
}
