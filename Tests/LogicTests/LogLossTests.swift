import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// Log that was durable and is missing. The loss is found wherever it is. Also tests what a restore does
/// about it.
@Suite struct LogLossTests {
  /// The log of a chain before a part of it was lost.
  enum Form: String, CaseIterable {
    /// Two closed files and an open one.
    case drained
    /// A file that an earlier timeline began.
    case parent
    /// The single file of Redis 6, without a BASE.
    case legacy
  }
  struct Case: Sendable, CustomStringConvertible {
    var form: Form
    /// The numbers of the lost objects.
    var lost: [Int]
    /// The position of the first missing byte, and the end of the loss: the next existing byte, or the
    /// durable end.
    var from: LogPosition
    var to: UInt64
    /// The cut of the newest remaining state; nil if nothing is left.
    var newest: LogPosition?
    var description: String { "\(form.rawValue), without \(lost)" }
  }

  private static let cases: [Case] = [
    // 0: file 1, 1: file 1, 2: file 2, 3: file 3, 4: file 3.
    .init(form: .drained, lost: [0], from: position(1, 1, 0), to: 10, newest: position(1, 1, 0)),
    .init(form: .drained, lost: [1], from: position(1, 1, 10), to: 20, newest: position(1, 1, 10)),
    .init(
      form: .drained, lost: [0, 1], from: position(1, 1, 0), to: 20, newest: position(1, 1, 0)),
    .init(form: .drained, lost: [2], from: position(1, 2, 0), to: 30, newest: position(1, 1, 20)),
    .init(form: .drained, lost: [3], from: position(1, 3, 0), to: 5, newest: position(1, 2, 30)),
    .init(form: .drained, lost: [4], from: position(1, 3, 5), to: 9, newest: position(1, 3, 5)),
    .init(
      form: .drained, lost: [3, 4], from: position(1, 3, 0), to: 9, newest: position(1, 2, 30)),
    // 0, 1: timeline 1. 2, 3: timeline 2.
    .init(form: .parent, lost: [0], from: position(1, 1, 0), to: 10, newest: position(1, 1, 0)),
    .init(form: .parent, lost: [1], from: position(1, 1, 10), to: 20, newest: position(1, 1, 10)),
    .init(form: .parent, lost: [2], from: position(2, 1, 20), to: 30, newest: position(1, 1, 20)),
    .init(form: .parent, lost: [3], from: position(2, 1, 30), to: 40, newest: position(2, 1, 30)),
    .init(form: .legacy, lost: [0], from: position(1, 1, 0), to: 10, newest: nil),
    .init(form: .legacy, lost: [1], from: position(1, 1, 10), to: 20, newest: position(1, 1, 10)),
    .init(form: .legacy, lost: [0, 1], from: position(1, 1, 0), to: 20, newest: nil),
  ]

  private func objects(_ form: Form) -> [(Int, Int, UInt64, UInt64)] {
    switch form {
    case .drained: [(1, 1, 0, 10), (1, 1, 10, 20), (1, 2, 0, 30), (1, 3, 0, 5), (1, 3, 5, 9)]
    case .parent: [(1, 1, 0, 10), (1, 1, 10, 20), (2, 1, 20, 30), (2, 1, 30, 40)]
    case .legacy: [(1, 1, 0, 10), (1, 1, 10, 20)]
    }
  }

  private func chained(_ form: Form) -> Snapshot {
    func segment(_ timeline: Int, _ ordinal: Int, _ from: UInt64, _ to: UInt64?)
      -> Snapshot.Segment
    {
      .init(timeline: TimelineNumber(timeline)!, ordinal: ordinal, from: from, to: to)
    }
    let segments: [[Snapshot.Segment]]
    switch form {
    case .drained:
      segments = [[segment(1, 1, 0, 20)], [segment(1, 2, 0, 30)], [segment(1, 3, 0, nil)]]
    case .parent: segments = [[segment(1, 1, 0, 20), segment(2, 1, 20, nil)]]
    case .legacy: segments = [[segment(1, 1, 0, 20)]]
    }
    let base = Snapshot.Base(generation: generationID(1), file: "b.rdb", sequence: 1)
    var made = Snapshot(
      timeline: TimelineNumber(form == .parent ? 2 : 1)!, sequence: 2,
      nonce: nonce(form == .parent ? 2 : 1), at: at(9000), cause: .chain, primary: .aof,
      chain: .init(
        form: form == .legacy ? .legacy : .multiPart(directory: "dir", manifest: "m.manifest"),
        base: form == .legacy ? nil : base,
        files: segments.enumerated().map {
          .init(file: "i\($0 + 1)", sequence: Int64($0 + 1), segments: $1, identity: nil)
        }), dump: nil, detached: nil, isClean: false, destructive: nil)
    if form != .legacy { made.reached = form == .drained ? 9 : 40 }
    return made
  }

