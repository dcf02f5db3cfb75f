import BackupTypes
import RepositoryAccess
import Testing

/// The rows of `list`, one for each recovery window.
@Suite struct ListingRowsTests {
  private let command = Array("*1\r\n$4\r\nPING\r\n".utf8)

  /// A window ends with its last write. Its first snapshot is written later.
  @Test func `the row of a first start has its restore point and its keys`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addSnapshot(1, 1, dumpAt: nil)
    try await made.addLog(1, 0, bytes: command, at: 1000)
    try await made.addChain(1, 2, ordinal: 1, baseAt: 500, writtenAt: 2000, keys: 12)
    let listing = try await RepositoryListing.make(made.store, now: at(10_000))
    let window = try #require(listing.timelines[0].windows.first)
    #expect(window.point == "1.2@1:14" && window.keys == 12, "\(window)")
    #expect(listing.text.contains("~12  1.2@1:14\n"), "\(listing.text)")
  }

  /// The last snapshot is of an emptied database, and a few keys were written after it. A writer only records
  /// their number once there are more.
  @Test(arguments: [(0, true), (2, false)])
  func `unknown is not 0`(sets: Int, isKnown: Bool) async throws {
    let set = Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".utf8)
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    let log = command + (0..<sets).flatMap { _ in set }
    try await made.addLog(1, 0, bytes: log, at: 1000)
    try await made.addChain(
      1, 1, ordinal: 1, baseAt: 500, writtenAt: 900, keys: 0, reached: UInt64(command.count))
    let listing = try await RepositoryListing.make(made.store, now: at(10_000))
    let window = try #require(listing.timelines[0].windows.first)
    #expect(window.point == "1.1@1:\(log.count)" && window.keys == (isKnown ? 0 : nil), "\(window)")
    #expect(
      listing.text.contains((isKnown ? "~0" : "unknown") + "  1.1@1:\(log.count)\n"),
      "\(listing.text)")
  }

  @Test func `a snapshot of a later window says nothing about this one`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addLog(1, 0, bytes: command, at: 1000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 500, writtenAt: 900, keys: 12)
    try await made.addLog(1, ordinal: 2, 0, bytes: command, at: 500_000)
    try await made.addChain(1, 2, ordinal: 2, baseAt: 400_000, writtenAt: 600_000, keys: 3)
    let listing = try await RepositoryListing.make(made.store, now: at(1_000_000))
    let windows = listing.timelines[0].windows
    #expect(windows.map(\.point) == ["1.1@1:14", "1.2@2:14"], "\(windows)")
    #expect(windows.map(\.keys) == [12, 3], "\(windows)")
  }
}
