import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// What follows from a listing and the claims, and when they contradict each other (design 5, 6 exit codes).
@Suite struct HistoryTests {
  private func history(_ names: [String], _ claims: [Claim]) throws -> History {
    try History(
      catalogue: Catalogue(names: names.map { ($0, 1) }),
      claims: Dictionary(uniqueKeysWithValues: claims.map { ($0.timeline, $0) }))
  }
  private func code(_ names: [String], _ claims: [Claim]) -> ExitCode? {
    do { _ = try history(names, claims) } catch { return (error as? LifeboatError)?.code }
    return nil
  }
  private func claimName(_ number: Int) -> String {
    ObjectPath.claim(TimelineNumber(number)!).text
  }
  private func snapshotName(_ number: Int, _ sequence: Int) -> String {
    ObjectPath.snapshot(TimelineNumber(number)!, sequence: sequence).text
  }
  private func logName(_ number: Int, _ ordinal: Int, _ from: UInt64, _ to: UInt64) -> String {
    ObjectPath.log(TimelineNumber(number)!, ordinal: ordinal, span(from, to)).text
  }
  private func end(_ snapshots: Int, _ ordinals: [(Int, UInt64)] = []) -> Claim.End {
    Claim.End(snapshots: snapshots, ordinals: ordinals.map { .init(ordinal: $0.0, offset: $0.1) })
  }

  @Test func `a name that format 1 does not know is counted and never used`() throws {
    let hostile = [
      "timelines/00000001/log/../../x", "timelines/00000000/claim", "lifeboat.json/", "../claim",
      "timelines/00000001/log/00000001/x", "ops/pins/..", "", "\u{1b}[2J",
    ]
    let catalogue = Catalogue(names: hostile.map { ($0, .max) })
    #expect(catalogue.foreign == hostile.count)
    #expect(catalogue.objects == 0 && catalogue.bytes == 0 && catalogue.timelines.isEmpty)
    #expect(catalogue.isEmpty)
    #expect(Catalogue(names: [("\u{1b}[2J", 1)]).foreignExample == "\\u{1b}[2J")
  }

  @Test func `sizes that no object has add up to nothing absurd`() {
    let catalogue = Catalogue(names: [(claimName(1), .min), (claimName(2), .max)])
    #expect(catalogue.bytes == UInt64(Int.max))
    #expect(catalogue.highestClaim == TimelineNumber(2))
  }

  @Test func `log without a claim above the highest is leftovers, a snapshot is a lost claim`() {
    #expect(code([claimName(1), logName(2, 1, 0, 1)], [claim(1)]) == nil)
    #expect(code([logName(1, 1, 0, 1)], []) == nil)
    #expect(code([claimName(1), snapshotName(2, 1)], [claim(1)]) == .corrupt)
    #expect(code([snapshotName(1, 1)], []) == .corrupt)
  }

  @Test func `a claim that is missing below the highest is a lost object`() {
    let second = claim(2, parent: 1, end: end(0))
    #expect(code([claimName(2)], [second]) == nil, "the first went with its retention")
    #expect(code([claimName(2), logName(1, 1, 0, 1)], [second]) == .corrupt)
    #expect(code([claimName(2), claimName(1)], [second]) == .corrupt, "listed, but not read")
  }

  @Test func `a claim that contradicts itself is corrupt`() {
    #expect(code([claimName(1)], [claim(1, parent: 1, end: end(0))]) == .corrupt)
    #expect(code([claimName(1)], [claim(1, parent: 7, end: end(0))]) == .corrupt)
    #expect(code([claimName(2)], [claim(2, parent: 1)]) == .corrupt, "a parent without an end")
    let other = try? History(
      catalogue: Catalogue(names: [(claimName(3), 1)]), claims: [TimelineNumber(3)!: claim(2)])
    #expect(other == nil, "it says another number than its name")
  }

  @Test func `a timeline ends where its first successor says, whatever is added later`() throws {
    let names =
      [claimName(1), claimName(2), claimName(3)] + (1...5).map { snapshotName(1, $0) } + [
        logName(1, 1, 0, 10), logName(1, 1, 10, 20), logName(1, 1, 20, 30), logName(1, 2, 0, 5),
      ]
    let made = try history(
      names,
      [
        claim(1), claim(2, parent: 1, end: end(3, [(1, 20)])),
        claim(3, parent: 1, end: end(5, [(1, 30), (2, 5)])),
      ])
    #expect(made.snapshots(of: .first) == [1, 2, 3])
    #expect(made.log(of: .first, ordinal: 1, from: 0).reached == 20)
    #expect(made.log(of: .first, ordinal: 2, from: 0).reached == 0)
    #expect(made.log(of: TimelineNumber(9)!, ordinal: 1, from: 7).reached == 7)
    #expect(made.newestClaim?.timeline == TimelineNumber(3))
  }

