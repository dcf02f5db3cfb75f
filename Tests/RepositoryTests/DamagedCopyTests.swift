import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Testing

/// A full copy that `verify` found damaged. Every command that then uses an older state reports the loss.
@Suite struct DamagedCopyTests {
  /// The AOF was rewritten at 15 s, and the new BASE is quarantined. Its log goes on until 20.5 s.
  private static func made() async throws -> MadeRepository {
    let log = LogBytes.command("SET at:10 1")
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 4000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    try await made.addLog(1, 0, bytes: log, at: 10_500)
    try await made.addChain(1, 2, ordinal: 2, baseAt: 15_000)
    try await made.addLog(1, ordinal: 2, 0, bytes: log, at: 20_500)
    try await made.quarantine(made.baseID(1, 15_000))
    return made
  }

  @Test func `the newest state is the one before, and says what is lost`() async throws {
    let made = try await Self.made()
    let point = try #require(try await made.choose(now: at(30_000)))
    #expect(point.id.hasPrefix("1.1@1:") && point.instant == at(10_500))
    #expect(point.lostCopy?.since == at(10_500) && point.lostCopy?.until == at(20_500))
    let reader = try await made.reader
    let plan = try await reader.plan(point, .init(), without: [:])
    #expect(plan.warnings.contains { $0.contains("can't be restored") }, "\(plan.warnings)")
  }

  @Test func `a time that needs it is refused, with the state before it`() async throws {
    let made = try await Self.made()
    for second in [16, 20, 25] as [Int64] {
      do {
        let point = try await made.choose(.at(at(second * 1000)), now: at(30_000))
        Issue.record("second \(second): \(String(describing: point))")
      } catch let error as LifeboatError {
        #expect(error.code == .corrupt && error.hint?.contains("1.1@1:") == true, "\(error)")
      }
    }
    // The copy did not exist yet.
    let before = try await made.choose(.at(at(10_600)), now: at(30_000))
    #expect(before?.id.hasPrefix("1.1@1:") == true)
  }

  @Test func `nobody says that all of the log was read`() async throws {
    let made = try await Self.made()
    #expect(
      await code { _ = try await made.choose(.before("FLUSHALL"), now: at(30_000)) } == .corrupt)
  }

  @Test func `list, doctor and fleet say that something newer is lost`() async throws {
    let made = try await Self.made()
    let (listing, chronicle) = try await RepositoryListing.read(made.copy(), now: at(30_000))
    #expect(listing.isNewestBeforeLoss)
    #expect(listing.notices.contains { $0.kind == .loss && $0.text.contains("damaged") })
    #expect(listing.text.contains("BEFORE A LOSS"))
    let row = FleetRow(
      name: "n", location: "l", .picture(chronicle), ageMax: nil, now: at(30_000))
    #expect(row.state == .damaged && row.exitCode == .corrupt, "\(row)")
  }

  /// As after another rewrite, or after `ship` has uploaded the file again.
  @Test func `a newer full copy ends it`() async throws {
    let made = try await Self.made()
    try await made.addChain(1, 3, ordinal: 3, baseAt: 25_000)
    let point = try #require(try await made.choose(now: at(30_000)))
    #expect(point.snapshot.sequence == 3 && point.lostCopy == nil)
    let (listing, chronicle) = try await RepositoryListing.read(made.copy(), now: at(30_000))
    #expect(!listing.isNewestBeforeLoss && chronicle.newestLoss == nil)
    // The time before it still needs the damaged one.
    #expect(
      await code { _ = try await made.choose(.at(at(18_000)), now: at(30_000)) } == .corrupt)
  }
}
