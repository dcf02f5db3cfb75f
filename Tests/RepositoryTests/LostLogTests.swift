import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import TestSupport
import Testing

/// A requested state that needs lost log gives exit 5 and the complete states on both sides. One that does
/// not need it is restored.
@Suite struct LostLogTests {
  private static func set(_ key: String) -> [UInt8] { SmallRepository.set(key) }

  private func error(_ made: MadeRepository, _ question: Question) async
    -> LifeboatError?
  {
    do {
      _ = try await made.choose(question)
      return nil
    } catch { return error as? LifeboatError }
  }
  private func lose(_ made: MadeRepository, _ from: UInt64, of timeline: Int = 1) throws {
    let prefix =
      ObjectPath.log(TimelineNumber(timeline)!, ordinal: 1) + decimal(from, width: 16) + "-"
    made.store.lose(try #require(made.store.names.first { $0.hasPrefix(prefix) }))
  }

  /// A chain with three objects of 27 bytes each, from 10, 11 and 12 s, and the next chain, from 20 s.
  private func two() async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 9000)
    for number in 0..<3 {
      try await made.addLog(
        1, UInt64(27 * number), bytes: Self.set("k"), at: 10_000 + 1000 * Int64(number))
    }
    try await made.addChain(1, 2, ordinal: 2, baseAt: 20_000)
    try await made.addLog(1, ordinal: 2, 0, bytes: Self.set("k"), at: 21_000)
    return made
  }

  @Test func `a time or a point that needs what is lost names both sides of it`() async throws {
    let made = try await two()
    #expect(try await made.choose(.at(at(12_000)))?.id == "1.1@1:81")
    try lose(made, 27)
    for time in [11_000, 12_000, 19_000] as [Int64] {
      let found = await error(made, .at(at(time)))
      #expect(found?.code == .corrupt, "\(time)")
      #expect(found?.cause?.contains("log/00000001/0000000000000027-") == true)
      #expect(found?.hint?.contains("--point 1.1@1:27 of") == true, "\(found!)")
      #expect(found?.hint?.contains("--point 1.2@2:0 of") == true, "\(found!)")
    }
    for id in ["1.1@1:54", "1.1@1:81", "1.1"] {
      let found = await error(made, .point(id))
      #expect(found?.code == .corrupt && found?.hint?.contains("1.1@1:27") == true, "\(id)")
    }
    #expect(await error(made, .point("1.1@1:82"))?.code == .noBackup)
    // None of these needs the lost log.
    for (time, id) in [(10_000, "1.1@1:27"), (20_000, "1.2@2:0"), (21_000, "1.2@2:27")]
      as [(Int64, String)]
    {
      #expect(try await made.choose(.at(at(time)))?.id == id, "\(time)")
    }
    for id in ["1.1@1:0", "1.1@1:27", "1.2@2:27", "1.2"] {
      #expect(await error(made, .point(id)) == nil, "\(id)")
    }
    #expect(try await made.choose()?.id == "1.2@2:27")
    // It can't be proved that a command does not occur.
    #expect(await error(made, .before("FLUSHALL"))?.code == .corrupt)
  }

  @Test func `log of a parent that is lost is no state of its successor's`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addLogSnapshot(1, 1)
    for number in 0..<3 {
      try await made.addLog(
        1, UInt64(27 * number), bytes: Self.set("k"), at: 10_000 + 1000 * Int64(number))
    }
    try await made.addClaim(
      2, at: 20_000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 81)], fork: 81)
    try await made.addForkedSnapshot(2, 1, at: 81)
    try await made.addLog(2, 81, bytes: Self.set("k"), at: 21_000)
    try lose(made, 54)
    let newest = try #require(try await made.choose())
    #expect(newest.id == "2.1@1/1:54")
    let reader = try await made.reader
    let loss = try #require(reader.loss(rightBehind: newest))
    #expect(loss.timeline == .first && loss.from == 54 && loss.to == 81)
    #expect(loss.since == at(11_000) && loss.until == at(21_000))
    let plan = try await reader.plan(newest, .init())
    #expect(plan.loss == loss)
    for time in [12_000, 19_000, 20_500, 21_000, 69_000] as [Int64] {
      #expect(await error(made, .at(at(time)))?.code == .corrupt, "\(time)")
    }
    #expect(await error(made, .point("2.1@1:108"))?.code == .corrupt)
    #expect(try await made.choose(.at(at(11_000)))?.cut?.offset == 54)
  }

  @Test func `a log without a full copy whose beginning is lost has no state at all`() async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addLogSnapshot(1, 1)
    for number in 0..<2 {
      try await made.addLog(
        1, UInt64(27 * number), bytes: Self.set("k"), at: 10_000 + 1000 * Int64(number))
    }
    try lose(made, 0)
    #expect(await error(made, .at(at(11_000)))?.code == .corrupt)
    #expect(await error(made, .point("1.1@1:54"))?.code == .corrupt)
    let newest = try #require(try await made.choose())
    let reader = try await made.reader
    #expect(await code { _ = try await reader.plan(newest, .init()) } == .corrupt)
  }

  @Test func `list shows what is lost, and what is whole beside it`() async throws {
    let made = try await two()
    #expect(
      try await RepositoryListing.make(made.store, now: at(30_000)).losses.isEmpty)
    try lose(made, 27)
    let listing = try await RepositoryListing.make(made.store, now: at(30_000))
    let loss = try #require(listing.losses.first)
    #expect(listing.losses.count == 1 && !listing.isNewestBeforeLoss)
    #expect(loss.from == 27 && loss.to == 54 && loss.file == "a.1.incr.aof")
    #expect(loss.before == "1.1@1:27" && loss.behind == "1.2@2:0")
    #expect(loss.since == "\(at(10_000))" && loss.until == "\(at(12_000))")
    #expect(listing.text.contains("LOST") && listing.text.contains("--point 1.2@2:0"))
    made.store.lose(try #require(made.store.names.first { $0.contains("snapshots/00000002") }))
    let newest = try await RepositoryListing.make(made.store, now: at(30_000))
    #expect(newest.isNewestBeforeLoss && newest.newest == "1.1@1:27")
    #expect(newest.text.contains("BEFORE A LOSS"))
  }

  @Test func `a dump beside a log is never needed`() async throws {
    let made = try await SmallRepository()
    let history = try await made.repository.history()
    let reader = HistoryReader(repository: made.repository, history: history)
    let point = try #require(try await reader.newestPoint())
    func joined(_ plan: RestorePlan) -> GenerationID? {
      guard case .generation(let index)? = plan.files.first(where: { $0.role == .dump })?.content
      else { return nil }
      return index.generation
    }
    #expect(joined(try await reader.plan(point, .init())) == made.dump)
    let without = try await reader.plan(point, .init(), without: [made.dump: "a flipped bit"])
    #expect(joined(without) == nil && without.loadsWithNo == at(10), "the BASE stands in for it")
    #expect(without.warnings.contains { $0.contains("a flipped bit") })
    // The same for its index.
    let name = ObjectPath.index(made.dump).text
    var bytes = made.store.contents[name]!
    bytes[bytes.count - 2] ^= 1
    made.store.overwrite(name, bytes)
    let damaged = try await reader.plan(point, .init())
    #expect(joined(damaged) == nil && damaged.warnings.contains { $0.contains("left out") })
  }
}
