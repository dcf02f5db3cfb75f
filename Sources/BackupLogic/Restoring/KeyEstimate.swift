/// How many keys there are while a log is followed, as far as names tell: those of the full copy, which are
/// only counted, and those that commands wrote since, each known by a hash of database and name.
///
/// An estimate: a key of the full copy that is written again counts twice until it is removed twice.
struct KeyEstimate: Sendable {
  /// Of a database with more keys written since, the rest are only counted.
  static let hashesMax = 1 << 18

  private var copied: [Int: UInt64]
  private var written: [Int: Set<UInt64>] = [:]
  private var uncounted: [Int: UInt64] = [:]

  init(copied: [Int: UInt64]) { self.copied = copied.filter { $0.value > 0 } }

  var total: UInt64 {
    copied.values.reduce(0, +) + uncounted.values.reduce(0, +)
      + UInt64(written.values.reduce(0) { $0 + $1.count })
  }

  /// Nil stands for a name that is too long to be looked at.
  mutating func write(_ key: [UInt8]?, _ database: Int) {
    guard let key, written[database, default: []].count < KeyEstimate.hashesMax else {
      uncounted[database, default: 0] += 1
      return
    }
    written[database, default: []].insert(KeyEstimate.hash(key))
  }

  mutating func remove(_ key: [UInt8]?, _ database: Int) {
    if let key, written[database]?.remove(KeyEstimate.hash(key)) != nil { return }
    for counts in [\KeyEstimate.copied, \KeyEstimate.uncounted] {
      if let count = self[keyPath: counts][database], count > 0 {
        self[keyPath: counts][database] = count - 1
        return
      }
    }
  }

  mutating func flushAll() { (copied, written, uncounted) = ([:], [:], [:]) }

  mutating func flush(_ database: Int) {
    copied[database] = nil
    written[database] = nil
    uncounted[database] = nil
  }

  mutating func swap(_ one: Int, _ other: Int) {
    (copied[one], copied[other]) = (copied[other], copied[one])
    (written[one], written[other]) = (written[other], written[one])
    (uncounted[one], uncounted[other]) = (uncounted[other], uncounted[one])
  }

  /// FNV-1a: equal names have to be found again, and nothing is kept beyond one search.
  private static func hash(_ key: [UInt8]) -> UInt64 {
    key.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}
