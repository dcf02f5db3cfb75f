import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Testing

/// `--at` where one chain ends and another begins: after a rewrite that no shipper saw, an AOF that was off
/// for a while, or a shipper that was not running.
@Suite struct BeginningTests {
  private static func set(_ key: String) -> [UInt8] { LogBytes.command("SET \(key) 1") }

  /// One chain up to 20.5 s, and one that begins with a BASE from 30 s. Its log was first seen at 40.2 s.
  private func made(annotated: Bool, second number: Int = 1) async throws -> MadeRepository {
    func log(_ seconds: [Int]) -> [UInt8] {
      seconds.flatMap { (annotated ? LogBytes.stamp($0) : []) + Self.set("at:\($0)") }
    }
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    try await made.addLog(1, 0, bytes: log([10]), at: 10_500)
    try await made.addLog(1, UInt64(log([10]).count), bytes: log([20]), at: 20_500)
    if number == 2 { try await addNext(made, end: 2 * log([10]).count) }
    try await made.addChain(number, number == 1 ? 2 : 1, ordinal: 2, baseAt: 30_000)
    try await made.addLog(number, ordinal: 2, 0, bytes: log([32, 36, 40]), at: 40_200)
    return made
  }

  /// A timeline that has nothing in common with the first.
  private func addNext(_ made: MadeRepository, end: Int, snapshots: Int = 1) async throws {
    try await made.addClaim(
      2, at: 40_000, parentSnapshots: snapshots, ordinals: [.init(ordinal: 1, offset: UInt64(end))])
  }

  private func check(
    _ made: MadeRepository, _ second: Int, _ id: String?, until: Int64? = nil,
    timeline: Int? = nil, isSeen: Bool = false
  ) async throws {
    var point: RestorePoint?
    let code = await code {
      point = try await made.known(at: Int64(second) * 1000, timeline: timeline)
    }
    #expect(point?.id == id, "second \(second)")
    #expect(code == (id == nil ? .noBackup : nil), "second \(second)")
    #expect(point?.gap?.until == until.map { at($0) }, "second \(second)")
    // Between two windows, nobody gets a state of a different time.
    let isBetween = until != nil && !isSeen
    let chosen = await refusal(made, second, timeline)
    #expect(chosen == (id == nil || isBetween ? .noBackup : nil), "second \(second)")
    if let point { #expect(point.instant <= at(Int64(second) * 1000), "second \(second)") }
  }

  private func refusal(_ made: MadeRepository, _ second: Int, _ timeline: Int?) async -> ExitCode? {
    await code {
      _ = try await made.choose(
        .at(at(Int64(second) * 1000), in: timeline.flatMap { TimelineNumber($0) }),
        now: at(Int64(second) * 1000))
    }
  }

  /// The shipper was shut down cleanly at 20.7 s. In the rest of that second the server wrote, and rewrote its
  /// AOF. The second as a whole ends with what the next shipper found.
  @Test(arguments: [20_700, 21_000] as [Int64])
  func `a clean shutdown says nothing about the rest of its second`(end: Int64) async throws {
    let made = try await MadeRepository()
    let log = LogBytes.stamp(20) + Self.set("at:20")
    let length = UInt64(log.count)
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    try await made.addLog(1, 0, bytes: log, at: 20_500)
    try await made.addChain(1, 2, ordinal: 1, baseAt: 5000, cleanAt: end)
    try await made.addClaim(
      2, at: 21_500, parentSnapshots: 2, ordinals: [.init(ordinal: 1, offset: length)])
    try await made.addChain(2, 1, ordinal: 2, baseAt: 20_000)
    try await made.addLog(
      2, ordinal: 2, 0, bytes: LogBytes.stamp(22) + Self.set("at:22"), at: 22_200)
    try await check(made, 20, end < 21_000 ? "2.1@2:0" : "1.2@1:\(length)")
    try await check(made, 21, "2.1@2:0")
  }

  @Test func `a time between two windows is refused with the points on both sides`() async throws {
    let made = try await made(annotated: false)
    let first = Self.set("at:10").count
    do {
      _ = try await made.choose(.at(at(25_000)))
      Issue.record("there is no state of that time")
    } catch let error as LifeboatError {
      #expect(error.code == .noBackup)
      #expect(error.hint?.contains("--point 1.1@1:\(2 * first) ") == true, "\(error)")
      #expect(error.hint?.contains("--point 1.2@2:0 ") == true, "\(error)")
    }
    do {
      _ = try await made.choose(.at(at(1000)))
      Issue.record("there is no state of that time")
    } catch let error as LifeboatError {
      #expect(
        error.code == .noBackup && error.hint?.contains("--point 1.1@1:0 ") == true, "\(error)")
    }
    for id in ["1.1@1:\(2 * first)", "1.2@2:0"] {
      #expect(try await made.choose(.point(id))?.id == id)
    }
  }

