import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// Which files a point gives, so that a server loads it with any configuration (design 6.4, 6.7).
@Suite struct RestorePlannerTests {
  private let form = AOFForm.multiPart(directory: "dir", manifest: "name.aof.manifest")

  private func snapshot(
    _ primary: Snapshot.Primary?, chain: Snapshot.Chain? = nil, dump: Snapshot.Dump? = nil
  ) -> Snapshot {
    Snapshot(
      timeline: .first, sequence: 1, nonce: nonce(1), at: at(500), cause: .claim, primary: primary,
      chain: chain, dump: dump, detached: nil, isClean: false, destructive: nil)
  }
  private func file(_ name: String, _ segments: [(UInt64, UInt64?)], ordinal: Int = 1)
    -> Snapshot.LogFile
  {
    .init(
      file: name, sequence: Int64(ordinal),
      segments: segments.map {
        .init(timeline: .first, ordinal: ordinal, from: $0.0, to: $0.1)
      }, identity: nil)
  }
  private func dump(_ file: String = "d.rdb", at time: Int64 = 100, pinned: LogPosition? = nil)
    -> Snapshot.Dump
  {
    .init(generation: generationID(1), file: file, contentAt: at(time), pinnedAt: pinned)
  }
  private var base: Snapshot.Base {
    .init(generation: generationID(2), file: "b.rdb", sequence: 1)
  }

  private func plan(
    _ snapshot: Snapshot, cut: LogPosition? = nil, instant: Int64 = 300,
    log: [(Int, UInt64, UInt64)] = [(1, 0, 10), (1, 10, 20), (2, 0, 10)], baseKeys: UInt64? = 3,
    dumpVersion: Int = 11, hasIndexes: Bool = true,
    _ change: (inout RestorePlan.Options) -> Void = { _ in }
  ) throws -> RestorePlan {
    var catalogue = Catalogue(names: [(ObjectPath.claim(.first).text, 1)])
    for (ordinal, from, to) in log {
      catalogue.add(name: ObjectPath.log(.first, ordinal: ordinal, span(from, to)).text, size: 1)
    }
    var options = RestorePlan.Options()
    change(&options)
    var indexes = [
      generationID(1): index(
        generationID(1), .dump, file: "d.rdb", contentAt: 100,
        dataset: dataset(keys: 5, version: dumpVersion)),
      generationID(2): index(
        generationID(2), .base, file: "b.rdb", contentAt: 50,
        dataset: baseKeys.map { dataset(keys: $0) }),
    ]
    if !hasIndexes { indexes = [:] }
    return try RestorePlanner(
      history: try History(catalogue: catalogue, claims: [.first: claim(1)]),
      point: point(snapshot, cut, instant),
      indexes: indexes, options: options
    ).plan()
  }
  private func point(_ snapshot: Snapshot, _ cut: LogPosition?, _ instant: Int64) throws
    -> RestorePoint
  {
    let finder = PointFinder(
      history: try History(catalogue: Catalogue(), claims: [:]), timeline: .first, snapshots: [:])
    var made = finder.newest(of: self.snapshot(.rdb, dump: dump()))!
    (made.snapshot, made.primary) = (snapshot, snapshot.primary!)
    (made.cut, made.instant) = (cut, at(instant))
    return made
  }
  private func code(_ body: () throws -> RestorePlan) -> ExitCode? {
    do { _ = try body() } catch { return (error as? LifeboatError)?.code }
    return nil
  }
  private func paths(_ plan: RestorePlan) -> [String] { plan.files.map(\.path) }

