import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import TestSupport
import Testing

/// Decision 0008: objects that another process wrote under a timeline's names do not exist.
@Suite struct ForeignRecordTests {
  @Test func `a foreign snapshot at the end leaves the point before it the newest, also by time`()
    async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    try await made.addSnapshot(1, 2, dumpAt: 200, by: 9)
    #expect(try await made.choose()?.id == "1.1")
    #expect(try await made.choose(.at(at(5000)))?.id == "1.1")
    #expect(try await made.choose(.timeline(.first))?.id == "1.1")
    #expect(try await made.reader.lastSnapshot(of: .first)?.sequence == 1)
  }

  @Test func `what the owner wrote behind a foreign snapshot counts`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addSnapshot(1, 1, dumpAt: 100, by: 9)
    try await made.addSnapshot(1, 2, dumpAt: 200)
    #expect(try await made.choose()?.id == "1.2")
    #expect(try await made.choose(.at(at(5000)))?.id == "1.2")
    #expect(await code { _ = try await made.choose(.at(at(150))) } == .noBackup)
  }

  @Test func `a newest timeline that has only foreign snapshots is no more than a fence`()
    async throws
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    try await made.addClaim(2, at: 1000, parentSnapshots: 1)
    try await made.addSnapshot(2, 1, dumpAt: 1100, by: 9)
    #expect(try await made.choose()?.id == "1.1")
    #expect(try await made.choose(.at(at(5000)))?.id == "1.1")
    #expect(
      await code { _ = try await made.choose(.timeline(TimelineNumber(2)!)) } == .noBackup)
  }

  @Test func `asked for by its number a foreign snapshot is an error`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addSnapshot(1, 1, dumpAt: 100, by: 9)
    #expect(await code { _ = try await made.choose(.point("1.1")) } == .corrupt)
  }

  @Test func `a claim of another repository, or of another number, is an error`() async throws {
    for change in [{ $0.repository = nonce(5) }, { $0.timeline = TimelineNumber(7)! }]
      as [@Sendable (inout Claim) -> Void]
    {
      let made = try await MadeRepository()
      try await made.addClaim(1, at: 0)
      try await made.addSnapshot(1, 1, dumpAt: 100)
      #expect(try await made.choose()?.id == "1.1")
      var claim = try await made.repository.claim(.first)
      change(&claim)
      made.store.lose(ObjectPath.claim(.first).text)
      _ = try await made.repository.create(claim, .claim(.first), kind: .claim)
      #expect(await code { _ = try await made.choose() } == .corrupt)
    }
  }

  @Test func `a foreign snapshot never proves that there has been no restore point`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    #expect(try await made.reader.history.provesNoRestorePoint(snapshots: []))
    try await made.addSnapshot(1, 1, dumpAt: nil, by: 9)
    let reader = try await made.reader
    #expect(try await made.choose() == nil)
    #expect(try await reader.snapshots(of: .first).isEmpty)
    #expect(!reader.history.provesNoRestorePoint(snapshots: []))
  }
}
