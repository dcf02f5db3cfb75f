import BackupFormat
import BackupTypes
import Testing
import WriterLogic

/// The AOF was rewritten while no shipper was running, and a restore had put an old dump into the directory.
/// Until the new BASE is durable, the newest state is the end of the previous timeline.
@Suite struct OldDumpTests {
  private func file(_ pin: Int, _ name: String, at seconds: Int64) -> PinnedFile {
    let moment = FileMoment(seconds: seconds, nanoseconds: 0)
    return PinnedFile(
      pin: PinID(pin), name: name, size: 1, modified: moment, born: moment,
      identity: FileIdentity(inode: UInt64(pin), bornSeconds: seconds, bornNanoseconds: 0))
  }

  /// The first snapshot if the history ended at `end` with a log.
  private func first(historyEnd end: Int64, writesAt seconds: Int64) -> Snapshot? {
    let dump = file(1, "dump.rdb", at: 100)
    let set = AOFSetView(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: .init(file: file(2, "a.2.base.rdb", at: 900), sequence: 2),
      increments: [.init(file: file(3, "a.2.incr.aof", at: seconds), sequence: 2)],
      manifestModified: FileMoment(seconds: seconds, nanoseconds: 0))
    let view = CaptureView(at: at(1_000_000), dump: dump, aof: .set(set))
    var comparison = Comparison(hasNews: true, hasPoint: true)
    comparison.parent = .first
    comparison.chain = Chain(fresh: set)
    comparison.dump = .init(
      record: .init(
        generation: generationID(1), file: "dump.rdb", contentAt: at(100_000), pinnedAt: nil),
      dataset: dataset(keys: 1), file: dump)
    comparison.lastMark = at(end)
    comparison.before = (.first, 1, position(1, 1, 5))
    var plan = Writing(
      claim: claim(2, parent: 1, end: .init(snapshots: 1, ordinals: [])), comparison: comparison,
      view: view, options: .init())
    for case .putSnapshot(let snapshot) in plan.actions(now: at(1_000_000)) { return snapshot }
    return nil
  }

  @Test func `it is no restore point beside a live AOF that is not readable yet`() throws {
    let snapshot = try #require(first(historyEnd: 800_000, writesAt: 950))
    #expect(snapshot.primary == nil && snapshot.detached != nil)
    #expect(snapshot.dump?.contentAt == at(100_000))
  }

  @Test func `it is one where the history ended before it, or where no server writes the AOF`() {
    #expect(first(historyEnd: 100_500, writesAt: 950)?.primary == .rdb)
    #expect(first(historyEnd: 800_000, writesAt: 50)?.primary == .rdb)
  }
}