  @Test func `absurd ends cut everything or nothing, and trap nowhere`() throws {
    let names = [claimName(1), claimName(2), snapshotName(1, 1), logName(1, 1, 0, 10)]
    for (snapshots, offset, reached) in [
      (Int.min, UInt64(0), UInt64(0)), (-1, 9, 0), (.max, .max, 10), (0, 10, 10),
    ] {
      let cut = end(snapshots, [(1, offset), (1, 0), (.min, .max)])
      let made = try history(names, [claim(1), claim(2, parent: 1, end: cut)])
      #expect(made.snapshots(of: .first) == (snapshots > 0 ? [1] : []))
      #expect(made.log(of: .first, ordinal: 1, from: 0).reached == reached)
      // Anything after the end does not exist. But there is log, and log is only sent after a snapshot that
      // names it.
      #expect(!made.provesNoRestorePoint(snapshots: []))
    }
  }

  @Test func `what a claimant writes as end is how far each log goes without a gap`() throws {
    let names = [
      claimName(1), snapshotName(1, 2), snapshotName(1, 7), logName(1, 1, 0, 10),
      logName(1, 1, 20, 30), logName(1, 3, 40, 50), logName(1, 3, 45, 60),
    ]
    let made = try history(names, [claim(1)])
    #expect(made.contiguousEnd(of: .first, starts: [:]) == end(7, [(1, 10), (3, 60)]))
    #expect(made.contiguousEnd(of: .first, starts: [3: 30]) == end(7, [(1, 10), (3, 30)]))
  }

