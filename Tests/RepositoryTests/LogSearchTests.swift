import BackupFormat
import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess
import TestSupport
import Testing

/// Points that are found by reading the log: before a command, by the second of an annotation, by id.
@Suite struct LogSearchTests {
  /// A repository whose log is `parts`, one object each, seen at 1 s, 2 s and so on.
  private func made(_ parts: [[UInt8]]) async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addLogSnapshot(1, 1)
    var offset: UInt64 = 0
    for (index, bytes) in parts.enumerated() where !bytes.isEmpty {
      try await made.addLog(1, offset, bytes: bytes, at: Int64(index + 1) * 1000)
      offset += UInt64(bytes.count)
    }
    return made
  }

  private func cut(_ made: MadeRepository, before command: String) async throws -> UInt64? {
    try await made.choose(.before(command))?.cut?.offset
  }

  @Test func `the state before a command is where it begins`() async throws {
    let first = LogBytes.command("SELECT 0") + LogBytes.command("SET a 1")
    let second =
      LogBytes.command("set b 2") + LogBytes.command("FlushAll") + LogBytes.command("SET c 3")
    let made = try await made([first, second])
    let flush = UInt64(first.count + LogBytes.command("set b 2").count)
    #expect(try await cut(made, before: "FLUSHALL") == flush)
    #expect(await code { _ = try await made.choose(.before("SET")) } == .suspect)
    #expect(await code { _ = try await made.choose(.before("FLUSHDB")) } == .noBackup)
    // Its id gives the same point.
    let id = try #require(try await made.choose(.before("FLUSHALL"))?.id)
    #expect(id == "1.1@1:\(flush)")
    #expect(try await made.choose(.point(id))?.cut?.offset == flush)
  }

  @Test func `of several the last, unless there were no keys before it`() async throws {
    let set = LogBytes.command("SET a 1")
    let flush = LogBytes.command("FLUSHALL")
    let both = try await made([set + flush, set + flush])
    #expect(try await cut(both, before: "FLUSHALL") == UInt64(2 * set.count + flush.count))
    let empty = try await made([set + flush, flush + set])
    do {
      _ = try await empty.choose(.before("FLUSHALL"))
      Issue.record("the second FLUSHALL leads to nothing")
    } catch let error as LifeboatError {
      #expect(error.code == .suspect)
      #expect(error.cause?.contains("1.1@1:\(set.count) ") == true, "\(error)")
      #expect(error.cause?.contains("1.1@1:\(set.count + flush.count) ") == true, "\(error)")
    }
    #expect(
      try await empty.choose(.point("1.1@1:\(set.count)"))?.cut?.offset == UInt64(set.count))
  }

  @Test func `a transaction is undone as a whole`() async throws {
    let head = LogBytes.command("SET a 1")
    let transaction =
      LogBytes.command("MULTI") + LogBytes.command("SET b 2") + LogBytes.command("FLUSHDB")
      + LogBytes.command("EXEC")
    let made = try await made([head + transaction + head])
    #expect(try await cut(made, before: "FLUSHDB") == UInt64(head.count))
    let inside = head.count + LogBytes.command("MULTI").count
    #expect(await code { _ = try await made.choose(.point("1.1@1:\(inside)")) } == .noBackup)
  }

  @Test func `what only looks like a command is none`() async throws {
    let bait =
      LogBytes.command(Array("SET".utf8), Array("k".utf8), LogBytes.command("FLUSHALL"))
      + LogBytes.command(Array("SET".utf8), [0, 13, 10, 0], Array("#TS:9\r\n*1\r\n".utf8))
    let made = try await made([bait, LogBytes.command("FLUSHALL")])
    #expect(try await cut(made, before: "FLUSHALL") == UInt64(bait.count))
    let baits = try await self.made([bait])
    #expect(await code { _ = try await baits.choose(.before("FLUSHALL")) } == .noBackup)
  }

  @Test func `a row of DEL that takes half of the keys is a drop, a single one is none`()
    async throws
  {
    let fill = (0..<7).flatMap { LogBytes.command("HSET ray:\($0) f v") }
    let clean = (0..<7).flatMap { LogBytes.command("DEL ray:\($0)") }
    for (tail, drops) in [
      (clean, 1), (LogBytes.command("DEL ray:1"), 0),
      (LogBytes.command("UNLINK ray:1 ray:2 ray:3 ray:4"), 1),
    ] {
      let made = try await made([
        fill, LogBytes.command("SET job 1") + tail + LogBytes.command("SET x 1"),
      ])
      let found = try await PointInspection.make(
        made.store, keys: .none, question: .newest(), now: at(10_000)
      ).destructive
      #expect(found.count == drops)
      guard let drop = found.first else { continue }
      let before = UInt64(fill.count + LogBytes.command("SET job 1").count)
      #expect(drop.before == "1.1@1:\(before)" && drop.keysBefore == 8)
      #expect(drop.restore.contains("--point \(drop.before) "))
      #expect(try await made.choose(.point(drop.before))?.cut?.offset == before)
    }
  }

  /// Random logs with annotations and transactions, cut into objects wherever it is allowed. `--at` gives
  /// exactly what had been executed by that time.
  @Test(arguments: 0..<200) func `to the second`(_ round: Int) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    // In the first minute of 1970: marks are milliseconds, annotations seconds.
    var parts: [[UInt8]] = [[]]
    var second: Int64 = 0
    var offset: UInt64 = 0
    // The offset of the log at the start of each second.
    var began: [Int64: UInt64] = [:]
    func add(_ bytes: [UInt8]) {
      parts[parts.count - 1] += bytes
      offset += UInt64(bytes.count)
    }
    while second < 20 {
      let step = Int64.random(in: 0...2, using: &random)
      for _ in 0..<step {
        second += 1
        // An object is seen when it ends, after everything in it.
        while parts.count < Int(second) + 1 { parts.append([]) }
      }
      let transaction = Bool.random(using: &random)
      let start = offset
      if transaction { add(LogBytes.command("MULTI")) }
      if step > 0 { add(LogBytes.stamp(second)) }
      if step > 0 {
        began[second] = transaction ? start : offset - UInt64(LogBytes.stamp(second).count)
      }
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        add(LogBytes.command("SET key\(Int.random(in: 0..<9, using: &random)) value"))
      }
      if transaction { add(LogBytes.command("EXEC")) }
    }
    let made = try await made(parts)
    // There is no point before the first mark, and nothing is missing after the last one.
    let firstMark = try #require(parts.firstIndex { !$0.isEmpty }) + 1
    for time in Int64(firstMark)..<20 {
      let expected = began.filter { $0.key > time }.map(\.value).min() ?? offset
      let point = try await made.choose(.at(at(time * 1000)))
      #expect(point?.cut?.offset == expected, "seed \(seed), second \(time)")
      guard let point else { continue }
      #expect(try await made.choose(.point(point.id))?.cut == point.cut, "seed \(seed)")
    }
  }
}
