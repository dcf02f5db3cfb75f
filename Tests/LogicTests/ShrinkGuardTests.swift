import BackupFormat
import BackupTypes
import RedisFormats
import Testing
import WriterLogic

/// No keys, or far fewer keys, is suspect unless something explains it. An older state is judged by the
/// comparison of logs.
@Suite struct ShrinkGuardTests {
  private typealias Reason = Claim.Suspicion.Reason

  private func keys(_ keys: UInt64, expiring: UInt64 = 0) -> KeyBounds {
    KeyBounds(counted: [(0, keys, expiring)])
  }

  struct Row: Sendable, CustomTestStringConvertible {
    var what: String
    var known: (keys: UInt64, expiring: UInt64)
    var found: UInt64
    /// The number of keys in the BASE; nil for a dump.
    var base: UInt64?
    /// Whether the previous log was followed to its end.
    var isWatched = false
    var expected: Claim.Suspicion.Reason?
    var testDescription: String { what }
  }

  static let rows = [
    Row(what: "nothing changed", known: (500, 0), found: 500, expected: nil),
    Row(what: "more keys", known: (500, 0), found: 900, expected: nil),
    Row(what: "a tenth is left", known: (500, 0), found: 50, expected: nil),
    Row(what: "less than a tenth is left", known: (500, 0), found: 49, expected: .smaller),
    Row(what: "2 of 500", known: (500, 0), found: 2, expected: .smaller),
    Row(what: "no keys are left", known: (500, 0), found: 0, expected: .empty),
    Row(what: "the only key is gone", known: (1, 0), found: 0, expected: .empty),
    Row(what: "one of three is left", known: (3, 0), found: 1, expected: nil),
    Row(what: "there were no keys", known: (0, 0), found: 0, expected: nil),
    Row(what: "a cache that expired overnight", known: (5000, 5000), found: 0, expected: nil),
    Row(what: "and what does not expire is left", known: (5000, 4900), found: 100, expected: nil),
    Row(what: "more is gone than can expire", known: (5000, 4900), found: 99, expected: .smaller),
    Row(
      what: "a cache whose log was followed to its end, and a server that began with nothing",
      known: (5000, 5000), found: 0, base: 0, isWatched: true, expected: .empty),
    Row(
      what: "a server that began with nothing and was filled again", known: (500, 0), found: 400,
      base: 0, isWatched: true, expected: nil),
    Row(
      what: "a cache that expired while a server had no log", known: (5000, 4990), found: 10,
      base: 10, isWatched: true, expected: nil),
    Row(
      what: "keys of the BASE that the log behind it removed", known: (500, 0), found: 0, base: 500,
      isWatched: true, expected: nil),
    Row(
      what: "a running server that has lost what can't expire", known: (500, 0), found: 3, base: 3,
      isWatched: true, expected: .smaller),
  ]

  @Test(arguments: rows)
  func `fewer keys`(row: Row) {
    let verdict = ShrinkGuard.suspicion(
      known: keys(row.known.keys, expiring: row.known.expiring),
      found: .init(base: row.base.map { keys($0) }, keys: keys(row.found)),
      isWatched: row.isWatched)
    #expect(verdict?.reason == row.expected)
  }

  @Test func `what is not known is enough, and less than something unknown is only nothing`() {
    func judge(_ known: KeyBounds, _ found: KeyBounds) -> Reason? {
      ShrinkGuard.suspicion(known: known, found: .init(keys: found), isWatched: false)?.reason
    }
    #expect(judge(keys(500), .unknown) == nil)
    #expect(judge(.unknown, .unknown) == nil)
    #expect(judge(.unknown, keys(1)) == nil)
    #expect(judge(.unknown, .none) == .empty)
    // A snapshot according to which there may be no keys.
    #expect(judge(KeyBounds(Snapshot.Estimate(keys: 0, expires: 0)), keys(1)) == nil)
    #expect(judge(KeyBounds(Snapshot.Estimate(keys: 500, expires: 0)), keys(2)) == .smaller)
  }

  @Test func `a copy that was not counted is compared only if it can hold next to nothing`() {
    func judge(_ known: KeyBounds, _ found: KeyBounds) -> Reason? {
      ShrinkGuard.suspicion(known: known, found: .init(keys: found), isWatched: false)?.reason
    }
    let (large, tiny) = (KeyBounds.uncounted(bytes: 1 << 20), KeyBounds.uncounted(bytes: 104))
    #expect(judge(keys(500), large) == nil, "an upgrade")
    #expect(judge(large, keys(1)) == nil)
    #expect(judge(keys(500), tiny) == .smaller, "a FLUSHALL under a server that is not known")
    #expect(judge(large, tiny) == .smaller)
    #expect(judge(.uncounted(bytes: 500), tiny) == nil)
    #expect(judge(keys(3), tiny) == nil)
    #expect(judge(large, .none) == .empty)
  }

