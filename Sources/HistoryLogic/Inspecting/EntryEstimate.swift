/// How much data there is while a log is followed, counted in entries: fields, members and items, and one for
/// a key without these. It knows the entries of a full copy (for each key, as far as a census has them), and
/// those that commands have written since.
///
/// This is an estimate, usually too high: an entry of the full copy that is written again counts twice,
/// unless the census of a small copy knows it. Memory is bounded: entries that do not fit are only counted,
/// and databases beyond `databasesMax` are ignored.
struct EntryEstimate: Sendable {
  /// How many keys and entries are known, of all databases.
  static let knownMax = 1 << 17
  /// How many databases are distinguished.
  static let databasesMax = 4096
  /// No real copy has so many, but a false record may say so.
  private static let countMax: UInt64 = 1 << 40

  private struct Key: Sendable {
    /// 0 if it was removed.
    var count: UInt64 = 0
    /// How often it was removed.
    var age: UInt32 = 0
  }

  private struct Database: Sendable {
    var keys: [UInt64: Key] = [:]
    var elements: Set<UInt64> = []
    /// For keys that are not known.
    var rest: UInt64 = 0
    var total: UInt64 = 0

    mutating func subtract(_ count: UInt64) { total -= min(total, count) }
  }

  private var databases: [Int: Database] = [:]
  private var known = 0

  /// - Parameter copied: entries of the full copy, by database.
  init(copied: [Int: UInt64], census: EntryCensus?) {
    for (number, count) in copied where count > 0 && databases.count < EntryEstimate.databasesMax {
      let count = min(count, EntryEstimate.countMax)
      databases[number] = Database(rest: count, total: count)
    }
    for (count, key) in census?.keys ?? [] where databases[key.database] != nil {
      let count = min(count, databases[key.database]!.rest)
      databases[key.database]!.keys[key.hash] = Key(count: count)
      databases[key.database]!.rest -= count
      known += 1
    }
    for (number, hashes) in census?.elements ?? [:] where databases[number] != nil {
      databases[number]!.elements = hashes
      known += hashes.count
    }
  }

  var total: UInt64 { databases.values.reduce(0) { $0 &+ $1.total } }
  func total(of database: Int) -> UInt64 { databases[database]?.total ?? 0 }

  // MARK: Writing

  /// A key that has no entries of its own. Nil means a name that is too long to be read.
  mutating func write(_ key: [UInt8]?, _ database: Int) {
    guard let key = hash(key, database) else { return addUnknown(1, database) }
    guard databases[database]!.keys[key]!.count == 0 else { return }
    databases[database]!.keys[key]!.count = 1
    databases[database]!.total += 1
  }

  /// Fields or members, which may exist already.
  mutating func write(_ elements: some Sequence<[UInt8]?>, to key: [UInt8]?, _ database: Int) {
    guard let key = hash(key, database) else {
      return addUnknown(UInt64(elements.reduce(0) { count, _ in count + 1 }), database)
    }
    let age = databases[database]!.keys[key]!.age
    for element in elements {
      if let element, known < EntryEstimate.knownMax {
        let hash = EntryHash.of(element, in: key, age: age)
        guard databases[database]!.elements.insert(hash).inserted else { continue }
        known += 1
      }
      databases[database]!.keys[key]!.count += 1
      databases[database]!.total += 1
    }
  }

  /// Items, each of them new.
  mutating func append(_ count: UInt64, to key: [UInt8]?, _ database: Int) {
    guard let key = hash(key, database) else { return addUnknown(count, database) }
    databases[database]!.keys[key]!.count += count
    databases[database]!.total += count
  }

  // MARK: Removing

  /// Returns how many were removed.
  mutating func remove(
    _ elements: some Collection<[UInt8]?>, unread: UInt64, from key: [UInt8]?, _ database: Int
  ) -> UInt64 {
    let count = UInt64(elements.count) + unread
    guard let key = hash(key, database) else {
      removeUnknown(count, database)
      return count
    }
    let age = databases[database]!.keys[key]!.age
    for case let element? in elements
    where databases[database]!.elements.remove(EntryHash.of(element, in: key, age: age)) != nil {
      known -= 1
    }
    let held = databases[database]!.keys[key]!.count
    databases[database]!.keys[key]!.count = held - min(held, count)
    databases[database]!.subtract(min(held, count))
    if held < count { removeUnknown(count - held, database) }
    return count
  }

  /// Items of a list or stream: at most this many are left.
  mutating func trim(_ key: [UInt8]?, to count: UInt64, _ database: Int) {
    guard let key = hash(key, database), let held = databases[database]?.keys[key]?.count,
      held > count
    else { return }
    databases[database]!.keys[key]!.count = count
    databases[database]!.subtract(held - count)
  }

  /// The whole key. Returns how many entries it had; 1 if that is unknown.
  mutating func remove(_ key: [UInt8]?, _ database: Int) -> UInt64 {
    guard let key = hash(key, database), let held = databases[database]?.keys[key]?.count, held > 0
    else {
      removeUnknown(1, database)
      return 1
    }
    databases[database]!.keys[key]!.count = 0
    databases[database]!.keys[key]!.age &+= 1
    databases[database]!.subtract(held)
    return held
  }

  mutating func flushAll() { (databases, known) = ([:], 0) }

  mutating func flush(_ database: Int) {
    guard let gone = databases.removeValue(forKey: database) else { return }
    known -= gone.keys.count + gone.elements.count
  }

  mutating func swap(_ one: Int, _ other: Int) {
    (databases[one], databases[other]) = (databases[other], databases[one])
  }

  // MARK: What is not known

  /// The hash of a key that is known from now on; nil if there is no room for it.
  private mutating func hash(_ key: [UInt8]?, _ database: Int) -> UInt64? {
    guard let key else { return nil }
    let hash = EntryHash.of(key)
    if databases[database]?.keys[hash] != nil { return hash }
    guard known < EntryEstimate.knownMax, hasRoom(for: database) else { return nil }
    databases[database, default: Database()].keys[hash] = Key()
    known += 1
    return hash
  }

  private func hasRoom(for database: Int) -> Bool {
    databases[database] != nil || databases.count < EntryEstimate.databasesMax
  }

  private mutating func addUnknown(_ count: UInt64, _ database: Int) {
    guard hasRoom(for: database) else { return }
    databases[database, default: Database()].rest += count
    databases[database]!.total += count
  }

  private mutating func removeUnknown(_ count: UInt64, _ database: Int) {
    guard let rest = databases[database]?.rest else { return }
    databases[database]!.rest = rest - min(rest, count)
    databases[database]!.subtract(min(rest, count))
  }
}
