import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import TestSupport
import Testing

/// Which restore point a selection means (design 5 "Time", 6.3).
@Suite struct PointChoiceTests {
  /// Timeline 1 with dumps from 100 and 200; timeline 2, claimed at 1000, with a dump from 1100; and claim 3
  /// without anything.
  private func three() async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    try await made.addSnapshot(1, 2, dumpAt: 200)
    try await made.addClaim(2, at: 1000, parentSnapshots: 2)
    try await made.addSnapshot(2, 1, dumpAt: 1100)
    try await made.addSnapshot(2, 2, dumpAt: nil)
    try await made.addClaim(3, at: 2000, parentSnapshots: 2)
    return made
  }

  @Test func `the newest point is that of the highest timeline that has one`() async throws {
    let made = try await three()
    #expect(try await made.choose()?.id == "2.1")
    #expect(try await MadeRepository().choose() == nil)
  }

  @Test(
    arguments: [
      (100, "1.1"), (199, "1.1"), (200, "1.2"), (999, "1.2"), (1000, "1.2"), (1099, "1.2"),
      (1100, "2.1"), (1999, "2.1"), (2000, "2.1"), (70_000, "2.1"),
    ] as [(Int64, String)])
  func
    `--at takes the newest timeline that was claimed by then, and its ancestors where that has nothing`(
      _ time: Int64, _ expected: String
    ) async throws
  {
    let made = try await three()
    #expect(try await made.choose(.at(at(time)))?.id == expected)
  }

  /// `now` is 10 s. A difference of a minute between clocks is allowed.
  @Test(arguments: [70_001, .max] as [Int64])
  func `a time in the future is a mistake, and the error names the newest point`(_ time: Int64)
    async throws
  {
    let made = try await three()
    let error = await #expect(throws: LifeboatError.self) {
      try await made.choose(.at(at(time)))
    }
    #expect(error?.code == .usage && error?.hint?.contains("--point 2.1,") == true, "\(error!)")
  }

  @Test(arguments: [.min, -1, 0, 99] as [Int64])
  func `before the first point there is none`(_ time: Int64) async throws {
    let made = try await three()
    #expect(await code { _ = try await made.choose(.at(at(time))) } == .noBackup)
  }

  @Test func `with --timeline later ones do not count, and what lies before it does`() async throws
  {
    let made = try await three()
    #expect(try await made.choose(.timeline(.first))?.id == "1.2")
    let early = try await made.choose(.at(at(5000), in: .first))
    #expect(early?.id == "1.2")
    for number in [3, 4, 99_999_999] {
      let found = await code {
        _ = try await made.choose(.timeline(TimelineNumber(number)!))
      }
      #expect(found == .noBackup, "\(number)")
    }
    // As in PostgreSQL, the history of a timeline before its start is that of its parent.
    for (time, id) in [(500, "1.2"), (5000, "2.1")] {
      let point = try await made.choose(.at(at(Int64(time)), in: TimelineNumber(2)!))
      #expect(point?.id == id)
    }
    let absent = await code {
      _ = try await made.choose(.at(at(500), in: TimelineNumber(9)!))
    }
    #expect(absent == .noBackup)
  }

  @Test(
    arguments: [
      ("1.1", nil), ("2.1", nil), ("2.2", .noBackup), ("1.3", .noBackup), ("4.1", .noBackup),
      ("1.1@1:5", .noBackup), ("1.1@9/1:5", .noBackup), ("", .usage), ("1", .usage),
      ("0.1", .usage), ("1.0", .usage), ("-1.1", .usage), ("1.1@", .usage), ("1.1@1", .usage),
      ("1.1@1:-5", .usage), ("1.1@0:5", .usage), ("1.1@1:5@", .usage), ("../1.1", .usage),
      ("99999999999999999999.1", .usage), ("1.1@1:99999999999999999999", .usage),
    ] as [(String, ExitCode?)])
  func `the id of a point is its own, or usage, or nothing there`(
    _ id: String, _ expected: ExitCode?
  ) async throws {
    let made = try await three()
    var found: String?
    #expect(await code { found = try await made.choose(.point(id))?.id } == expected)
    if expected == nil { #expect(found == id) }
  }

  @Test
  func `a point in a log is a mark, the start, or just before a destructive command; nothing else`()
    async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    let drop = Snapshot.Destructive(
      command: "FLUSHALL", before: LogPosition(timeline: .first, ordinal: 1, offset: 15),
      at: at(250))
    try await made.addLogSnapshot(1, 1, destructive: drop)
    for (from, to, time) in [(0, 10, 100), (10, 20, 300), (30, 40, 400)]
      as [(UInt64, UInt64, Int64)]
    {
      try await made.addLog(1, from, to, at: time)
    }
    #expect(try await made.choose()?.id == "1.1@1:20")
    #expect(try await made.choose(.at(at(299)))?.id == "1.1@1:10")
    for (offset, instant) in [(0, 0), (10, 100), (15, 250), (20, 300)] as [(Int, Int64)] {
      let point = try await made.choose(.point("1.1@1:\(offset)"))
      #expect(point?.instant == at(instant), "\(offset)")
    }
    // From 20 on, the log is lost. What follows the hole was durable later.
    for (offset, expected) in [
      (1, .noBackup), (11, .noBackup), (30, .corrupt), (40, .corrupt), (41, .noBackup),
    ] as [(Int, ExitCode)] {
      let found = await code { _ = try await made.choose(.point("1.1@1:\(offset)")) }
      #expect(found == expected, "\(offset)")
    }
  }

  @Test func `a suspect start chooses neither silently, as long as its pin is in force`()
    async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    try await made.addClaim(
      2, at: 1000, parentSnapshots: 1,
      suspicion: .init(reason: .empty, detail: "no keys", pin: "p1"))
    try await made.addSnapshot(2, 1, dumpAt: 1100)
    #expect(try await made.choose()?.id == "2.1", "no pin: nothing to choose from")
    try await made.addPin("p1", 1, 1, until: 20_000)
    #expect(await code { _ = try await made.choose() } == .suspect)
    #expect(try await made.choose(.newest(.newest))?.id == "2.1")
    #expect(try await made.choose(.newest(.before))?.id == "1.1")
    #expect(try await made.choose(.at(at(9000)))?.id == "2.1", "a named point is no surprise")
    #expect(try await made.choose(.newest(), now: at(20_000))?.id == "2.1", "the pin has ended")
    // A restart of the shipper does not answer the question.
    try await made.addClaim(3, at: 2000, parentSnapshots: 1)
    try await made.addSnapshot(3, 1, dumpAt: 2100)
    #expect(await code { _ = try await made.choose() } == .suspect)
    let release = Release(pin: "p1", repository: made.repository.id, at: at(0), by: "test")
    _ = try await made.repository.create(
      release, .operation(.releases, id: "p1"), kind: .operation)
    #expect(try await made.choose()?.id == "3.1")
  }

  @Test func `a question stays open when its pin is damaged, and either answer works`()
    async throws
  {
    let (made, id) = (try await MadeRepository(), "s0000000000900-1-1")
    try await made.addClaim(1, at: 50)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    try await made.addClaim(
      2, at: 1000, parentSnapshots: 1,
      suspicion: .init(reason: .empty, detail: "no keys", pin: id))
    try await made.addSnapshot(2, 1, dumpAt: 1100)
    try await made.addPin(id, 1, 1, until: 20_000)
    let name = ObjectPath.operation(.pins, id: id).text
    for offset in [8, 20, 60] {
      var bytes = try #require(try await made.store.read(name))
      bytes[offset] ^= 1
      let whole = made.store.contents[name]!
      made.store.overwrite(name, bytes)
      #expect(await code { _ = try await made.choose() } == .suspect, "\(offset)")
      #expect(try await made.choose(.newest(.newest))?.id == "2.1")
      #expect(try await made.choose(.newest(.before))?.id == "1.1")
      made.store.overwrite(name, whole)
    }
    made.store.overwrite(name, [0])
    let release = Release(pin: id, repository: made.repository.id, at: at(0), by: "test")
    _ = try await made.repository.create(release, .operation(.releases, id: id), kind: .operation)
    #expect(try await made.choose()?.id == "2.1")
  }
}