  @Test func `there has never been a restore point only when everything is there and says so`()
    throws
  {
    func snapshot(_ number: Int, _ sequence: Int, _ primary: Snapshot.Primary?) -> Snapshot {
      Snapshot(
        timeline: TimelineNumber(number)!, sequence: sequence, nonce: nonce(UInt64(number)),
        at: at(0), cause: .detached, primary: primary, chain: nil, dump: nil, detached: nil,
        isClean: false, destructive: nil)
    }
    let names = [claimName(1), claimName(2), snapshotName(1, 1), snapshotName(1, 2)]
    let claims = [claim(1), claim(2, parent: 1, end: end(2))]
    let both = [snapshot(1, 1, nil), snapshot(1, 2, nil)]
    #expect(try history([], []).provesNoRestorePoint(snapshots: []))
    #expect(try history(names, claims).provesNoRestorePoint(snapshots: both))
    #expect(try !history(names, claims).provesNoRestorePoint(snapshots: [both[0]]))
    let lost = names.filter { $0 != snapshotName(1, 1) }
    #expect(try !history(lost, claims).provesNoRestorePoint(snapshots: [both[1]]))
    #expect(
      try !history(names, claims).provesNoRestorePoint(snapshots: [both[0], snapshot(1, 2, .rdb)]))
    let indexed = names + [ObjectPath.index(generationID(1)).text]
    #expect(try !history(indexed, claims).provesNoRestorePoint(snapshots: both))
    // Log is only sent after a snapshot that names it. If there is none, that snapshot was lost.
    let logged = names + [logName(1, 1, 0, 9)]
    #expect(try !history(logged, claims).provesNoRestorePoint(snapshots: both))
    var naming = both
    naming[1].detached = detached([(1, 1)])
    #expect(try history(logged, claims).provesNoRestorePoint(snapshots: naming))
    let second = logged + [logName(1, 2, 0, 9)]
    #expect(try !history(second, claims).provesNoRestorePoint(snapshots: naming))
    // All claims and snapshots are gone. Log or a piece shows that there were some.
    #expect(try !history([logName(1, 1, 0, 9)], []).provesNoRestorePoint(snapshots: []))
    let piece = ObjectPath.piece(generationID(1), number: 0, generationID(1).fingerprint).text
    #expect(try !history([piece], []).provesNoRestorePoint(snapshots: []))
    #expect(try history(names + [piece], claims).provesNoRestorePoint(snapshots: both))
    let orphan = [claim(2, parent: 1, end: end(0))]
    #expect(try !history([claimName(2)], orphan).provesNoRestorePoint(snapshots: []))
    #expect(try !history([claimName(2)], [claim(2)]).provesNoRestorePoint(snapshots: []))
  }

  private func detached(_ ordinals: [(timeline: Int, ordinal: Int)]) -> Snapshot.Detached {
    Snapshot.Detached(
      form: .multiPart(directory: "d", manifest: "m"), awaitedBase: "b",
      files: [
        .init(
          file: "i", sequence: 1,
          segments: ordinals.map {
            .init(timeline: TimelineNumber($0.timeline)!, ordinal: $0.ordinal, from: 0, to: nil)
          }, identity: nil)
      ])
  }

  @Test func `log without its BASE is told with its bytes, its times and its holes`() throws {
    func snapshot(_ number: Int, _ sequence: Int, _ ordinals: [(Int, Int)]) -> Snapshot {
      Snapshot(
        timeline: TimelineNumber(number)!, sequence: sequence, nonce: nonce(UInt64(number)),
        at: at(0), cause: .detached, primary: nil, chain: nil, dump: nil,
        detached: detached(ordinals.map { (timeline: $0.0, ordinal: $0.1) }), isClean: false,
        destructive: nil)
    }
    func made(_ objects: [(name: String, written: Int64?)]) throws -> History {
      var catalogue = Catalogue()
      for number in 1...2 { catalogue.add(name: claimName(number), size: 1) }
      for sequence in 1...2 { catalogue.add(name: snapshotName(1, sequence), size: 1) }
      for object in objects {
        catalogue.add(name: object.name, size: 1, modified: object.written.map { at($0) })
      }
      return try History(
        catalogue: catalogue,
        claims: [.first: claim(1), TimelineNumber(2)!: claim(2)])
    }
    let hour = UnfinishedLog.spanMax
    let snapshots = [snapshot(1, 1, [(1, 1)]), snapshot(1, 2, [(1, 1)]), snapshot(2, 1, [(2, 1)])]
    for (last, isShort) in [(hour - 1, true), (hour, false)] {
      let history = try made([
        (logName(1, 1, 0, 10), 0), (logName(1, 1, 10, 30), last), (logName(2, 1, 0, 5), 7),
      ])
      let logs = history.unfinishedLogs(snapshots)
      #expect(logs.map { $0.timeline.value } == [2, 1] && logs.map(\.bytes) == [5, 30])
      #expect(logs[1].snapshot.sequence == 2, "the last one that names it")
      #expect(logs.map(\.isShort) == [true, isShort] && !logs.contains { $0.hasHole })
      #expect(logs[1].times == at(0)...at(last))
    }
    let torn = try made([(logName(1, 1, 10, 30), 0)]).unfinishedLogs(snapshots)
    #expect(torn.count == 1 && torn[0].hasHole, "its first object is gone")
    #expect(try made([]).unfinishedLogs(snapshots).isEmpty)
    // Without the store's times, the marks in the names decide.
    let marked = try made([(logName(1, 1, 0, 10), nil)]).unfinishedLogs(snapshots)
    #expect(marked[0].times != nil && marked[0].isShort)
  }

  @Test func `a suspicion lasts as long as its pin, over restarts, and a fork before it ends it`()
    throws
  {
    let suspicion = Claim.Suspicion(reason: .empty, detail: "d", pin: "p")
    let pin = Pin(
      id: "p", repository: nonce(99), origin: .start, reason: "r", at: at(0), until: at(1),
      timeline: .first, snapshot: 1, position: position(1, 1, 50))
    var second = claim(2, parent: 1, end: end(0))
    second.suspicion = suspicion
    func open(_ fork: LogPosition?, _ pins: [Pin] = [pin]) throws -> Bool {
      let third = claim(3, parent: 2, fork: fork, end: end(0))
      let made = try history(
        [claimName(1), claimName(2), claimName(3)], [claim(1), second, third])
      return made.openSuspicion(of: TimelineNumber(3)!, pins: pins) != nil
    }
    #expect(try open(nil))
    #expect(try open(position(2, 1, 500)), "it goes on from the suspect state")
    #expect(try !open(position(1, 1, 50)), "it goes on from the state before")
    #expect(try open(position(1, 1, 49)), "from before even that: still older")
    #expect(try !open(nil, []), "released, or past its end")
  }
}
