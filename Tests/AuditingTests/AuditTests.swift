import Auditing
import BackupFormat
import BackupTypes
import Testing

/// What an audit concludes from observing a data directory and from what a store has acknowledged.
@Suite struct AuditTests {
  private func moment(_ seconds: Int64) -> FileMoment {
    FileMoment(seconds: seconds, nanoseconds: 0)
  }

  private func version(_ inode: UInt64, _ size: UInt64, at seconds: Int64 = 100) -> FileVersion {
    FileVersion(
      identity: FileIdentity(inode: inode, bornSeconds: 1, bornNanoseconds: 0), size: size,
      modified: moment(seconds), changed: moment(seconds))
  }

  private let root = FileIdentity(inode: 2, bornSeconds: 1, bornNanoseconds: 0)

  private func sample(
    _ at: Int64, _ line: SourceSample.Line, dump: FileVersion? = nil, dumpBorn: Int64? = nil,
    root: FileIdentity? = nil, outOfSight: String? = nil, foreign: String? = nil
  ) -> SourceSample {
    SourceSample(
      at: at, wall: Instant(seconds: 1000), root: root ?? self.root, line: line,
      dump: dump.map { .init(name: "dump.rdb", version: $0) },
      dumpBorn: dumpBorn.map { moment($0) }, outOfSight: outOfSight, foreign: foreign)
  }

  /// A set with a BASE and one file.
  private func set(_ size: UInt64, base: FileVersion? = nil, file: UInt64 = 11, at: Int64 = 100)
    -> SourceSample.Line
  {
    .log(
      .init(
        base: .init(name: "base", version: base ?? version(10, 5000)),
        files: [.init(name: "incr", version: version(file, size, at: at))],
        manifestModified: moment(50)))
  }

  private func confirmed(_ durable: UInt64, base: FileVersion? = nil, dumps: Set<FileVersion> = [])
    -> Confirmed
  {
    Confirmed(
      chain: .init(
        base: .init(name: "base", versions: [base ?? version(10, 5000)]),
        files: [version(11, 0).identity: durable]), dumps: dumps)
  }

  private func audit(_ options: Audit.Options = .init()) -> Audit {
    Audit(data: "/data", options: options, now: 0)
  }

  // MARK: Covered and behind

