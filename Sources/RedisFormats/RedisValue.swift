/// The value of a key, as commands return it.
package enum RedisValue: Sendable, Equatable {
  case string([UInt8])
  case list([[UInt8]])
  case set(Set<[UInt8]>)
  case sortedSet([[UInt8]: Double])
  case hash([[UInt8]: [UInt8]])

  /// The size of the content in bytes.
  package var byteCount: Int {
    switch self {
    case .string(let bytes): bytes.count
    case .list(let items): items.reduce(0) { $0 + $1.count }
    case .set(let members): members.reduce(0) { $0 + $1.count }
    case .sortedSet(let members): members.reduce(0) { $0 + $1.key.count + 8 }
    case .hash(let fields): fields.reduce(0) { $0 + $1.key.count + $1.value.count }
    }
  }

  /// The name of the type, as in TYPE and in an RDB's summary.
  package var typeName: String {
    switch self {
    case .string: "string"
    case .list: "list"
    case .set: "set"
    case .sortedSet: "zset"
    case .hash: "hash"
    }
  }
}

/// Reads the bytes of one value in an RDB. Safe for any input. Nil if the value is malformed or of a kind
/// that it does not read: streams, modules, and hashes with field expiries.
package struct RDBValueReader {
  /// A limit, because a packed string may announce a much larger size than it has.
  private static let stringBytesMax = 64 << 20
  private let bytes: [UInt8]
  private var position = 0

  package static func read(_ bytes: [UInt8], type: UInt8) -> RedisValue? {
    var reader = RDBValueReader(bytes)
    guard let value = reader.value(type), reader.position == bytes.count else { return nil }
    return value
  }

  private init(_ bytes: [UInt8]) { self.bytes = bytes }

  private mutating func value(_ type: UInt8) -> RedisValue? {
    switch type {
    case 0: return string().map { .string($0) }
    case 1: return strings().map { .list($0) }
    case 2: return strings().map { .set(Set($0)) }
    case 3, 5: return scores(isText: type == 3)
    case 4: return strings(perElement: 2).flatMap(RDBValueReader.hash)
    case 10: return string().flatMap { PackedList.ziplist($0) }.map { .list($0) }
    case 11: return string().flatMap { PackedList.intset($0) }.map { .set(Set($0)) }
    case 12: return string().flatMap { PackedList.ziplist($0) }.flatMap(RDBValueReader.sortedSet)
    case 13: return string().flatMap { PackedList.ziplist($0) }.flatMap(RDBValueReader.hash)
    case 14: return nodes(areTagged: false)
    case 16: return string().flatMap { PackedList.listpack($0) }.flatMap(RDBValueReader.hash)
    case 17: return string().flatMap { PackedList.listpack($0) }.flatMap(RDBValueReader.sortedSet)
    case 18: return nodes(areTagged: true)
    case 20: return string().flatMap { PackedList.listpack($0) }.map { .set(Set($0)) }
    default: return nil
    }
  }

  private static func hash(_ entries: [[UInt8]]) -> RedisValue? {
    guard entries.count % 2 == 0 else { return nil }
    var fields: [[UInt8]: [UInt8]] = [:]
    for index in stride(from: 0, to: entries.count, by: 2) {
      fields[entries[index]] = entries[index + 1]
    }
    return .hash(fields)
  }

  private static func sortedSet(_ entries: [[UInt8]]) -> RedisValue? {
    guard entries.count % 2 == 0 else { return nil }
    var members: [[UInt8]: Double] = [:]
    for index in stride(from: 0, to: entries.count, by: 2) {
      guard let score = Double(String(decoding: entries[index + 1], as: UTF8.self)) else {
        return nil
      }
      members[entries[index]] = score
    }
    return .sortedSet(members)
  }

  // MARK: Parts

  private mutating func length() -> RDBLength? {
    let found = bytes.withUnsafeBytes { RDBLength.read($0, at: position) }
    guard let found, found.size > 0 else { return nil }
    return found
  }

  private mutating func count() -> UInt64? {
    guard let length = length() else { return nil }
    position += length.size
    return length.value
  }

  private mutating func take(_ count: UInt64) -> [UInt8]? {
    guard count <= UInt64(bytes.count - position) else { return nil }
    defer { position += Int(count) }
    return Array(bytes[position..<position + Int(count)])
  }

  private mutating func string() -> [UInt8]? {
    guard let length = length() else { return nil }
    position += length.size
    guard length.isSpecial else { return take(length.value) }
    switch length.value {
    case 0, 1, 2:
      return take(1 << length.value).map { Array(String(littleEndianInteger($0[...])).utf8) }
    case 3:
      guard let packed = count(), let plain = count(), plain <= RDBValueReader.stringBytesMax,
        let body = take(packed)
      else { return nil }
      return LZFDecoder.decode(body, size: Int(plain))
    default: return nil
    }
  }

  private mutating func strings(perElement: UInt64 = 1) -> [[UInt8]]? {
    guard let count = count() else { return nil }
    var found: [[UInt8]] = []
    for _ in 0..<(count &* perElement) {
      // Each takes at least one byte, so a wrong count ends soon.
      guard let next = string() else { return nil }
      found.append(next)
    }
    return found
  }

  private mutating func scores(isText: Bool) -> RedisValue? {
    guard let count = count() else { return nil }
    var members: [[UInt8]: Double] = [:]
    for _ in 0..<count {
      guard let member = string(), let score = isText ? oldScore() : binaryScore() else {
        return nil
      }
      members[member] = score
    }
    return .sortedSet(members)
  }

  private mutating func binaryScore() -> Double? {
    take(8).map { bytes in
      Double(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) })
    }
  }

  /// 253 is NaN, 254 and 255 are the infinities. Any other value is the number of ASCII bytes that follow.
  private mutating func oldScore() -> Double? {
    guard let size = take(1)?[0] else { return nil }
    switch size {
    case 253: return .nan
    case 254: return .infinity
    case 255: return -.infinity
    default: return take(UInt64(size)).flatMap { Double(String(decoding: $0, as: UTF8.self)) }
    }
  }

  /// A quicklist. Its nodes are packed lists or, with a tag for that, single items.
  private mutating func nodes(areTagged: Bool) -> RedisValue? {
    guard let count = count() else { return nil }
    var items: [[UInt8]] = []
    for _ in 0..<count {
      let container = areTagged ? self.count() : 2
      guard let container, let body = string() else { return nil }
      if areTagged, container == 1 {
        items.append(body)
      } else {
        guard let part = areTagged ? PackedList.listpack(body) : PackedList.ziplist(body) else {
          return nil
        }
        items += part
      }
    }
    return .list(items)
  }
}

func littleEndianInteger(_ bytes: ArraySlice<UInt8>) -> Int64 {
  let value = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
  let shift = UInt64(64 - 8 * bytes.count)
  return shift == 0 ? Int64(bitPattern: value) : Int64(bitPattern: value << shift) >> shift
}