  /// Another shipper of the same directory claimed before the first upload was complete. It then uploaded the
  /// dump, which had existed before both claims.
  @Test func `a first upload that was cut off hides no older dump`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 2000)
    try await made.addClaim(2, at: 4000, parentSnapshots: 0)
    try await made.addSnapshot(2, 1, dumpAt: 1000)
    let chosen = try await made.choose(.at(at(3000)))
    #expect(chosen?.id == "2.1" && chosen?.instant == at(1000), "\(String(describing: chosen))")
    #expect(try await made.choose(.at(at(5000)))?.id == "2.1")
    let code = await code { _ = try await made.choose(.at(at(900))) }
    #expect(code == .noBackup)
  }

  /// Two shippers claimed one after the other. Neither listing had what the other one shipped. The log that
  /// the last one shipped was written before both claims.
  @Test func `log that was shipped again under a later claim counts from when it was written`()
    async throws
  {
    let made = try await MadeRepository()
    let log = Self.set("at:10")
    let length = UInt64(log.count)
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    try await made.addLog(1, 0, bytes: log, at: 10_500)
    try await made.addClaim(
      2, at: 60_000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: length)])
    try await made.addClaim(3, at: 70_000, parentSnapshots: 0)
    try await made.addChain(3, 1, ordinal: 1, baseAt: 20_000)
    try await made.addLog(3, 0, bytes: log + log, at: 50_500)
    try await check(made, 65, "3.1@1:\(2 * length)")
    try await check(made, 55, "3.1@1:\(2 * length)")
    try await check(made, 75, "3.1@1:\(2 * length)")
    try await check(made, 30, "3.1@1:0")
    try await check(made, 15, "1.1@1:\(length)", until: 20_000)
  }

  /// The log ends within the requested second, and the next chain does not continue it.
  @Test func `a time just before the last write of a window is in the window`() async throws {
    let made = try await made(annotated: false)
    let first = Self.set("at:10").count
    let chosen = try await made.choose(.at(at(20_000)))
    #expect(chosen?.id == "1.1@1:\(first)" && chosen?.gap == nil, "\(String(describing: chosen))")
    #expect(try await made.choose(.at(at(20_499)))?.id == "1.1@1:\(first)")
    #expect(try await made.choose(.at(at(20_500)))?.id == "1.1@1:\(2 * first)")
    let code = await code { _ = try await made.choose(.at(at(20_501))) }
    #expect(code == .noBackup)
  }

  /// Redis rewrites its AOF and has not written anything for some time. The logs of the old and the new file
  /// are complete, and there is nothing between them.
  @Test func `a rewrite of a server that writes nothing leaves no gap`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    let log = Self.set("at:10")
    try await made.addLog(1, 0, bytes: log, at: 10_500)
    let end = UInt64(log.count)
    try await made.addRewrite(1, 2, closing: 1, at: end, baseAt: 5000)
    try await made.addChain(1, 3, ordinal: 2, baseAt: 30_000)
    try await check(made, 25, "1.2@1:\(end)")
    try await check(made, 31, "1.3@2:0")
    // Another rewrite, still without a write.
    try await made.addRewrite(1, 4, closing: 2, at: 0, baseAt: 30_000)
    try await made.addChain(1, 5, ordinal: 3, baseAt: 50_000)
    try await check(made, 25, "1.2@1:\(end)")
    try await check(made, 45, "1.4@2:0")
    try await check(made, 51, "1.5@3:0")
    // No shipper saw a manifest with both files, so other files may have been written in between.
    try await made.addChain(1, 6, ordinal: 5, baseAt: 70_000)
    try await check(made, 65, "1.5@3:0", until: 70_000)
  }

  /// `aof-timestamp-enabled` was switched on after an accident, or was off for a while. The first annotation
  /// says nothing about the commands before it.
  @Test(arguments: [false, true])
  func `an annotation does not date what was written without one`(hasEarlier: Bool) async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    let first = (hasEarlier ? LogBytes.stamp(10) : []) + Self.set("at:10")
    let accident = LogBytes.command("FLUSHALL")
    var end = UInt64(first.count)
    try await made.addLog(1, 0, bytes: first, at: 10_500)
    try await made.addLog(1, end, bytes: accident, at: 40_000)
    end += UInt64(accident.count)
    try await made.addLog(1, end, bytes: LogBytes.stamp(60) + Self.set("at:60"), at: 60_500)
    for second: Int64 in [15, 30] {
      let point = try await made.known(at: second * 1000)
      #expect(point.id == "1.1@1:\(first.count)", "second \(second): the accident is of later")
    }
    // The accident was certainly before the first annotation.
    let after = try await made.known(at: 60_000)
    #expect(after.cut?.offset ?? 0 > UInt64(first.count))
  }

  /// Somebody restored to a place inside an object, and the server has not written yet.
  @Test func `a timeline without log of its own begins where it forked off`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 9000)
    let (first, rest) = (Self.set("at:10"), LogBytes.command("FLUSHALL"))
    try await made.addLog(1, 0, bytes: first + rest, at: 10_400)
    let fork = UInt64(first.count)
    try await made.addClaim(
      2, at: 20_000, parentSnapshots: 1,
      ordinals: [.init(ordinal: 1, offset: fork + UInt64(rest.count))], fork: fork)
    try await made.addForkedSnapshot(2, 1, at: fork)
    let newest = try #require(try await made.choose())
    #expect(newest.id == "2.1@1/1:\(fork)" && newest.instant == at(20_000))
    #expect(try await made.choose(.point(newest.id))?.cut == newest.cut)
    #expect(try await made.choose(.at(at(20_000)))?.cut == newest.cut)
    #expect(try await made.choose(.at(at(19_000)))?.timeline == .first)
    // From its first object on, the log itself shows how far it goes.
    try await made.addLog(2, fork, bytes: Self.set("at:21"), at: 21_000)
    #expect(try await made.choose()?.id == "2.1@1:\(2 * first.count)")
  }

  /// The successor's claim says how far the log went. So missing log is not the end of the log.
  @Test func `a log that was durable and is gone is damage, not an empty state`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 9000)
    try await addNext(made, end: 31)
    try await made.addChain(2, 1, ordinal: 2, baseAt: 30_000)
    #expect(await code { _ = try await made.choose(.point("1.1@1:31")) } == .corrupt)
    #expect(await code { _ = try await made.choose(.point("1.1@1:32")) } == .noBackup)
    let point = try #require(try await made.choose(.timeline(.first)))
    let reader = try await made.reader
    let indexes = try await reader.indexes(of: point.snapshot)
    let planned = await code {
      _ = try RestorePlanner(
        history: reader.history, point: point, indexes: indexes, options: .init()
      ).plan()
    }
    #expect(planned == .corrupt, "\(point.id)")
  }

  @Test func `an orderly end says that nothing was written until then`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 9000)
    let log = Self.set("at:10")
    try await made.addLog(1, 0, bytes: log, at: 10_400)
    try await made.addChain(1, 2, ordinal: 1, baseAt: 9000, cleanAt: 20_000)
    try await addNext(made, end: log.count, snapshots: 2)
    try await made.addChain(2, 1, ordinal: 2, baseAt: 30_000)
    for second in [11, 19, 20] { try await check(made, second, "1.2@1:\(log.count)") }
    for second in [21, 29] { try await check(made, second, "1.2@1:\(log.count)", until: 30_000) }
    try await check(made, 30, "2.1@2:0")
  }

  @Test(arguments: [1, 2])
  func `the log of the next chain tells of the seconds behind its BASE`(_ number: Int) async throws
  {
    let made = try await made(annotated: true, second: number)
    let (first, last) = (LogBytes.stamp(10).count + Self.set("at:10").count, "@1:")
    let next = number == 1 ? "1.2@2:" : "2.1@2:"
    try await check(made, 4, nil)
    try await check(made, 5, "1.1\(last)0")
    try await check(made, 9, "1.1\(last)0")
    try await check(made, 10, "1.1\(last)\(first)")
    try await check(made, 19, "1.1\(last)\(first)")
    // The log was seen until 20.5 s.
    for second in [20, 29] {
      try await check(
        made, second, "1.1\(last)\(2 * first)", until: 30_000, isSeen: second == 20)
    }
    for second in [30, 31] { try await check(made, second, next + "0") }
    for second in [32, 35] { try await check(made, second, next + "\(first)") }
    for second in [36, 39] { try await check(made, second, next + "\(2 * first)") }
    for second in [40, 41, 99] { try await check(made, second, next + "\(3 * first)") }
  }

  @Test func `without annotations the BASE is one more place`()
    async throws
  {
    let made = try await made(annotated: false)
    let first = Self.set("at:10").count
    try await check(made, 5, "1.1@1:0")
    try await check(made, 10, "1.1@1:0")
    try await check(made, 11, "1.1@1:\(first)")
    try await check(made, 21, "1.1@1:\(2 * first)", until: 30_000)
    try await check(made, 30, "1.2@2:0")
    let point = try await made.known(at: 30_500)
    #expect(point.id == "1.1@1:\(2 * first)" && point.gap?.until == at(30_000))
    for second in [31, 40] { try await check(made, second, "1.2@2:0") }
    try await check(made, 41, "1.2@2:\(3 * first)")
  }

  @Test func `a log without any annotation yet goes on in the next timeline`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 9000)
    // In the second in which the previous file ended.
    let first = Self.set("at:9")
    try await made.addLog(1, 0, bytes: first, at: 9700)
    try await made.addClaim(
      2, at: 10_200, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: UInt64(first.count))],
      fork: UInt64(first.count))
    try await made.addForkedSnapshot(2, 1, at: UInt64(first.count))
    let more = Self.set("too:9") + LogBytes.stamp(10) + Self.set("at:10")
    let rest = LogBytes.stamp(11) + Self.set("at:11")
    try await made.addLog(2, UInt64(first.count), bytes: more + rest, at: 11_500)
    try await check(made, 9, "2.1@1:\(first.count + Self.set("too:9").count)")
    try await check(made, 10, "2.1@1:\(first.count + more.count)")
    try await check(made, 11, "2.1@1:\(first.count + more.count + rest.count)")
  }

  /// A server was idle, and wrote again after another shipper had taken over. Then its directory was emptied.
  @Test func `a log that the next timeline continued had not ended before`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    let first = Self.set("at:10")
    let end = UInt64(first.count)
    try await made.addLog(1, 0, bytes: first, at: 10_500)
    try await made.addClaim(
      2, at: 39_000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: end)], fork: end)
    try await made.addForkedSnapshot(2, 1, at: end)
    try await made.addLog(2, end, bytes: Self.set("at:40"), at: 40_500)
    try await made.addChain(2, 2, ordinal: 2, baseAt: 60_000)
    try await check(made, 25, "1.1@1:\(end)")
    try await check(made, 41, "2.1@1:\(2 * first.count)", until: 60_000)
    try await check(made, 60, "2.2@2:0")
  }

  @Test func `a last mark that is late does not end the search in the next timeline`() async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 9000)
    let first = LogBytes.stamp(10) + Self.set("at:10")
    // By then, the file had the beginning of a large transaction.
    try await made.addLog(1, 0, bytes: first, at: 30_000)
    try await made.addClaim(
      2, at: 45_000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: UInt64(first.count))],
      fork: UInt64(first.count))
    try await made.addForkedSnapshot(2, 1, at: UInt64(first.count))
    let more = LogBytes.stamp(31) + Self.set("at:31")
    try await made.addLog(
      2, UInt64(first.count), bytes: more + LogBytes.stamp(40) + Self.set("at:40"), at: 45_500)
    for second in [31, 39] { try await check(made, second, "2.1@1:\(first.count + more.count)") }
    try await check(made, 30, "2.1@1:\(first.count)")
    try await check(made, 40, "2.1@1:\(2 * more.count + first.count)")
  }

  @Test func `what stands before the first annotation is of the second of the BASE`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    let first = LogBytes.stamp(20) + Self.set("at:20")
    try await made.addLog(1, 0, bytes: LogBytes.stamp(15) + Self.set("at:15"), at: 15_500)
    try await made.addLog(1, UInt64(first.count), bytes: first, at: 20_500)
    try await made.addChain(1, 2, ordinal: 2, baseAt: 20_000)
    let next = Self.set("too:20")
    try await made.addLog(1, ordinal: 2, 0, bytes: next, at: 20_900)
    try await made.addChain(1, 3, ordinal: 3, baseAt: 30_000)
    try await check(made, 20, "1.2@2:\(next.count)", until: 30_000, isSeen: true)
    try await check(made, 29, "1.2@2:\(next.count)", until: 30_000)
    try await check(made, 30, "1.3@3:0")
  }

  @Test func `a timeline that was asked for is not left`() async throws {
    let made = try await made(annotated: true, second: 2)
    let end = 2 * (LogBytes.stamp(10).count + Self.set("at:10").count)
    for second in [20, 29, 36, 99] {
      try await check(made, second, "1.1@1:\(end)", timeline: 1)
    }
  }

  @Test func `an old copy that was put back by hand is no later state`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 15_000)
    let log = LogBytes.stamp(20) + Self.set("at:20")
    try await made.addLog(1, 0, bytes: log, at: 20_500)
    try await addNext(made, end: log.count)
    try await made.addChain(2, 1, ordinal: 1, baseAt: 11_000)
    try await made.addLog(2, 0, bytes: LogBytes.stamp(41) + Self.set("new"), at: 41_500)
    try await check(made, 25, "1.1@1:\(log.count)")
    try await check(made, 40, "2.1@1:0")
  }
}