  @Test func `what the store acknowledged covers what a look saw`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    #expect(audit.verdict(confirmed(500), now: 10) == .covered(at: 0))
    #expect(audit.isCovered(since: 0, now: 10))
    #expect(!audit.isCovered(since: 1, now: 10))
  }

  @Test func `the lag is the age of the first look that is not covered`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    audit.saw(sample(5000, set(600)), confirmed(500))
    audit.saw(sample(10_000, set(700)), confirmed(500))
    #expect(
      audit.verdict(confirmed(500), now: 11_000)
        == .behind(log: 5000, copy: nil, bytes: 200, fault: nil))
    audit.judge(confirmed(650))
    #expect(
      audit.verdict(confirmed(650), now: 11_000)
        == .behind(log: 10_000, copy: nil, bytes: 50, fault: nil))
    audit.judge(confirmed(700))
    #expect(audit.verdict(confirmed(700), now: 11_000) == .covered(at: 10_000))
  }

  @Test func `nothing acknowledged covers nothing`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), nil)
    #expect(
      audit.verdict(nil, now: 3000) == .behind(log: 0, copy: 0, bytes: 5500, fault: nil))
  }

  @Test func `a base in another version than the acknowledged one is not durable`() {
    var audit = audit()
    let overwritten = version(10, 5000, at: 200)
    audit.saw(sample(0, set(500, base: overwritten)), confirmed(500))
    #expect(
      audit.verdict(confirmed(500), now: 10) == .behind(log: nil, copy: 0, bytes: 5000, fault: nil))
  }

  @Test func `after a rewrite a chain that began with the old base covers the new set`() {
    var audit = audit()
    let line = SourceSample.Line.log(
      .init(
        base: .init(name: "base.2", version: version(20, 9000)),
        files: [.init(name: "incr.2", version: version(21, 40))], manifestModified: nil))
    var held = confirmed(500)
    audit.saw(sample(0, line), held)
    #expect(!audit.verdict(held, now: 1).isCovered)
    held.chain?.files[version(21, 0).identity] = 40
    audit.judge(held)
    #expect(audit.verdict(held, now: 1) == .covered(at: 0))
  }

  @Test func `many looks that are not covered are thinned, and the first stays`() {
    var audit = audit()
    for index in 0..<1000 { audit.saw(sample(Int64(index), set(500 + UInt64(index))), nil) }
    guard case .behind(let log?, _, _, _) = audit.verdict(nil, now: 1000) else {
      Issue.record("not behind")
      return
    }
    #expect(log == 0)
  }

  // MARK: Dumps

  @Test func `a dump beside a log that was written since is not needed`() {
    var audit = audit()
    audit.saw(
      sample(0, set(500, at: 100), dump: version(30, 80, at: 90), dumpBorn: 89), confirmed(500))
    #expect(audit.verdict(confirmed(500), now: 1).isCovered)
  }

  @Test func `a dump that came after the log's last write is needed`() {
    var audit = audit()
    let dump = version(30, 80, at: 120)
    audit.saw(sample(0, set(500, at: 100), dump: dump, dumpBorn: 119), confirmed(500))
    #expect(
      audit.verdict(confirmed(500), now: 1) == .behind(log: nil, copy: 0, bytes: 80, fault: nil))
    audit.judge(confirmed(500, dumps: [dump]))
    #expect(audit.verdict(confirmed(500, dumps: [dump]), now: 1).isCovered)
  }

  /// If the clock is set back by an hour, every later write seems older than the dump.
  @Test func `a log that was seen to grow has everything, whatever the clock says`() {
    var audit = audit()
    let dump = version(30, 80, at: 4000)
    audit.saw(sample(0, set(500, at: 3000), dump: dump, dumpBorn: 3999), confirmed(500))
    #expect(!audit.verdict(confirmed(500), now: 1).isCovered)
    audit.saw(sample(1, set(600, at: 3001), dump: dump, dumpBorn: 3999), confirmed(600))
    #expect(audit.verdict(confirmed(600), now: 2) == .covered(at: 1))
  }

  @Test func `a newest state that is the dump does not cover a log that goes on`() {
    var audit = audit()
    var held = confirmed(500)
    held.isDumpNewest = true
    audit.saw(sample(0, set(500, at: 100), dump: version(30, 80, at: 90), dumpBorn: 89), held)
    #expect(!audit.verdict(held, now: 1).isCovered)
  }

  @Test func `a damaged dump is said where a server would load it, and not beside an AOF`() {
    let dump = version(30, 80)
    var held = confirmed(500)
    held.refused = [dump: "dump.rdb is damaged"]
    var alone = audit()
    alone.saw(sample(0, .none, dump: dump), held)
    #expect(alone.verdict(held, now: 20_000 - 6000).reason == "dump.rdb is damaged")
    var beside = audit()
    beside.saw(sample(0, set(500), dump: dump, dumpBorn: 99), held)
    #expect(beside.verdict(held, now: 1).isCovered)
  }

  // MARK: Blind

  @Test func `a set that can't be loaded is a rewrite for ten seconds, and then blind`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    for at in stride(from: Int64(5000), through: 20_000, by: 5000) {
      audit.saw(sample(at, .unusable("the manifest is empty")), confirmed(500))
      let verdict = audit.verdict(confirmed(500), now: at)
      #expect(!verdict.isCovered)
      #expect((verdict.reason != nil) == (at >= 15_000), "\(at): \(verdict)")
    }
    // The lag counts from the last conclusive look.
    #expect(audit.verdict(confirmed(500), now: 20_000).since == 0)
    audit.saw(sample(25_000, set(500)), confirmed(500))
    #expect(audit.verdict(confirmed(500), now: 25_000) == .covered(at: 25_000))
  }

  @Test func `files that vanish are not nothing`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    audit.saw(sample(5000, .none), confirmed(500))
    #expect(!audit.verdict(confirmed(500), now: 5001).isCovered)
    audit.saw(sample(16_000, .none), confirmed(500))
    let reason = audit.verdict(confirmed(500), now: 16_000).reason
    #expect(reason?.contains("is empty: its files") == true, "\(reason ?? "none")")
  }

  @Test func `an AOF that goes needs a dump that came since`() {
    var audit = audit()
    let old = version(30, 80, at: 60)
    let both = confirmed(500, dumps: [old])
    audit.saw(sample(0, set(500), dump: old, dumpBorn: 59), both)
    audit.saw(sample(5000, .none, dump: old), both)
    #expect(!audit.verdict(both, now: 5001).isCovered)
    audit.saw(sample(16_000, .none, dump: old), both)
    #expect(audit.verdict(both, now: 16_000).reason?.contains("there is no newer dump") == true)
    let new = version(31, 90, at: 300)
    audit.saw(sample(20_000, .none, dump: new), confirmed(500, dumps: [new]))
    #expect(audit.verdict(confirmed(500, dumps: [new]), now: 20_000) == .covered(at: 20_000))
  }

  @Test func `another directory that is empty is not an idle server`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    let other = FileIdentity(inode: 77, bornSeconds: 9, bornNanoseconds: 0)
    audit.saw(sample(5000, .none, root: other), confirmed(500))
    audit.saw(sample(15_000, .none, root: other), confirmed(500))
    #expect(
      audit.verdict(confirmed(500), now: 15_000).reason?.contains("not the directory") == true)
  }

  @Test func `a server that writes out of sight is covered by nothing`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    for at in stride(from: Int64(5000), through: 15_000, by: 5000) {
      audit.saw(sample(at, set(500), outOfSight: "Redis writes elsewhere"), confirmed(500))
      #expect(!audit.verdict(confirmed(500), now: at).isCovered)
    }
    #expect(audit.verdict(confirmed(500), now: 15_000).reason == "Redis writes elsewhere")
  }

  @Test func `an empty directory is nothing, and no success`() {
    var audit = audit()
    audit.saw(sample(0, .none), nil)
    #expect(audit.verdict(nil, now: 1) == .nothing)
    #expect(!audit.isCovered(since: 0, now: 10))
  }

  @Test func `without a look nothing can be told`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    #expect(audit.verdict(confirmed(500), now: 14_000).isCovered)
    #expect(!audit.verdict(confirmed(500), now: 15_000).isCovered)
    audit.failed(at: 10_000, "/data can't be checked: ESTALE")
    #expect(audit.verdict(confirmed(500), now: 16_000).reason == "/data can't be checked: ESTALE")
  }

  @Test func `a server that is never idle and writes nothing`() {
    var audit = audit(.init(expectWrites: 60_000))
    for at in stride(from: Int64(0), through: 65_000, by: 5000) {
      audit.saw(sample(at, set(500)), confirmed(500))
    }
    #expect(audit.verdict(confirmed(500), now: 59_000).isCovered)
    #expect(audit.verdict(confirmed(500), now: 65_000).reason?.contains("--expect-writes") == true)
    #expect(!audit.isCovered(since: 0, now: 65_000))
    audit.saw(sample(70_000, set(600)), confirmed(600))
    #expect(audit.verdict(confirmed(600), now: 70_000).isCovered)
  }

  @Test func `what the repository lost is said until it was compared anew`() {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(500))
    audit.lost(at: 100, "it has lost its claim")
    #expect(
      audit.verdict(confirmed(500), now: 200) == .lost(since: 100, reason: "it has lost its claim"))
    audit.recovered()
    #expect(audit.verdict(confirmed(500), now: 200).isCovered)
  }

  // MARK: What is not shipped, and why

  @Test func `bytes that nothing changes any more are looked into once`() throws {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(400))
    let atOnce = audit.toExplain(confirmed(400), now: 0)
    #expect(atOnce == nil)
    audit.saw(sample(5000, set(500)), confirmed(400))
    let found = audit.toExplain(confirmed(400), now: 5000)
    let (file, durable, isStill, isLast) = try #require(found)
    #expect(durable == 400 && isStill && isLast)
    audit.explained(file.version.identity, from: durable, "garbage")
    let again = audit.toExplain(confirmed(400), now: 6000)
    #expect(again == nil)
    #expect(audit.verdict(confirmed(400), now: 9000).reason == nil)
    #expect(audit.verdict(confirmed(400), now: 10_000).reason == "garbage")
  }

  @Test func `the end of a file that no server loads is not missed, until the file changes`() throws
  {
    var audit = audit()
    audit.saw(sample(0, set(500)), confirmed(400))
    #expect(!audit.isCovered(since: 0, now: 10))
    audit.ignores(.init(name: "incr", version: version(11, 500)), from: 400)
    audit.judge(confirmed(400))
    #expect(audit.isCovered(since: 0, now: 10))
    let nothing = audit.toExplain(confirmed(400), now: 6000)
    #expect(nothing == nil)
    audit.saw(sample(6000, set(501)), confirmed(400))
    #expect(!audit.isCovered(since: 6000, now: 6001))
    audit.judge(confirmed(501))
    #expect(audit.isCovered(since: 6000, now: 6001))
  }
}
