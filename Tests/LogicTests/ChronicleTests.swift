import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// What a picture of a repository shows. It is compared with what a restore would find.
@Suite struct ChronicleTests {
  private typealias Window = Chronicle.Window

  /// A repository that has only names and records.
  private struct World {
    var catalogue = Catalogue(keepsLogTimes: true)
    var claims: [TimelineNumber: Claim] = [:]
    var snapshots: [TimelineNumber: [Snapshot]] = [:]

    mutating func add(_ claim: Claim, at time: Int64) {
      var claim = claim
      claim.claimedAt = at(time)
      claims[claim.timeline] = claim
      put(.claim(claim.timeline))
    }
    mutating func put(_ path: ObjectPath, size: Int = 100, modified: Int64 = 0) {
      catalogue.add(name: path.text, size: size, modified: at(modified))
    }
    mutating func log(_ timeline: Int, _ ordinal: Int, _ span: LogSpan, lag: Int64 = 500) {
      put(
        .log(TimelineNumber(timeline)!, ordinal: ordinal, span),
        modified: (span.mark?.milliseconds ?? 0) + lag)
    }
    mutating func add(
      _ timeline: Int, at time: Int64, primary: Snapshot.Primary? = .aof, base: UInt64? = 1,
      segments: [[Snapshot.Segment]] = [], dump: (UInt64, Int64)? = nil,
      change: (inout Snapshot) -> Void = { _ in }
    ) {
      let number = TimelineNumber(timeline)!
      let files = segments.map {
        Snapshot.LogFile(file: "f", sequence: 1, segments: $0, identity: nil)
      }
      let chain = Snapshot.Chain(
        form: .legacy,
        base: base.map { .init(generation: generationID($0), file: "b", sequence: 1) }, files: files
      )
      var snapshot = Snapshot(
        timeline: number, sequence: snapshots[number, default: []].count + 1,
        nonce: nonce(UInt64(timeline)), at: at(time), cause: .chain, primary: primary,
        chain: segments.isEmpty && base == nil ? nil : chain,
        dump: dump.map {
          .init(generation: generationID($0.0), file: "d", contentAt: at($0.1), pinnedAt: nil)
        }, detached: nil, isClean: false, destructive: nil)
      change(&snapshot)
      snapshots[number, default: []].append(snapshot)
      put(.snapshot(number, sequence: snapshot.sequence))
    }

    func chronicle(now: Int64 = 1_000_000, pins: [Pin] = [], quarantined: [UInt64] = []) throws
      -> Chronicle
    {
      var catalogue = catalogue
      for id in quarantined {
        catalogue.add(
          name: ObjectPath.operation(.quarantines, id: generationID(id).description).text, size: 1)
      }
      let history = try History(catalogue: catalogue, claims: claims)
      var builder = ChronicleBuilder(
        history: history,
        descriptor: Descriptor(repository: nonce(99), created: at(0), cipher: .none),
        location: "file:///x", now: at(now))
      for number in claims.keys.sorted() {
        builder.add(number, snapshots[number, default: []].map { SnapshotTrace($0) })
      }
      for pin in pins { builder.add(pin) }
      return builder.chronicle(newest: nil, pins: pins)
    }
  }

  private func segment(
    _ timeline: Int, _ ordinal: Int, _ from: UInt64 = 0, _ to: UInt64? = nil
  ) -> Snapshot.Segment {
    .init(timeline: TimelineNumber(timeline)!, ordinal: ordinal, from: from, to: to)
  }
  private func window(_ from: Int64, _ to: Int64, abandoned: Bool = false) -> Window {
    Window(from: at(from), to: at(to), isAbandoned: abandoned)
  }

  @Test func `one chain is one window, whatever time passes without a write`() throws {
    var world = World()
    world.add(claim(1), at: 1000)
    world.add(1, at: 1000, segments: [[segment(1, 1)]])
    world.log(1, 1, span(0, 10, at: 1000))
    world.log(1, 1, span(10, 20, at: 2000))
    world.log(1, 1, span(20, 30, at: 900_000))
    let chronicle = try world.chronicle()
    #expect(chronicle.timelines.map(\.windows) == [[window(1000, 900_000)]])
    #expect(chronicle.gaps.isEmpty)
    // What can be read ends at a hole.
    world.log(1, 1, span(40, 50, at: 950_000))
    #expect(try world.chronicle().timelines[0].windows == [window(1000, 900_000)])
  }

