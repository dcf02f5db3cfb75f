import BackupFormat
import BackupTypes
import RedisFormats
import Testing
import WriterLogic

/// A plan starts with the result of the comparison before the claim. Nothing that the repository has is sent
/// again.
@Suite struct ComparisonTests {
  private let set = command("SET", "k", "v")
  private let two = TimelineNumber(2)!
  private let form = AOFForm.multiPart(directory: "d", manifest: "m.manifest")
  private let base = Snapshot.Base(generation: generationID(1), file: "b", sequence: 1)

  private func pinned(_ pin: Int, _ name: String, size: Int) -> PinnedFile {
    PinnedFile(
      pin: PinID(pin), name: name, size: UInt64(size),
      modified: FileMoment(seconds: 10, nanoseconds: 0),
      born: FileMoment(seconds: 1, nanoseconds: 0),
      identity: FileIdentity(inode: UInt64(pin), bornSeconds: 1, bornNanoseconds: 0))
  }
  private func view(size: Int, dump: PinnedFile? = nil) -> CaptureView {
    CaptureView(
      at: at(20_000), dump: dump,
      aof: .set(
        AOFSetView(
          form: form, base: .init(file: pinned(1, "b", size: 50), sequence: 1),
          increments: [.init(file: pinned(2, "i", size: size), sequence: 1)],
          manifestModified: nil)))
  }
  /// A chain whose first command is in the parent timeline. The disk has `count` commands.
  private func chain(count: Int) -> Chain {
    let held = UInt64(set.count)
    let file = FollowedFile(
      file: pinned(2, "i", size: count * set.count), sequence: 1,
      inherited: [.init(timeline: .first, ordinal: 3, from: 0, to: held)], start: held,
      hasContentBefore: true)
    return Chain(
      form: form, files: [file], anchor: .init(kind: .base(base), first: 0, pin: PinID(1)),
      candidate: nil)
  }
  private func plan(_ comparison: Comparison, _ view: CaptureView) -> Writing {
    Writing(
      claim: claim(2, parent: 1, end: .init(snapshots: 1, ordinals: [])), comparison: comparison,
      view: view, options: .init())
  }

  @Test func `the first snapshot refers to the parent's log, and only what is new is sent`() throws
  {
    var comparison = Comparison(hasNews: true, hasPoint: true)
    comparison.chain = chain(count: 2)
    var plan = plan(comparison, view(size: 2 * set.count))
    guard case .putSnapshot(let snapshot) = plan.actions(now: at(20_000)).first else {
      Issue.record("no snapshot comes first")
      return
    }
    let size = UInt64(set.count)
    #expect(snapshot.primary == .aof && snapshot.chain?.base == base)
    #expect(
      snapshot.chain?.files.first?.segments == [
        .init(timeline: .first, ordinal: 3, from: 0, to: size),
        .init(timeline: two, ordinal: 1, from: size, to: nil),
      ])
    plan.recordDurable(span: nil, now: at(20_000))
    #expect(plan.unscanned.map(\.from) == [size])
    set.withUnsafeBytes { plan.consume($0, of: PinID(2)) }
    let actions = plan.actions(now: at(20_000))
    guard actions.count == 1, case .putLog(let shipment) = actions[0] else {
      Issue.record("\(actions) is not one log object")
      return
    }
    #expect(shipment.from == size && shipment.to == 2 * size && shipment.ordinal == 1)
  }

  /// On a busy machine, the clock of a look may be read long after the sizes. Commands that came in between
  /// are not in a state of that size.
  @Test func `a mark has the time of its file's last write, not that of the look`() throws {
    var comparison = Comparison(hasNews: true, hasPoint: true)
    comparison.chain = chain(count: 2)
    let look = view(size: 2 * set.count)
    let written = look.aof.set!.increments.last!.file.modified.instant
    #expect(look.at.since(written) == 10_000)
    var plan = plan(comparison, look)
    _ = plan.actions(now: look.at)
    plan.recordDurable(span: nil, now: look.at)
    set.withUnsafeBytes { plan.consume($0, of: PinID(2)) }
    guard case .putLog(let shipment) = plan.actions(now: look.at).first else {
      Issue.record("no log is sent")
      return
    }
    // 10 ms are added, because a kernel sets a file's time to that of its last tick.
    #expect(shipment.mark == written.advanced(byMilliseconds: 10))
  }

  @Test func `a dump that the repository holds is not sent again, another one is`() {
    let file = pinned(7, "dump.rdb", size: 100)
    let record = Snapshot.Dump(
      generation: generationID(9), file: "dump.rdb", contentAt: at(1000), pinnedAt: nil)
    for (held, isSent) in [(file, false), (pinned(8, "dump.rdb", size: 100), true)] {
      var comparison = Comparison(hasNews: true, hasPoint: true)
      comparison.dump = .init(record: record, dataset: nil, file: held)
      let view = CaptureView(at: at(20_000), dump: file, aof: .absent)
      var plan = plan(comparison, view)
      let uploads = plan.actions(now: at(20_000)).filter {
        if case .uploadGeneration = $0 { return true }
        return false
      }
      #expect(uploads.isEmpty != isSent)
    }
  }

  @Test func `a chain that the disk does not continue stays readable until there is a newer state`()
  {
    var comparison = Comparison(hasNews: true, hasPoint: true)
    let record = Snapshot.Chain(
      form: form, base: base,
      files: [
        .init(
          file: "old", sequence: 1,
          segments: [.init(timeline: .first, ordinal: 1, from: 0, to: 30)], identity: nil)
      ])
    comparison.carried = ClosedChain(record: record, until: at(5000))
    let disk = view(size: set.count)
    comparison.chain = disk.aof.set.map { Chain(fresh: $0) }
    var plan = plan(comparison, disk)
    guard case .putSnapshot(let snapshot) = plan.actions(now: at(20_000)).first else {
      Issue.record("no snapshot comes first")
      return
    }
    #expect(snapshot.chain == record && snapshot.primary == .aof)
    #expect(snapshot.detached?.awaitedBase == "b" && snapshot.detached?.files.count == 1)
  }

  @Test func `where the newest point was a dump, a BASE without its log does not go before it`() {
    var comparison = Comparison(hasNews: true, hasPoint: true)
    let dump = pinned(7, "dump.rdb", size: 100)
    comparison.dump = .init(
      record: .init(
        generation: generationID(9), file: "dump.rdb", contentAt: at(9000), pinnedAt: nil),
      dataset: nil, file: dump)
    comparison.chain = chain(count: 2)
    for (before, expected) in [
      (nil, Snapshot.Primary.rdb), (position(1, 3, UInt64(set.count)), .aof),
    ] {
      comparison.before = (.first, 1, before)
      var plan = plan(comparison, view(size: 2 * set.count, dump: dump))
      guard case .putSnapshot(let snapshot) = plan.actions(now: at(20_000)).first else {
        Issue.record("no snapshot comes first")
        return
      }
      #expect(snapshot.primary == expected)
    }
  }
}
