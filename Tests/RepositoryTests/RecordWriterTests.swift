import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// What a shipper deletes, and when it must no longer delete.
@Suite struct RecordWriterTests {
  private func writer(_ made: MadeRepository) async throws -> RecordWriter {
    let claim = try await made.repository.claim(.first)
    return RecordWriter(repository: made.repository, claim: claim, checksOwnClaim: false)
  }

  /// A fold that was written after the successor's listing is after the timeline's end. A reader does not see
  /// it, so the objects that it replaces are the only ones.
  @Test func `what was folded stays, once another has claimed`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 10, at: 1000)
    try await made.addLog(1, 10, 20, at: 2000)
    try await made.addClaim(
      2, at: 2500, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 20)])
    try await made.addLog(1, 20, 30, at: 3000)
    try await made.addLog(1, 0, 30, at: 3000)
    let small = made.store.names.filter { $0.contains("/log/") }.sorted().filter {
      guard case .log(_, _, let span) = ObjectPath($0) else { return false }
      return span.count == 10
    }
    #expect(small.count == 3)
    await #expect(throws: RecordWriter.Superseded.self) {
      try await writer(made).remove(small)
    }
    #expect(small.allSatisfy(made.store.names.contains))
    #expect(try await made.choose(.timeline(.first))?.cut?.offset == 20)
  }

  @Test func `while nobody has, it goes`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 10, at: 1000)
    try await made.addLog(1, 0, 20, at: 2000)
    let small = try #require(made.store.names.filter { $0.contains("/log/") }.min())
    try await writer(made).remove([small])
    #expect(!made.store.names.contains(small))
    #expect(try await made.choose()?.cut?.offset == 20)
  }
}
