/// How many keys there are while a log is followed, as far as names show. Keys of the full copy are only
/// counted, unless a census has all of them. Keys that commands have written since then are known by a hash
/// of database and name.
///
/// This is an estimate: if a key of the full copy is only counted and is written again, it counts twice
/// until it is removed twice.
struct KeyEstimate: Sendable {
  /// Maximum for all databases together. Further keys are only counted.
  static let hashesMax = 1 << 18

  private var copied: [Int: UInt64]
  private var written: [Int: Set<UInt64>] = [:]
  private var uncounted: [Int: UInt64] = [:]
  private var hashes = 0

  init(copied: [Int: UInt64], census: EntryCensus? = nil) {
    // No real copy has so many, but a false record may say so.
    self.copied = copied.filter { $0.value > 0 }.mapValues { min($0, 1 << 40) }
    var known: [Int: Set<UInt64>] = [:]
    for (_, key) in census?.keys ?? [] { known[key.database, default: []].insert(key.hash) }
    for (database, keys) in known where UInt64(keys.count) == copied[database] {
      self.copied[database] = nil
      written[database] = keys
      hashes += keys.count
    }
  }

  var total: UInt64 {
    copied.values.reduce(0, +) + uncounted.values.reduce(0, +)
      + UInt64(written.values.reduce(0) { $0 + $1.count })
  }

  /// A nil key is a name that is too long to be read.
  mutating func write(_ key: [UInt8]?, _ database: Int) {
    guard let key else { return uncounted[database, default: 0] += 1 }
    let hash = EntryHash.of(key)
    if written[database]?.contains(hash) == true { return }
    guard hashes < KeyEstimate.hashesMax else { return uncounted[database, default: 0] += 1 }
    written[database, default: []].insert(hash)
    hashes += 1
  }

  mutating func remove(_ key: [UInt8]?, _ database: Int) {
    if let key, written[database]?.remove(EntryHash.of(key)) != nil {
      hashes -= 1
      return
    }
    for counts in [\KeyEstimate.copied, \KeyEstimate.uncounted] {
      if let count = self[keyPath: counts][database], count > 0 {
        self[keyPath: counts][database] = count - 1
        return
      }
    }
  }

  mutating func flushAll() { (copied, written, uncounted, hashes) = ([:], [:], [:], 0) }

  mutating func flush(_ database: Int) {
    copied[database] = nil
    hashes -= written.removeValue(forKey: database)?.count ?? 0
    uncounted[database] = nil
  }

  mutating func swap(_ one: Int, _ other: Int) {
    (copied[one], copied[other]) = (copied[other], copied[one])
    (written[one], written[other]) = (written[other], written[one])
    (uncounted[one], uncounted[other]) = (uncounted[other], uncounted[one])
  }
}
