import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// Which dump a restore puts beside a log. It contains nothing from after the cut. It is never empty, because
/// a server with `appendonly no` would then start empty.
@Suite struct DumpJoinTests {
  private typealias Dump = Snapshot.Dump
  private let own = generationID(1)
  private let earlier = generationID(2)
  private let base = generationID(3)

  /// A chain of two timelines. The log of the first file is [0, 100): up to 60 it is in timeline 1, the rest
  /// is in timeline 2. The log of the second file is in timeline 2.
  private func snapshot(_ dump: Dump?) -> Snapshot {
    let (one, two) = (TimelineNumber.first, TimelineNumber(2)!)
    let files: [Snapshot.LogFile] = [
      .init(
        file: "i1", sequence: 1,
        segments: [
          .init(timeline: one, ordinal: 3, from: 0, to: 60),
          .init(timeline: two, ordinal: 1, from: 60, to: 100),
        ], identity: nil),
      .init(
        file: "i2", sequence: 2, segments: [.init(timeline: two, ordinal: 2, from: 0, to: nil)],
        identity: nil),
    ]
    return Snapshot(
      timeline: two, sequence: 9, nonce: nonce(2), at: at(500), cause: .claim, primary: .aof,
      chain: .init(
        form: .multiPart(directory: "dir", manifest: "m.manifest"),
        base: .init(generation: base, file: "b.rdb", sequence: 1), files: files),
      dump: dump, detached: nil, isClean: false, destructive: nil)
  }

  private func dump(_ id: GenerationID, _ pinned: LogPosition?, at time: Int64 = 100) -> Dump {
    .init(generation: id, file: "d.rdb", contentAt: at(time), pinnedAt: pinned)
  }

  private func plan(
    _ dumps: [Dump], cut: LogPosition, keys: [GenerationID: UInt64] = [:], baseKeys: UInt64 = 3,
    log: [(Int, Int, UInt64, UInt64)] = [
      (1, 3, 0, 20), (1, 3, 20, 60), (2, 1, 60, 100), (2, 2, 0, 10), (2, 2, 10, 50),
      (2, 2, 50, 90),
    ]
  ) throws -> RestorePlan {
    var catalogue = Catalogue(
      names: (1...2).map { (ObjectPath.claim(TimelineNumber($0)!).text, 1) })
    for (timeline, ordinal, from, to) in log {
      let name = ObjectPath.log(
        TimelineNumber(timeline)!, ordinal: ordinal, span(from, to, at: 200))
      catalogue.add(name: name.text, size: 1)
    }
    let second = claim(
      2, parent: 1, fork: position(1, 3, 60),
      end: .init(snapshots: 5, ordinals: [.init(ordinal: 3, offset: 60)]))
    let snapshot = snapshot(dumps.first)
    var planner = RestorePlanner(
      history: try History(
        catalogue: catalogue, claims: [.first: claim(1), second.timeline: second]),
      point: RestorePoint(snapshot: snapshot, primary: .aof, cut: cut, instant: at(300)),
      indexes: [
        base: index(base, .base, file: "b.rdb", contentAt: 50, dataset: dataset(keys: baseKeys))
      ], options: .init())
    for dump in dumps {
      planner.indexes[dump.generation] = index(
        dump.generation, .dump, file: "d.rdb", contentAt: dump.contentAt.milliseconds,
        dataset: dataset(keys: keys[dump.generation] ?? 5))
    }
    planner.earlierDumps = Array(dumps.dropFirst())
    return try planner.plan()
  }

  /// The content of the dump: a generation or the BASE; nil if there is no dump.
  private func joined(_ plan: RestorePlan) -> GenerationID? {
    switch plan.files.first(where: { $0.role == .dump })?.content {
    case .generation(let index): index.generation
    case .same: base
    default: nil
    }
  }

  @Test func `a dump joins behind the first size of the log that was seen after it was pinned`()
    throws
  {
    // The log has marks at 10, 50 and 90 of the second file.
    for (pinned, cut, joins) in [
      // FLUSHALL begins at 30, after its annotation. Its object ends at 50.
      (10, 30, false), (10, 49, false), (10, 50, true), (10, 70, true), (9, 10, true),
      (10, 10, false), (20, 30, false), (20, 50, true), (50, 49, false), (90, 89, false),
      // Nothing follows the cut.
      (90, 90, true), (UInt64.max, 90, false),
    ] as [(UInt64, UInt64, Bool)] {
      let made = try plan([dump(own, position(2, 2, pinned))], cut: position(2, 2, cut))
      #expect(joined(made) == (joins ? own : base), "pinned at \(pinned), cut at \(cut)")
      #expect(made.loadsWithNo == at(joins ? 100 : 50))
    }
  }

