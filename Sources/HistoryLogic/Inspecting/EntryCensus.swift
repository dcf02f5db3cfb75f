package import RedisFormats

/// The entries of a full copy, for the search of the log after it: how many the largest keys have and, for
/// a small copy, which they are.
package struct EntryCensus: Sendable {
  /// The maximum number of keys that are known individually.
  static let keysMax = 4096
  /// In a copy with more fields and members than this, they are not known individually.
  static let elementsMax = 1 << 16

  struct Key: Sendable {
    var database: Int
    var hash: UInt64
  }

  private var greatest = Greatest<Key>(countMax: EntryCensus.keysMax)
  /// By database. Nil if there were too many, or if one could not be determined.
  private(set) var elements: [Int: Set<UInt64>]? = [:]
  private var count = 0
  private var key: UInt64 = 0
  private var database = 0

  var keys: [(count: UInt64, key: Key)] { greatest.sorted.map { ($0.weight, $0.value) } }

  package init() {}

  /// Whether its content is needed.
  package mutating func begin(_ name: [UInt8], database: Int, type: String) -> Bool {
    key = EntryHash.of(name)
    self.database = database
    return elements != nil && type != "string"
  }

  package mutating func take(element: [UInt8]?) {
    guard let element, count < EntryCensus.elementsMax else { return elements = nil }
    count += 1
    elements?[database, default: []].insert(EntryHash.of(element, in: key))
  }

  package mutating func take(unnamed: UInt64) { elements = nil }

  package mutating func end(_ facts: RDBKeyFacts) {
    // No command of the log will be matched with it.
    guard facts.name.count <= KeySampling.nameBytesMax else { return }
    greatest.offer(max(1, facts.elements), Key(database: database, hash: key))
  }
}

/// FNV-1a is enough: it only has to find equal names again, and nothing is kept after a search.
enum EntryHash {
  private static let prime: UInt64 = 0x100_0000_01b3

  static func of(_ key: [UInt8]) -> UInt64 { absorb(key, 0xcbf2_9ce4_8422_2325) }

  /// - Parameter age: how often the key was removed, so that its earlier content no longer counts.
  static func of(_ element: [UInt8], in key: UInt64, age: UInt32 = 0) -> UInt64 {
    absorb(element, (key ^ UInt64(age) &* 0x9e37_79b9_7f4a_7c15) &* prime)
  }

  private static func absorb(_ bytes: [UInt8], _ start: UInt64) -> UInt64 {
    var value = start
    for byte in bytes { value = (value ^ UInt64(byte)) &* prime }
    return value
  }
}
