import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Testing

/// `--at` where the full copy of a chain was uploaded by a later shipper than the first part of its log.
@Suite struct LaterBeginningTests {
  /// The AOF was rewritten at 15 s, while no shipper ran. The next shipper shipped log of the new file, and was
  /// killed before the new BASE was uploaded. Perhaps another one was killed before it wrote anything. The last
  /// one continued that log, and uploaded the BASE.
  private static func made(annotated: Bool, last: Int = 3) async throws -> (
    MadeRepository, length: UInt64
  ) {
    func log(_ second: Int) -> [UInt8] {
      (annotated ? LogBytes.stamp(second) : []) + LogBytes.command("SET at:\(second) 1")
    }
    let length = UInt64(log(10).count)
    let end = Claim.End.OrdinalEnd(ordinal: 1, offset: length)
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 5000)
    try await made.addLog(1, 0, bytes: log(10), at: 10_500)
    try await made.addClaim(2, at: 20_000, parentSnapshots: 1, ordinals: [end])
    try await made.addDetached(2, 1)
    try await made.addLog(2, 0, bytes: log(20), at: 20_500)
    if last == 4 { try await made.addClaim(3, at: 30_000, parentSnapshots: 1, ordinals: [end]) }
    try await made.addClaim(
      last, at: 40_000, parentSnapshots: last == 3 ? 1 : 0, ordinals: last == 3 ? [end] : [],
      fork: length, of: 2)
    try await made.addChain(last, 1, ordinal: 1, baseAt: 15_000, fork: length, of: 2)
    try await made.addLog(last, length, bytes: log(41), at: 41_200)
    return (made, length)
  }

  @Test(arguments: [false, true], [3, 4])
  func `a state between the shippers is that of the later chain`(annotated: Bool, last: Int)
    async throws
  {
    let (made, length) = try await Self.made(annotated: annotated, last: last)
    // Where timeline 2 ends, the last one begins.
    let fork = annotated ? "\(last).1@1:\(length)" : "\(last).1@2/1:\(length)"
    let wanted: [(Int64, String)] = [
      (17, "\(last).1@2/1:0"), (30, fork), (42, "\(last).1@1:\(2 * length)"),
    ]
    for (second, id) in wanted {
      let point = try await made.choose(.at(at(second * 1000)), now: at(60_000))
      #expect(point?.id == id, "second \(second)")
    }
  }

  /// The log from 10.5 s until the rewrite was never shipped.
  @Test(arguments: [false, true])
  func `between the two chains is a gap`(annotated: Bool) async throws {
    let (made, length) = try await Self.made(annotated: annotated)
    let known = try await made.known(at: 12_000)
    #expect(known.id == "1.1@1:\(length)" && known.gap?.until == at(15_000), "\(known)")
    #expect(
      await code { _ = try await made.choose(.at(at(12_000)), now: at(60_000)) } == .noBackup)
  }
}