  @Test func `a rewrite that was followed makes no gap, one that was not makes one`() throws {
    var world = World()
    world.add(claim(1), at: 1000)
    world.add(1, at: 1000, segments: [[segment(1, 1)]])
    world.log(1, 1, span(0, 10, at: 2000))
    world.add(1, at: 3000, segments: [[segment(1, 1, 0, 10)], [segment(1, 2)]])
    world.log(1, 2, span(0, 10, at: 4000))
    world.add(1, at: 5000, base: 2, segments: [[segment(1, 2)]])
    world.log(1, 2, span(10, 20, at: 6000))
    #expect(try world.chronicle().timelines[0].windows == [window(1000, 6000)])
    world.add(1, at: 50_000, base: 3, segments: [[segment(1, 3)]])
    world.log(1, 3, span(0, 10, at: 60_000))
    let chronicle = try world.chronicle()
    #expect(chronicle.timelines[0].windows == [window(1000, 6000), window(50_000, 60_000)])
    #expect(chronicle.gaps == [.init(kind: .unreadable, from: at(6000), to: at(50_000))])
    #expect(chronicle.events.filter { $0.kind == .rewrite }.map(\.at) == [at(5000), at(50_000)])
  }

  @Test func `what a successor left behind is abandoned, and between the two nobody watched`()
    throws
  {
    var world = World()
    world.add(claim(1), at: 1000)
    world.add(1, at: 1000, segments: [[segment(1, 1)]])
    for step in 0..<5 {
      let (from, time) = (UInt64(step) * 10, Int64(2000 + step * 1000))
      world.log(1, 1, span(from, from + 10, at: time))
    }
    let end = Claim.End(snapshots: 1, ordinals: [.init(ordinal: 1, offset: 50)])
    world.add(claim(2, parent: 1, fork: position(1, 1, 30), end: end), at: 20_000)
    world.add(2, at: 20_000, segments: [[segment(1, 1, 0, 30), segment(2, 1, 30)]])
    world.log(2, 1, span(30, 40, at: 21_000))
    let chronicle = try world.chronicle()
    #expect(
      chronicle.timelines[0].windows == [window(1000, 4000), window(4000, 6000, abandoned: true)])
    #expect(chronicle.timelines[1].windows == [window(20_000, 21_000)])
    #expect(chronicle.gaps == [.init(kind: .unwatched, from: at(4000), to: at(20_000))])
    #expect(chronicle.presentWindows == [window(1000, 4000), window(20_000, 21_000)])
  }

  @Test func `an orderly end says that nothing was written until then`() throws {
    var world = World()
    world.add(claim(1), at: 1000)
    world.add(1, at: 1000, segments: [[segment(1, 1)]])
    world.log(1, 1, span(0, 10, at: 2000))
    world.add(1, at: 8000, segments: [[segment(1, 1)]]) { $0.isClean = true }
    let timeline = try world.chronicle().timelines[0]
    #expect(timeline.windows == [window(1000, 8000)] && timeline.isClosed)
    // It is not closed if some of its log is lost, in a closed file or at the end.
    for (to, reached) in [(20, nil), (nil, 20)] as [(UInt64?, UInt64?)] {
      var lost = World()
      lost.add(claim(1), at: 1000)
      lost.add(1, at: 1000, segments: [[segment(1, 1)]])
      lost.log(1, 1, span(0, 10, at: 2000))
      lost.add(1, at: 8000, segments: [[segment(1, 1, 0, to)]]) {
        $0.isClean = true
        $0.reached = reached
      }
      #expect(try lost.chronicle().timelines[0].windows == [window(1000, 2000)])
    }
  }

  @Test func `dumps are instants, and one that was found damaged is none`() throws {
    var world = World()
    world.add(claim(1), at: 1000)
    for (number, time) in [(UInt64(5), Int64(2000)), (6, 9000), (7, 30_000)] {
      world.add(1, at: time, primary: .rdb, base: nil, dump: (number, time))
    }
    world.add(1, at: 31_000, primary: nil, base: nil)
    var chronicle = try world.chronicle()
    #expect(chronicle.timelines[0].points.map(\.id) == ["1.1", "1.2", "1.3"])
    #expect(chronicle.gaps == [.init(kind: .dumps, from: at(2000), to: at(30_000))])
    chronicle = try world.chronicle(quarantined: [6])
    #expect(chronicle.timelines[0].points.map(\.id) == ["1.1", "1.3"])
  }

  @Test func `a destructive command and a pin come with what brings the state back`() throws {
    var world = World()
    world.add(claim(1), at: 1000)
    world.log(1, 1, span(0, 30, at: 2000))
    world.add(1, at: 2500, segments: [[segment(1, 1)]]) {
      $0.destructive = .init(command: "FLUSHALL", before: position(1, 1, 7), at: at(2400))
    }
    let pin = Pin(
      id: "p1", repository: nonce(99), origin: .drop, reason: "FLUSHALL", at: at(2400),
      until: at(9_000_000), timeline: .first, snapshot: 1, position: position(1, 1, 7))
    let chronicle = try world.chronicle(pins: [pin])
    for kind in [Chronicle.Event.Kind.destructive, .pin] {
      let event = try #require(chronicle.events.first { $0.kind == kind })
      #expect(event.restore == "--point 1.1@1:7" && event.at == at(2400), "\(event)")
    }
  }

  private func count(_ keys: UInt64, expires: UInt64 = 0) -> (inout Snapshot) -> Void {
    { $0.estimate = .init(keys: keys, expires: expires) }
  }

  @Test func `keys that disappear without a command are a removal, until they are back`() throws {
    var world = World()
    world.add(claim(1), at: 1000)
    for (time, keys) in [(1000, 1000), (2000, 800), (3000, 199), (4000, 40)] as [(Int64, UInt64)] {
      world.add(1, at: time, segments: [[segment(1, 1)]], change: count(keys))
    }
    let expected = Chronicle.Removal(
      from: at(2000), at: at(3000), keysBefore: 800, keysAfter: 40,
      restore: "--at \(at(2000))", isOpen: true)
    #expect(try world.chronicle().removals == [expected])
    #expect(try world.chronicle().openRemoval == expected)
    #expect(try world.chronicle(now: 8 * 86_400_000).openRemoval == nil)
    // It continues after a restart.
    world.add(
      claim(
        2, parent: 1, fork: LogPosition(timeline: .first, ordinal: 1, offset: 10),
        end: Claim.End(snapshots: 4, ordinals: [.init(ordinal: 1, offset: 10)])), at: 5000)
    world.add(
      2, at: 5000, segments: [[segment(1, 1, 0, 10), segment(2, 1, 10)]], change: count(30))
    #expect(try world.chronicle().openRemoval?.keysAfter == 30)
    world.add(
      2, at: 6000, segments: [[segment(1, 1, 0, 10), segment(2, 1, 10)]], change: count(400))
    #expect(try world.chronicle().removals.map(\.isOpen) == [false])
  }

  @Test func `few keys, keys that expire and unknown numbers are no removal`() throws {
    let cases: [[(inout Snapshot) -> Void]] = [
      [count(15), count(0)], [count(1000, expires: 990), count(10)],
      [count(1000), { _ in }, count(900)], [count(1000), count(251), count(63)],
    ]
    for (number, changes) in cases.enumerated() {
      var world = World()
      world.add(claim(1), at: 1000)
      for (index, change) in changes.enumerated() {
        world.add(1, at: 1000 * Int64(index + 1), segments: [[segment(1, 1)]], change: change)
      }
      #expect(try world.chronicle().removals.isEmpty, "\(number)")
    }
  }

  @Test func `a FLUSHALL is open while its pin is in force, and not on an abandoned branch`() throws
  {
    var world = World()
    world.add(claim(1), at: 1000)
    let before = LogPosition(timeline: .first, ordinal: 1, offset: 20)
    world.log(1, 1, span(0, 40, at: 2000))
    world.add(1, at: 1500, segments: [[segment(1, 1)]], change: count(500))
    world.add(1, at: 2000, segments: [[segment(1, 1)]]) {
      $0.destructive = .init(command: "FLUSHALL", before: before, at: at(2000))
      $0.estimate = .init(keys: 0, expires: 0)
    }
    let pin = Pin(
      id: "p1", repository: nonce(99), origin: .drop, reason: "FLUSHALL", at: at(2000),
      until: at(9_000_000), timeline: .first, snapshot: 2, position: before)
    let open = try #require(try world.chronicle(pins: [pin]).openRemoval)
    #expect(open.command == "FLUSHALL" && open.keysBefore == 500 && open.pin == "p1")
    #expect(open.restore == "--point 1.2@1:20")
    let command = RestoreCommand(repository: "/r", isEncrypted: false)
    let notices = try world.chronicle(pins: [pin]).notices(command)
    #expect(notices.count == 1 && notices[0].remedies.map(\.label) == ["undo", "accept"])
    // New keys have been written since, so the newest state is not empty.
    var refilled = world
    refilled.add(1, at: 3000, segments: [[segment(1, 1)]], change: count(300))
    let later = try refilled.chronicle(pins: [pin])
    #expect(later.openRemoval == nil && later.removals.map(\.isOpen) == [true])
    let accepted = try world.chronicle()
    #expect(accepted.openRemoval == nil && accepted.removals.count == 1)
    world.add(
      claim(
        2, parent: 1, fork: before,
        end: Claim.End(snapshots: 2, ordinals: [.init(ordinal: 1, offset: 40)])), at: 5000)
    let returned = try world.chronicle(pins: [pin])
    #expect(returned.removals.isEmpty && returned.notices(command).map(\.kind) == [.pin])
  }

  @Test func `of a thousand restarts the newest are told, and the windows of all`() throws {
    var world = World()
    var end: Claim.End?
    for number in 1...1000 {
      let time = Int64(number) * 10_000
      world.add(
        claim(number, parent: number > 1 ? number - 1 : nil, end: end), at: time)
      world.log(number, 1, span(0, 10, at: time + 5000))
      world.add(number, at: time, base: UInt64(number), segments: [[segment(number, 1)]])
      end = Claim.End(snapshots: 1, ordinals: [.init(ordinal: 1, offset: 10)])
    }
    let chronicle = try world.chronicle(now: 11_000_000)
    #expect(chronicle.timelines.count == ChronicleBuilder.Bounds.timelines)
    #expect(chronicle.timelinesLeftOut == 900)
    #expect(chronicle.earlier.count <= ChronicleBuilder.Bounds.earlier)
    #expect(chronicle.events.count == ChronicleBuilder.Bounds.events)
    #expect(chronicle.eventsLeftOut == ["claim": 900])
    #expect(chronicle.span?.from == at(10_000) && chronicle.span?.to == at(10_005_000))
  }

  @Test
  func `in random histories a window ends where a restore finds it, and no mark lies outside`()
    throws
  {
    let (first, count) = seeds(default: 300)
    for seed in first..<first + count {
      var world = HistoryWorld(seed: seed)
      world.readNames()
      let history = try world.history
      var builder = ChronicleBuilder(
        history: history,
        descriptor: Descriptor(repository: nonce(99), created: at(0), cipher: .none),
        location: "x", now: at(1_000_000))
      for number in history.claims.keys.sorted() {
        let traces = history.snapshots(of: number).compactMap { world.snapshots[number]?[$0] }
        builder.add(number, traces.map { SnapshotTrace($0) })
      }
      for timeline in builder.chronicle(newest: nil, pins: []).timelines {
        let snapshots = (world.snapshots[timeline.number] ?? [:]).filter {
          history.snapshots(of: timeline.number).contains($0.key)
        }
        let finder = PointFinder(
          history: history, timeline: timeline.number, snapshots: snapshots)
        for window in timeline.windows {
          let found = finder.last(notAfter: window.to)
          #expect(found?.instant == window.to, "seed \(seed): \(window)")
        }
        for snapshot in snapshots.values where snapshot.primary == .aof {
          for mark in history.chain(of: snapshot).marks
          where mark.position.timeline == timeline.number {
            let isInside = timeline.windows.contains {
              $0.from <= mark.time && mark.time <= $0.to
            }
            #expect(isInside, "seed \(seed): \(mark) of \(timeline)")
          }
        }
      }
    }
  }
}