  private func made(_ form: Form, without lost: [Int]) throws -> History {
    var catalogue = Catalogue(names: [(ObjectPath.claim(.first).text, 1)])
    var claims = [TimelineNumber.first: claim(1)]
    if form == .parent {
      let second = claim(
        2, parent: 1, fork: position(1, 1, 20),
        end: .init(snapshots: 1, ordinals: [.init(ordinal: 1, offset: 20)]))
      catalogue.add(name: ObjectPath.claim(second.timeline).text, size: 1)
      claims[second.timeline] = second
    }
    for (number, (timeline, ordinal, from, to)) in objects(form).enumerated()
    where !lost.contains(number) {
      let name = ObjectPath.log(
        TimelineNumber(timeline)!, ordinal: ordinal, span(from, to, at: 1000 * Int64(number + 1)))
      catalogue.add(name: name.text, size: 1)
    }
    return try History(catalogue: catalogue, claims: claims)
  }

  private func plan(_ history: History, _ snapshot: Snapshot, baseKeys: UInt64) throws
    -> RestorePlan
  {
    let finder = PointFinder(history: history, timeline: snapshot.timeline, snapshots: [:])
    let made = index(
      generationID(1), .base, file: "b.rdb", contentAt: 50, dataset: dataset(keys: baseKeys))
    return try RestorePlanner(
      history: history, point: try #require(finder.newest(of: snapshot)),
      indexes: [made.generation: made], options: .init()
    ).plan()
  }

  private func firstLoss(_ history: History, _ snapshot: Snapshot, by known: [Snapshot]? = nil)
    -> LogLoss?
  {
    let losses = LossFinder(history, snapshots: known ?? [snapshot])
    return losses.loss(of: snapshot)
  }

  @Test(arguments: Form.allCases) func `a whole log has no loss`(_ form: Form) throws {
    let history = try made(form, without: [])
    let snapshot = chained(form)
    #expect(firstLoss(history, snapshot) == nil)
    let planned = try plan(history, snapshot, baseKeys: 3)
    #expect(planned.loss == nil && !planned.warnings.contains { $0.contains("lost") })
  }

  @Test(arguments: cases) func `what is lost is found, and the state before it is restored`(
    _ one: Case
  ) throws {
    let history = try made(one.form, without: one.lost)
    let snapshot = chained(one.form)
    let loss = try #require(firstLoss(history, snapshot))
    #expect(loss.position == one.from && loss.to == one.to)
    #expect(loss.until >= loss.since && loss.until == at(9000))
    guard let newest = one.newest else {
      let refused = #expect(throws: LifeboatError.self) {
        try plan(history, snapshot, baseKeys: 3)
      }
      #expect(refused?.code == .corrupt && refused?.missingObject == loss.object)
      return
    }
    let planned = try plan(history, snapshot, baseKeys: 3)
    #expect(planned.point.cut == newest && planned.loss == loss)
    #expect(planned.warnings.contains { $0.contains("\(loss.since) to \(loss.until)") })
    // An empty full copy without any log would be an empty server.
    if newest.offset == 0 {
      #expect(throws: LifeboatError.self) { try plan(history, snapshot, baseKeys: 0) }
    } else {
      _ = try plan(history, snapshot, baseKeys: 0)
    }
  }

  @Test func `a point before the loss does not need it`() throws {
    let history = try made(.drained, without: [2])
    let snapshot = chained(.drained)
    let losses = LossFinder(history, snapshots: [snapshot])
    for (cut, isBehind) in [
      (position(1, 1, 10), false), (position(1, 1, 20), true), (position(1, 1, 5), false),
    ] {
      let point = RestorePoint(snapshot: snapshot, primary: .aof, cut: cut, instant: at(1))
      let loss = losses.loss(rightBehind: point)
      #expect((loss != nil) == isBehind, "\(cut)")
    }
  }

  @Test func `another snapshot knows how far a log was durable`() throws {
    let history = try made(.drained, without: [1])
    var early = chained(.drained)
    early.sequence = 1
    early.reached = 0
    early.chain?.files.removeLast(2)
    early.chain?.files[0].segments[0].to = nil
    #expect(firstLoss(history, early) == nil)
    let known = firstLoss(history, early, by: [early, chained(.drained)])
    #expect(known?.position == position(1, 1, 10))
  }

  @Test func `what lies behind the end of a timeline is not lost`() throws {
    // The claimant listed the log before its last object was there, and the snapshots after the one that
    // names it.
    var catalogue = Catalogue(
      names: (1...2).map { (ObjectPath.claim(TimelineNumber($0)!).text, 1) })
    for (from, to) in [(0, 10), (10, 20)] as [(UInt64, UInt64)] {
      catalogue.add(name: ObjectPath.log(.first, ordinal: 1, span(from, to)).text, size: 1)
    }
    let second = claim(
      2, parent: 1, end: .init(snapshots: 2, ordinals: [.init(ordinal: 1, offset: 10)]))
    let history = try History(
      catalogue: catalogue, claims: [.first: claim(1), second.timeline: second])
    #expect(firstLoss(history, chained(.legacy)) == nil)
  }

  @Test func `the first whole state behind a loss is what a chain without it begins with`() throws {
    let history = try made(.drained, without: [0])
    let lost = chained(.drained)
    let loss = try #require(firstLoss(history, lost))
    let finder = PointFinder(history: history, timeline: .first, snapshots: [:])
    #expect(finder.firstState(of: lost, behind: loss) == nil)
    var next = lost
    next.sequence = 3
    next.chain?.files.removeFirst(2)
    #expect(finder.firstState(of: next, behind: loss)?.id == "1.3@3:0")
    next.chain?.base = nil
    #expect(finder.firstState(of: next, behind: loss)?.id == "1.3@3:5")
  }
}