  @Test func `a dump stands as dump and as BASE, so that either setting loads it`() throws {
    let made = try plan(snapshot(.rdb, dump: dump("my.rdb")))
    #expect(
      paths(made) == [
        "my.rdb", "appendonlydir/appendonly.aof.1.base.rdb",
        "appendonlydir/appendonly.aof.manifest",
      ])
    #expect(made.files[1].content == .same(0, mustCopy: false))
    #expect(
      made.files[2].content
        == .bytes(Array("file appendonly.aof.1.base.rdb seq 1 type b\n".utf8)))
    #expect(made.loadsWithYes == at(300) && made.loadsWithNo == at(300))
    #expect(made.requests == 1 && made.warnings.isEmpty)
    #expect(made.bytes == 100 + made.files[2].size, "a link needs no room")
  }

  @Test func `a dump goes to a server that knows one file only as that file, as a copy`() throws {
    for (version, isLegacy, expected) in [(9, false, true), (10, false, false), (11, true, true)] {
      let made = try plan(snapshot(.rdb, dump: dump()), dumpVersion: version) {
        $0.usesLegacyForm = isLegacy
      }
      #expect((paths(made) == ["d.rdb", "appendonly.aof"]) == expected, "\(version)")
      if expected { #expect(made.files[1].content == .same(0, mustCopy: true)) }
    }
  }

  @Test
  func
    `with --appendonly no, restore writes no AOF that would be stale, and says what yes would do`()
    throws
  {
    let made = try plan(snapshot(.rdb, dump: dump())) { $0.appendOnly = .no }
    #expect(paths(made) == ["d.rdb"])
    #expect(made.loadsWithYes == nil && made.loadsWithNo == at(300))
    #expect(made.warnings.count == 1)
  }

  @Test func `a point in the log that the server would not load is an error`() throws {
    let chain = Snapshot.Chain(form: form, base: base, files: [file("i", [(0, nil)])])
    #expect(
      code {
        try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 20)) { $0.appendOnly = .no }
      }
        == .corrupt)
    #expect(
      code {
        try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 20)) { $0.usesLegacyForm = true }
      } == .versionMismatch)
  }

  @Test func `a chain keeps its names, is cut where it was asked, and ends with its manifest`()
    throws
  {
    let chain = Snapshot.Chain(
      form: form, base: base, files: [file("i1", [(0, 20)]), file("i2", [(0, nil)], ordinal: 2)])
    let whole = try plan(snapshot(.aof, chain: chain), cut: position(1, 2, 10))
    #expect(
      paths(whole) == ["dir/b.rdb", "dir/i1", "dir/i2", "dir/name.aof.manifest", "dump.rdb"])
    #expect(whole.names.appendFile == "name.aof")
    let cut = try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 10))
    #expect(paths(cut) == ["dir/b.rdb", "dir/i1", "dir/name.aof.manifest", "dump.rdb"])
    #expect(cut.files[1].size == 10)
    #expect(
      cut.files[2].content
        == .bytes(Array("file b.rdb seq 1 type b\nfile i1 seq 1 type i\n".utf8)))
    let inside = try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 15))
    guard case .log(let parts) = inside.files[1].content else {
      Issue.record("not a log")
      return
    }
    #expect(parts.map(\.to) == [10, 15] && parts.map(\.from) == [0, 10])
  }

  @Test func `a hole before the cut is an error; behind it, it is nobody's concern`() throws {
    let chain = Snapshot.Chain(form: form, base: base, files: [file("i1", [(0, nil)])])
    let holed: [(Int, UInt64, UInt64)] = [(1, 0, 10), (1, 15, 30)]
    #expect(
      code { try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 10), log: holed) } == nil)
    #expect(
      code { try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 30), log: holed) }
        == .corrupt)
  }

  @Test func `records that contradict themselves are corrupt, whatever they say`() {
    let bad: [(String, [Snapshot.LogFile], LogPosition?)] = [
      ("segments overlap", [file("i", [(0, 15), (10, 20)])], position(1, 1, 20)),
      ("a gap", [file("i", [(0, 5), (10, nil)])], position(1, 1, 20)),
      ("not from 0", [file("i", [(5, nil)])], position(1, 1, 20)),
      ("no cut in an open file", [file("i", [(0, nil)])], nil),
      ("a cut elsewhere", [file("i", [(0, nil)])], position(2, 1, 10)),
      ("a cut far away", [file("i", [(0, nil)])], position(1, 1, .max)),
      ("a backward segment", [file("i", [(0, 10), (10, 5)])], position(1, 1, 20)),
      ("a cut behind files that are closed", [file("i", [(0, 20)])], position(1, 1, 21)),
      ("a cut in another file than those", [file("i", [(0, 20)])], position(1, 2, 10)),
      ("nothing", [file("i", [(0, .max)])], position(1, 1, .max)),
    ]
    for (what, files, cut) in bad {
      let chain = Snapshot.Chain(form: form, base: nil, files: files)
      #expect(code { try plan(snapshot(.aof, chain: chain), cut: cut) } == .corrupt, "\(what)")
    }
    #expect(code { try plan(snapshot(.rdb)) } == .corrupt, "no dump")
    #expect(code { try plan(snapshot(.aof)) } == .corrupt, "no chain")
    #expect(code { try plan(snapshot(.rdb, dump: dump()), hasIndexes: false) } == .corrupt)
  }

  @Test(arguments: [
    "../b", "a/b", "/etc/passwd", "..", ".", "", "a\u{0}b", ".lifeboat-restored.json",
    String(repeating: "x", count: 256),
  ])
  func `no name from a bucket leads out of the data directory`(_ name: String) {
    let chain = Snapshot.Chain(form: form, base: base, files: [file(name, [(0, nil)])])
    #expect(code { try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 20)) } == .corrupt)
    #expect(code { try plan(snapshot(.rdb, dump: dump(name))) } == .corrupt)
    let form = AOFForm.multiPart(directory: name, manifest: "m.manifest")
    let other = Snapshot.Chain(form: form, base: base, files: [file("i", [(0, nil)])])
    #expect(code { try plan(snapshot(.aof, chain: other), cut: position(1, 1, 20)) } == .corrupt)
  }

  @Test func `a dump joins a cut only if it was pinned before the mark at the cut`() throws {
    let chain = Snapshot.Chain(form: form, base: base, files: [file("i1", [(0, nil)])])
    let cases: [(LogPosition?, Int64, Bool)] = [
      // Unknown, so nothing proves what the dump contains.
      (nil, 100, false), (position(1, 1, 5), 100, true), (position(1, 1, 11), 100, false),
      // Pinned exactly at the cut, and the log continues. The dump may contain the next command.
      (position(1, 1, 10), 100, false), (position(2, 1, 0), 100, false),
      (position(1, 1, 5), 301, false),
    ]
    for (pinned, time, joins) in cases {
      let made = try plan(
        snapshot(.aof, chain: chain, dump: dump(at: time, pinned: pinned)), cut: position(1, 1, 10))
      #expect(paths(made).last == "d.rdb")
      #expect((made.loadsWithNo == at(100)) == joins, "pinned at \(String(describing: pinned))")
      #expect(made.loadsWithYes == at(300))
      #expect(made.warnings.count == 1, "what a server with appendonly no loads is older")
    }
    let end = try plan(
      snapshot(.aof, chain: chain, dump: dump(pinned: position(1, 1, 20))), cut: position(1, 1, 20))
    #expect(end.loadsWithNo == at(100), "the log ends there")
  }

  @Test func `without a dump a BASE with keys stands in for it, and without keys it is said`()
    throws
  {
    let chain = Snapshot.Chain(form: form, base: base, files: [file("i1", [(0, nil)])])
    let stands = try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 10))
    #expect(stands.files.last?.content == .same(0, mustCopy: false))
    #expect(stands.loadsWithNo == at(50))
    for keys in [0, nil] as [UInt64?] {
      let empty = try plan(snapshot(.aof, chain: chain), cut: position(1, 1, 10), baseKeys: keys)
      #expect(empty.loadsWithNo == nil && empty.files.allSatisfy { $0.role != .dump })
      #expect(empty.warnings.contains { $0.contains("EMPTY") })
    }
  }

  @Test func `instants that no clock shows trap nowhere`() throws {
    let chain = Snapshot.Chain(form: form, base: base, files: [file("i1", [(0, nil)])])
    for (instant, content) in [(Int64.max, Int64.min), (.min, .max), (.min, .min)] {
      let made = try plan(
        snapshot(.aof, chain: chain, dump: dump(at: content, pinned: position(1, 1, 5))),
        cut: position(1, 1, 10), instant: instant)
      #expect(made.loadsWithYes == at(instant))
    }
  }
}