  /// An unknown number is absent. It is not replaced by the number of a part.
  @Test func `a copy that was not counted has no time and no number to be compared with`() {
    var index = GenerationIndex(
      generation: generationID(1), kind: .dump, file: "dump.rdb", size: 5000, pieces: [],
      contentAt: Instant(milliseconds: 9), verdict: .unverified, remark: nil, dataset: nil)
    #expect(KeyBounds(index).atLeast == 0 && KeyBounds(index).atMost == nil)
    index.size = 104
    #expect(KeyBounds(index).atMost == 10)
  }

  @Test func `absurd numbers trap nowhere`() {
    let numbers: [UInt64] = [0, 1, 9, 10, 11, .max - 1, .max]
    for a in numbers {
      for b in numbers {
        for c in numbers {
          let known = KeyBounds(counted: [(0, a, c), (7, a, c), (-1, a, c), (.max, b, c)])
          _ = ShrinkGuard.suspicion(
            known: known, found: .init(base: keys(c), keys: keys(b)), isWatched: a == c)
        }
      }
    }
  }

  /// What a log does to a BASE with this many keys, and how many keys there are afterwards.
  struct Life: Sendable, CustomTestStringConvertible {
    var what: String
    var base: UInt64 = 0
    var log: [[String]]
    var atLeast: UInt64
    var atMost: UInt64
    var testDescription: String { what }
  }

  private static func each(_ count: Int, _ command: (Int) -> [String]) -> [[String]] {
    (0..<count).map(command)
  }

  static let lives = [
    Life(
      what: "3,000 writes to 50 keys", log: each(3000) { ["INCR", "counter:\($0 % 50)"] },
      atLeast: 50, atMost: 50),
    Life(
      what: "a cache that expires",
      log: each(400) { ["SET", "cache:\($0)", "v", "PXAT", "1700000000000"] }
        + each(400) { ["DEL", "cache:\($0)"] }, atLeast: 0, atMost: 0),
    Life(
      what: "a cache of the BASE that expires", base: 400,
      log: each(400) { ["DEL", "cache:\($0)"] }, atLeast: 0, atMost: 0),
    Life(
      what: "a queue that is drained",
      log: each(300) { ["RPUSH", "queue", "job\($0)"] } + each(300) { _ in ["LPOP", "queue"] },
      atLeast: 0, atMost: 1),
    Life(
      what: "a queue of keys that is drained",
      log: each(300) { ["SET", "job:\($0)", "x"] } + each(300) { ["UNLINK", "job:\($0)"] },
      atLeast: 0, atMost: 0),
    Life(
      what: "eviction", base: 1000, log: each(700) { ["DEL", "old:\($0)"] }, atLeast: 300,
      atMost: 300),
    Life(
      what: "a RayCluster that is deleted",
      log: each(200) { ["HSET", "RAYa@\($0 % 7)", "f\($0)", "v"] }
        + each(7) { ["HSET", "RAYb@\($0)", "f", "v"] }
        + [["DEL"] + (0..<7).map { "RAYa@\($0)" }], atLeast: 7, atMost: 7),
    Life(
      what: "FLUSHALL", base: 1000, log: [["SET", "a", "1"], ["FLUSHALL"], ["SET", "b", "1"]],
      atLeast: 1, atMost: 1),
    Life(
      what: "more keys beside those of the BASE", base: 10,
      log: each(3) { ["SET", "new:\($0)", "1"] }, atLeast: 10, atMost: 13),
  ]

  @Test(arguments: lives)
  func `what a log does to keys is known by their names`(life: Life) {
    var scanner = AOFScanner()
    scanner.keys = KeySample()
    let bytes = life.log.flatMap { words -> [UInt8] in
      Array("*\(words.count)\r\n".utf8)
        + words.flatMap { Array("$\($0.utf8.count)\r\n\($0)\r\n".utf8) }
    }
    bytes.withUnsafeBytes { scanner.consume($0) }
    #expect(scanner.fault == nil)
    let bounds = scanner.keyBounds(over: keys(life.base))
    #expect(bounds.atLeast == life.atLeast && bounds.atMost == life.atMost, "\(bounds)")
  }
}
