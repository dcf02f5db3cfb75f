import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import TestSupport
import Testing
import WriterLogic

/// What can be restored if a claim can't be read or is missing. A writer skips such a claim, and its own
/// claim continues an earlier timeline.
@Suite struct UnreadableClaimReadingTests {
  /// Timeline 1 has states from 100 and 200, and ends at claim 2. Timeline 2 begins at 1000 and continues.
  private func made(passing: Bool = false, objects: Bool = false) async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    try await made.addSnapshot(1, 2, dumpAt: 200)
    try await made.addClaim(2, at: 1000, parentSnapshots: 2)
    try await made.addSnapshot(2, 1, dumpAt: 1100)
    made.store.overwrite(claim(3), Array("garbage".utf8))
    if objects { try await made.addSnapshot(3, 1, dumpAt: 1500) }
    if passing {
      try await made.addClaim(4, at: 2000, parentSnapshots: 1, parent: 2)
      try await made.addSnapshot(4, 1, dumpAt: 2100)
    }
    return made
  }

  private func claim(_ number: Int) -> String { ObjectPath.claim(TimelineNumber(number)!).text }

  private func prune(_ made: MadeRepository) async throws -> PruneReport {
    try await Pruner(
      made.repository, options: .init(policy: RetentionPolicy(), by: "test"),
      now: { at(10_000) }
    ).run()
  }

  @Test func `garbage at the next claim leaves every named point of a whole timeline`() async throws
  {
    let made = try await made()
    #expect(try await made.choose(.point("1.1"))?.id == "1.1")
    #expect(try await made.choose(.point("2.1"))?.id == "2.1")
    #expect(try await made.choose(.timeline(.first))?.id == "1.2")
    #expect(try await made.choose(.timeline(TimelineNumber(2)!))?.id == "2.1")
    #expect(try await made.choose(.at(at(150)))?.id == "1.1", "it is older than what is not known")
    #expect(try await made.choose(.at(at(1200), in: TimelineNumber(2)!))?.id == "2.1")
    for question in [
      Question.newest(), .newest(.newest), .at(at(1200)), .timeline(TimelineNumber(3)!),
    ] {
      let error = await #expect(throws: LifeboatError.self) { _ = try await made.choose(question) }
      #expect(error?.code == .corrupt && error?.message.contains("timeline 3") == true)
      #expect(error?.hint?.contains("restore --timeline 2") == true, "\(error!)")
    }
    for number in 1...2 { try await made.addDumpIndex(number) }
    let listing = try await RepositoryListing.make(made.store, now: at(10_000))
    #expect(listing.timelines.map(\.number.value) == [1, 2])
    #expect(listing.unreadable == [claim(3)] && listing.newest == nil)
    #expect(listing.text.contains("not known: records can't be read"))
    let found = Diagnosis(try await RepositoryDiagnosis(made.store, now: at(10_000)).findings())
    #expect(found.exitCode == .corrupt)
    let error = await #expect(throws: LifeboatError.self) { _ = try await prune(made) }
    #expect(error?.message.contains("no writer has skipped it") == true, "\(error!)")
  }

  /// A listing lacks an object that can be read.
  private struct Hiding: StoreLayer {
    let base: any ObjectStore
    let hidden: String
    func list(prefix: String, continuing: String?) async throws -> ListPage {
      var page = try await base.list(prefix: prefix, continuing: continuing)
      page.entries.removeAll { $0.name == hidden }
      return page
    }
  }

  /// One object of a timeline that nobody claimed does not stop writers. They need proof that the claim is
  /// gone.
  @Test func `a writer passes a claim that is gone, but not one that a listing lacks`() async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    made.store.overwrite(
      ObjectPath.snapshot(TimelineNumber(7)!, sequence: 1).text, Array("garbage".utf8))
    let history = try await made.repository.history(passesClaims: true)
    #expect(history.highestNumber?.value == 7 && history.newestClaim?.timeline.value == 1)
    try await made.addClaim(7, at: 200, parentSnapshots: 1, parent: 1)
    let repository = try #require(
      try await Repository.open(Hiding(base: made.store, hidden: claim(7))))
    #expect(
      await code { _ = try await repository.history(passesClaims: true) } == .storeUnavailable)
  }

  @Test(arguments: [true, false])
  func `a claim that a writer has passed hides nothing, there or deleted`(isDeleted: Bool)
    async throws
  {
    let made = try await made(passing: true)
    if isDeleted { made.store.lose(claim(3)) }
    #expect(try await made.choose()?.id == "4.1")
    #expect(try await made.choose(.at(at(1900)))?.id == "2.1")
    #expect(try await made.choose(.at(at(9000)))?.id == "4.1")
    #expect(try await prune(made).result == .nothing)
    let history = try await made.repository.history(passesClaims: true)
    #expect(history.highestNumber?.value == 4)
    let report = try await Verifier(
      made.store, options: .init(sample: nil, by: "test"), now: { at(5000) }, draw: { 0 },
      progress: { _, _ in }
    ).run()
    #expect(report.findings.contains { $0.object == claim(3) } == !isDeleted, "\(report.text)")
  }

  @Test(arguments: [true, false])
  func `what was shipped under it keeps retention from deleting, and answers no time`(
    isDeleted: Bool
  ) async throws {
    let made = try await made(passing: true, objects: true)
    if isDeleted { made.store.lose(claim(3)) }
    #expect(try await made.choose()?.id == "4.1")
    #expect(try await made.choose(.at(at(150)))?.id == "1.1")
    #expect(await code { _ = try await made.choose(.at(at(1900))) } == .corrupt)
    #expect(try await made.choose(.at(at(9000)))?.id == "4.1")
    let error = await #expect(throws: LifeboatError.self) { _ = try await prune(made) }
    #expect(error?.message.contains("timeline 3 has 1 object,") == true, "\(error!)")
    // A writer continues with a higher number.
    #expect(try await made.repository.history(passesClaims: true).highestNumber?.value == 4)
  }

  @Test func `a claim that others go on from is needed by what has log of it`() async throws {
    for bytes in [Array("garbage".utf8), nil] {
      let made = try await MadeRepository()
      try await made.addClaim(1, at: 50)
      try await made.addSnapshot(1, 1, dumpAt: 60)
      try await made.addClaim(2, at: 100, parentSnapshots: 1)
      try await made.addLogSnapshot(2, 1)
      try await made.addLog(2, 0, 10, at: 200)
      try await made.addClaim(
        3, at: 1000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 10)], fork: 10)
      try await made.addForkedSnapshot(3, 1, at: 10)
      try await made.addLog(3, 10, 20, at: 1100)
      #expect(try await made.choose()?.id == "3.1@1:20")
      if let bytes { made.store.overwrite(claim(2), bytes) } else { made.store.lose(claim(2)) }
      for question in [
        Question.newest(), .timeline(TimelineNumber(3)!), .point("3.1"), .point("2.1"),
        .at(at(1200)), .at(at(1200), in: TimelineNumber(3)!),
      ] {
        #expect(await code { _ = try await made.choose(question) } == .corrupt, "\(question)")
      }
      #expect(try await made.choose(.point("1.1"))?.id == "1.1")
      #expect(try await made.choose(.timeline(.first))?.id == "1.1")
      let error = await #expect(throws: LifeboatError.self) { _ = try await prune(made) }
      #expect(error?.code == .corrupt)
    }
  }

  @Test func `nothing but garbage at the first claim is no empty repository`() async throws {
    let made = try await MadeRepository()
    made.store.overwrite(claim(1), [])
    #expect(await code { _ = try await made.choose() } == .corrupt)
    #expect(try await !made.repository.history().provesNoRestorePoint(snapshots: []))
  }
}
