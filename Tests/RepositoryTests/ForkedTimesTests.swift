import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// `--at` if a timeline forked inside an object, or if a dump replaced the log of one.
@Suite struct ForkedTimesTests {
  private static func set(_ key: String) -> [UInt8] { LogBytes.command("SET \(key) 1") }
  private let first = set("a")
  private var length: UInt64 { UInt64(first.count) }

  /// Timeline 1 has an object from 10.5 s, and one from 20 s that contains two commands.
  private func made() async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    try await made.addLog(1, 0, bytes: first, at: 10_500)
    try await made.addLog(1, length, bytes: Self.set("b") + Self.set("c"), at: 20_000)
    return made
  }

  private func check(_ made: MadeRepository, _ time: Int64, _ id: String) async throws {
    let chosen = try await made.choose(.at(at(time)), now: at(200_000))
    #expect(chosen?.id == id, "at \(time)")
  }

  /// A restore cut between the two commands, and the server continued from there twenty seconds after the
  /// claim. No name shows this cut.
  @Test(arguments: [true, false])
  func `a state that was gone back to is that of the time until the log goes on`(isMarked: Bool)
    async throws
  {
    let made = try await made()
    try await made.addClaim(
      2, at: 40_000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 3 * length)],
      fork: 2 * length)
    try await made.addForkedSnapshot(2, 1, at: 2 * length)
    try await made.addLog(
      2, 2 * length, bytes: Self.set("d"), at: isMarked ? 60_500 : nil)
    for second in [40, 50, 59] as [Int64] {
      try await check(made, second * 1000, "2.1@1/1:\(2 * length)")
    }
    try await check(made, 15_000, "1.1@1:\(length)")
    // An incomplete command does not count.
    let end = isMarked ? "2.1@1:\(3 * length)" : "2.1@1/1:\(2 * length)"
    try await check(made, 62_000, end)
    #expect(try await made.choose()?.id == end)
  }

  /// The AOF was switched off, and a dump was saved. Then a shipper started, found that the log had gone
  /// back, claimed, and shipped the dump. The dump had existed before the claim.
  @Test func `a dump of before the claim is later than the log that was gone back to`() async throws
  {
    let made = try await made()
    try await made.addClaim(
      2, at: 42_500, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 3 * length)],
      fork: 2 * length)
    try await made.addForkedSnapshot(2, 1, at: 2 * length)
    try await made.addSnapshot(2, 2, dumpAt: 38_000)
    for time in [42_500, 43_000, 99_000] as [Int64] { try await check(made, time, "2.2") }
  }

  /// An old dump replaced a log that had gone back, at an unknown time.
  @Test func `a dump that is older than the log does not date its own arrival`() async throws {
    let made = try await made()
    try await made.addClaim(
      2, at: 42_500, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 3 * length)],
      fork: 2 * length)
    try await made.addForkedSnapshot(2, 1, at: 2 * length)
    try await made.addSnapshot(2, 2, dumpAt: 12_000)
    try await check(made, 43_000, "2.1@1/1:\(2 * length)")
    #expect(try await made.choose()?.id == "2.2")
  }

  /// The time of a dump is a whole second. This one was saved at 20.7 s, and the log was last written at 20.3
  /// s.
  @Test func `a dump of the second of the last write is later than the log`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    try await made.addLog(1, 0, bytes: first, at: 20_300)
    try await made.addSnapshot(1, 2, dumpAt: 20_000)
    for time in [21_000, 60_000] as [Int64] { try await check(made, time, "1.2") }
    try await check(made, 20_500, "1.1@1:\(length)")
  }

  /// Timeline 3 was claimed from a listing without the snapshots of timeline 2, but continues its log. This
  /// log was on disk at the time of timeline 2, and is later than what timeline 1 has.
  @Test func `log of a timeline without snapshots counts if the next one continues it`()
    async throws
  {
    let made = try await made()
    try await made.addClaim(
      2, at: 40_000, parentSnapshots: 1, ordinals: [.init(ordinal: 1, offset: 3 * length)])
    try await made.addLog(2, 0, bytes: first, at: 30_500)
    try await made.addChain(2, 1, ordinal: 1, baseAt: 29_000)
    try await made.addClaim(
      3, at: 60_000, parentSnapshots: 0, ordinals: [.init(ordinal: 1, offset: length)],
      fork: length)
    try await made.addForkedSnapshot(3, 1, at: length)
    for second in [40, 50, 70] as [Int64] {
      try await check(made, second * 1000, "3.1@2/1:\(length)")
    }
    // If a timeline is requested, only that one is searched.
    let asked = try await made.known(at: 30_000, timeline: 1)
    #expect(asked.id == "1.1@1:\(3 * length)")
  }
}