  @Test func `positions are places in the server's files, whatever timeline has their log`() throws
  {
    let cases: [(LogPosition?, LogPosition, Bool)] = [
      // An earlier file was written to its end before the next one was opened.
      (position(2, 1, 100), position(2, 2, 0), true),
      (position(2, 1, .max), position(2, 2, 5), true),
      (position(1, 3, 60), position(2, 2, 5), true),
      (position(2, 2, 0), position(2, 1, 100), false),
      // One file in two timelines.
      (position(1, 3, 10), position(2, 1, 100), true),
      (position(1, 3, 60), position(2, 1, 80), false),
      (position(1, 3, 30), position(2, 1, 80), true),
      (position(1, 3, 30), position(1, 3, 50), false),
      // Pinned after the place where the next timeline continues, so it may belong to another branch.
      (position(1, 3, 70), position(2, 1, 100), false),
      (position(1, 3, 70), position(2, 2, 50), false),
      (position(1, 3, .max), position(2, 2, 50), false),
      // Before the chain, or not in it.
      (position(1, 2, 999), position(1, 3, 0), true),
      (position(1, 4, 0), position(2, 2, 50), false),
      (position(2, 3, 0), position(2, 2, 50), false), (nil, position(2, 2, 50), false),
    ]
    for (pinned, cut, joins) in cases {
      let made = try plan([dump(own, pinned)], cut: cut)
      #expect(
        joined(made) == (joins ? own : base), "\(String(describing: pinned)), cut at \(cut)")
    }
    let later = try plan([dump(own, position(2, 2, 10), at: 301)], cut: position(2, 2, 90))
    #expect(joined(later) == base, "its content is younger than the state")
  }

  @Test func `the log that went on and was lost counts as gone on`() throws {
    let pinned = dump(own, position(1, 3, 20))
    // The rest of the first file is lost, and with it everything after it.
    let made = try plan(
      [pinned], cut: position(1, 3, 20), log: [(1, 3, 0, 20), (2, 1, 60, 100)])
    #expect(joined(made) == base)
    #expect(made.loss?.from == 20 && made.loss?.to == 60 && made.loss?.ordinal == 3)
  }

  @Test func `a dump without keys joins nothing, and it is said`() throws {
    let end = position(2, 2, 90)
    for (pinned, cut) in [(10, 50), (10, 90), (90, 90)] as [(UInt64, UInt64)] {
      let made = try plan(
        [dump(own, position(2, 2, pinned))], cut: position(2, 2, cut), keys: [own: 0])
      #expect(joined(made) == base)
      #expect(made.warnings.contains { $0.contains("has no keys") }, "\(made.warnings)")
    }
    let nothing = try plan([dump(own, end)], cut: end, keys: [own: 0], baseKeys: 0)
    #expect(joined(nothing) == nil && nothing.loadsWithNo == nil)
    #expect(nothing.warnings.contains { $0.contains("would start EMPTY") })
  }

  @Test func `where the newest dump does not join, an earlier one does, or the younger BASE`()
    throws
  {
    let flushed = dump(own, position(2, 2, 10))
    let cut = position(2, 2, 30)
    let saved = dump(earlier, position(2, 2, 5), at: 80)
    #expect(joined(try plan([flushed, saved], cut: cut, keys: [own: 0])) == earlier)
    #expect(joined(try plan([flushed, saved], cut: cut)) == earlier)
    // From before the chain, so the BASE is newer.
    let old = dump(earlier, position(1, 1, 5), at: 10)
    #expect(joined(try plan([flushed, old], cut: cut)) == base)
    #expect(joined(try plan([flushed, old], cut: cut, baseKeys: 0)) == earlier)
    // Neither of the two can be used.
    let late = dump(earlier, position(2, 2, 10), at: 90)
    #expect(joined(try plan([flushed, late], cut: cut)) == base)
  }
}
