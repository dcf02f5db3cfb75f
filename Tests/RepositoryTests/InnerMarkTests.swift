import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Testing

/// Marks that names do not show: inside a fold, or inside an object that was written slowly.
@Suite struct InnerMarkTests {
  private func folded(
    inner: [(UInt64, Int64)]? = [(20, 200), (30, 300), (30, 310)], kind: Mark.Kind = .seen,
    by writer: Int? = nil
  ) async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 10, at: 100)
    try await made.addLog(1, 10, 40, at: 400, inner: inner, kind: kind, by: writer)
    try await made.addLog(1, 40, 50, at: 500)
    return made
  }

  @Test(
    arguments: [
      (99, nil), (100, 10), (199, 10), (200, 20), (299, 20), (300, 30), (399, 30), (400, 40),
      (499, 40), (500, 50), (9000, 50),
    ] as [(Int64, UInt64?)])
  func `--at finds the last mark, also inside a fold`(_ time: Int64, _ offset: UInt64?) async throws
  {
    let made = try await folded()
    var point: RestorePoint?
    let found = await code { point = try await made.choose(.at(at(time))) }
    #expect(found == (offset == nil ? .noBackup : nil))
    #expect(point?.cut?.offset == offset)
    #expect(point.map { $0.instant <= at(time) } ?? true)
  }

  @Test func `the first object of a log has marks inside as well`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 40, at: 400, inner: [(10, 100)])
    #expect(try await made.choose(.at(at(300)))?.cut?.offset == 10)
  }

  @Test func `an id that a fold took out of the listing is still one`() async throws {
    let made = try await folded()
    #expect(try await made.choose(.point("1.1@1:20"))?.instant == at(200))
    for offset in [11, 25, 39] {
      let found = await code { _ = try await made.choose(.point("1.1@1:\(offset)")) }
      #expect(found == .noBackup, "\(offset)")
    }
  }

  @Test func `an object that can't be read, or is foreign, leaves the point before it`()
    async throws
  {
    for made in [try await folded(inner: nil), try await folded(by: 9)] {
      #expect(try await made.choose(.at(at(399)))?.cut?.offset == 10)
    }
  }

  @Test func `an annotation may stand inside a transaction, and is no cut`() async throws {
    let made = try await folded(kind: .annotation)
    #expect(try await made.choose(.at(at(399)))?.cut?.offset == 10)
  }

  @Test func `behind a fork a fold gives its marks up to there, and none of the abandoned rest`()
    async throws
  {
    let made = try await folded()
    try await made.addClaim(
      2, at: 1000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 50)])
    try await made.addForkedSnapshot(2, 1, at: 30)
    try await made.addLog(2, 30, 60, at: 2000)
    #expect(try await made.choose(.at(at(1999)))?.id == "2.1@1/1:30")
    #expect(try await made.choose(.at(at(2000)))?.id == "2.1@1:60")
    #expect(try await made.choose(.point("2.1@1/1:20"))?.instant == at(200))
    #expect(await code { _ = try await made.choose(.point("2.1@1/1:40")) } == .noBackup)
  }
}
