import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Testing
import WriterLogic

@testable import Shipping

/// The objects that an idle shipper reads back from time to time.
@Suite struct FollowedObjectsTests {
  private func objects(_ made: MadeRepository, _ timeline: Int, _ offset: UInt64) async throws
    -> [ObjectPath]
  {
    var comparison = Comparison(hasNews: false, hasPoint: true)
    let number = try #require(TimelineNumber(timeline))
    comparison.before = (number, 1, LogPosition(timeline: number, ordinal: 1, offset: offset))
    return comparison.objects(try await made.repository.history())
  }

  private func logs(_ objects: [ObjectPath]) -> [Range<UInt64>] {
    objects.compactMap { name in
      if case .log(_, _, let span) = name { span.from..<span.to } else { nil }
    }
  }

  @Test func `the last object of the log is among it`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 10, at: 1000)
    try await made.addLog(1, 10, 30, at: 2000)
    #expect(logs(try await objects(made, 1, 30)) == [10..<30])
    // The folded object, after a fold.
    try await made.addLog(1, 0, 30, at: 2000)
    #expect(logs(try await objects(made, 1, 30)) == [0..<30])
  }

  /// The log of the second timeline starts where that of the first one ends.
  @Test func `also where a timeline continues the file of another`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 10, at: 1000)
    try await made.addClaim(
      2, at: 1500, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 10)], fork: 10)
    try await made.addForkedSnapshot(2, 1, at: 10)
    try await made.addLog(2, 10, 20, at: 2000)
    try await made.addLog(2, 20, 25, at: 3000)
    #expect(logs(try await objects(made, 2, 25)) == [20..<25])
  }
}
