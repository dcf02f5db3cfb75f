import BackupFormat
package import BackupTypes

/// Decides which restore point a question means. This is the only place that does so.
///
/// It is pure. It gets the names of the listing and the claims (`history`), and the facts that were read so
/// far (`evidence`). If it needs more, it throws `Unknown` with the missing facts. `HistoryReader.ask` reads
/// them and asks again. For example, the newest restore point needs the last snapshot of the last timeline;
/// if that has no restore point, the next call asks for the one before it.
package struct Answering: Sendable {
  package let history: History
  package let evidence: Evidence
  package let now: Instant

  package init(_ history: History, _ evidence: Evidence, now: Instant) {
    self.history = history
    self.evidence = evidence
    self.now = now
  }

  package func answer(_ question: Question) throws -> Answer {
    do {
      try refuseHidden(by: question)
      switch question {
      case .newest(let choice): return try newest(choice)
      case .timeline(let number):
        guard let point = try newest(of: require(number)) else {
          throw LifeboatError(
            .noBackup, "timeline \(number) has no restore point",
            hint: "`lifeboat list` shows the restore points")
        }
        return .point(point, .mark)
      case .unfinished(let number): return .point(try unfinished(of: number), .mark)
      case .at(let instant, let number): return try state(at: instant, in: number)
      case .before(let command, let number): return try last(before: command, in: number)
      case .point(let id): return try named(Pin.isName(id) ? pinned(as: id) : id)
      }
    } catch let error as LifeboatError where error.code == .noBackup || error.code == .usage {
      return .nothing(error)
    } catch let lost as Lost {
      return .lost(lost.state)
    }
  }

  // MARK: The newest

  /// The newest restore point of the repository, even if it may be the result of an accident: that of the
  /// highest timeline that has one. A claim without snapshots, or a timeline that has only named files so
  /// far, only marks the end of its predecessor.
  package func newest() throws -> RestorePoint? {
    var damaged: Snapshot?
    for timeline in history.claims.keys.sorted(by: >) {
      if let point = try newest(of: timeline, after: &damaged) { return point }
    }
    return nil
  }

  /// The newest restore point of a timeline, read from its end: a few records at most. An abandoned branch
  /// is read to its own end, past the position where its successor forked off.
  package func newest(of timeline: TimelineNumber) throws -> RestorePoint? {
    var damaged: Snapshot?
    return try newest(of: timeline, after: &damaged)
  }

  /// - Parameter damaged: the newest snapshot whose full copy is quarantined.
  private func newest(of timeline: TimelineNumber, after damaged: inout Snapshot?) throws
    -> RestorePoint?
  {
    for sequence in history.snapshots(of: timeline).reversed() {
      guard let snapshot = try evidence.snapshot(SnapshotKey(timeline, sequence)) else { continue }
      if var point = finder(of: snapshot).newest() {
        point.lostCopy = damaged.flatMap { history.copyLoss($0, behind: point) }
        return point
      }
      if damaged == nil, history.isQuarantined(snapshot) { damaged = snapshot }
    }
    return nil
  }

  /// The first remaining restore point.
  package func first() throws -> RestorePoint? {
    for timeline in history.claims.keys.sorted() {
      for sequence in history.snapshots(of: timeline) {
        guard let snapshot = try evidence.snapshot(SnapshotKey(timeline, sequence)) else {
          continue
        }
        let finder = finder(of: snapshot)
        guard let newest = finder.newest() else { continue }
        return snapshot.primary == .aof ? finder.start(of: snapshot) ?? newest : newest
      }
    }
    return nil
  }

  /// A timeline that began suspect and whose pin is still in force is never chosen silently.
  private func newest(_ choice: Question.Suspect?) throws -> Answer {
    guard let newest = try newest() else { return .empty }
    let isAsked = choice != .newest && history.claims.values.contains { $0.suspicion != nil }
    guard isAsked,
      let (suspicion, pin) = history.openSuspicion(
        of: newest.timeline, pins: try evidence.pinsInForce())
    else { return .point(newest, .mark) }
    let key = SnapshotKey(pin.timeline, pin.snapshot)
    guard var before = finder(of: try require(key)).newest() else { return .point(newest, .mark) }
    if let position = pin.position {
      before.cut = position
      guard case .point(let point, _) = try named(before.id) else { return .point(newest, .mark) }
      before = point
    }
    return choice == .before
      ? .point(before, .mark) : .suspect(newest: newest, before: before, suspicion)
  }

  // MARK: By its id, or by the name of its pin

  private func pinned(as name: String) throws -> String {
    let pins = try evidence.pinsInForce().filter { $0.name == name }
    let ids = pins.map { pointID($0.timeline, $0.snapshot, $0.position) }
    if ids.isEmpty, let id = evidence.unreadablePins.first(where: { Pin.name(inID: $0) == name }) {
      throw LifeboatError(
        .corrupt, "the pin \(name) can't be read", cause: "its record \(id) is damaged",
        hint: "`lifeboat verify` says what is wrong; `lifeboat list` shows the restore points")
    }
    guard let first = ids.first else {
      throw LifeboatError(
        .noBackup, "there is no pin named \(name)",
        cause: "it was never set, it was released, or it has expired",
        hint: "`lifeboat list` shows the pins")
    }
    guard ids.count == 1 else {
      throw LifeboatError(
        .usage, "\(counted(ids.count, "pin")) are named \(name)",
        hint: "name the restore point by its id: \(ids.joined(separator: ", "))")
    }
    return first
  }

  private func named(_ id: String) throws -> Answer {
    guard let parsed = PointID(id) else {
      throw LifeboatError(
        .usage, "\(printable(id)) is not the id of a restore point",
        hint:
          "ids look like 3.12 or 3.12@1:4096, names like before-migration; `lifeboat list` shows both"
      )
    }
    let key = parsed.snapshot
    guard history.snapshots(of: key.timeline).contains(key.sequence) else {
      throw LifeboatError(
        .noBackup, "there is no restore point \(printable(id))",
        hint: "`lifeboat list` shows the restore points")
    }
    var snapshot = try require(key)
    if parsed.position != nil, snapshot.primary == .rdb {
      // An id with a position means the log, even if a server would load the dump instead.
      guard snapshot.chain != nil else {
        throw LifeboatError(
          .noBackup, "\(printable(id)) is a position in a log, but this restore point is a dump",
          hint: "restore the dump with --point \(key.timeline).\(key.sequence)")
      }
      snapshot.primary = .aof
    }
    guard !history.isQuarantined(snapshot) else {
      throw LifeboatError(
        .corrupt, "the restore point \(printable(id)) needs a full copy that is damaged",
        cause: "`lifeboat verify` has quarantined it",
        hint: "`lifeboat list` shows the other points; `lifeboat verify` says what is damaged")
    }
    try checkWhole(snapshot, at: parsed.position, id, by: [snapshot])
    guard let newest = finder(of: snapshot).newest() else {
      throw LifeboatError(
        .noBackup, "the snapshot \(printable(id)) is not a restore point",
        cause: "its BASE was not completely uploaded",
        hint: "`lifeboat list` shows the restore points")
    }
    guard let position = parsed.position else {
      return .point(newest, newest.primary == .rdb ? .copy : .mark)
    }
    if let found = try point(of: snapshot, at: position, newest) { return found }
    let others = try evidence.readable(key.timeline)
    try checkWhole(snapshot, at: position, id, by: Array(others.values))
    throw LifeboatError(
      .noBackup,
      "the log can't be cut at \(printable(id)): it is inside a command or transaction, or not in the log",
      hint: "`lifeboat list` shows the restore points")
  }

  /// The restore point of `snapshot` at `position`: at a mark, or at any command outside a transaction.
  private func point(of snapshot: Snapshot, at position: LogPosition, _ newest: RestorePoint) throws
    -> Answer?
  {
    func point(_ instant: Instant) -> RestorePoint {
      RestorePoint(snapshot: snapshot, primary: .aof, cut: position, instant: instant)
    }
    let finder = finder(of: snapshot)
    if let drop = snapshot.destructive, drop.before == position {
      return .point(point(drop.at), .command)
    }
    if let start = finder.start(of: snapshot), start.cut == position { return .point(start, .copy) }
    if newest.cut == position { return .point(newest, .mark) }
    if let mark = history.chain(of: snapshot).mark(at: position) {
      return .point(point(mark.time), .mark)
    }
    // A fold replaced the object of that name.
    if let inner = finder.inner(of: snapshot, at: position) {
      for (object, marks) in try evidence.marks(of: [inner]) {
        if let found = object.point(of: marks, at: position.offset) { return .point(found, .mark) }
      }
    }
    guard snapshot.primary == .aof else { return nil }
    return try evidence.boundary(snapshot.key, position).map { .point(point($0), .command) }
  }

  // MARK: Log whose BASE never became durable

  private func unfinished(of timeline: TimelineNumber) throws -> RestorePoint {
    if let point = try newest(of: require(timeline)) {
      throw LifeboatError(
        .usage, "--base empty is not allowed: timeline \(timeline) has restore points of its own",
        cause: "the newest is \(point.id) of \(point.instant)",
        hint: "restore it with --timeline \(timeline) alone")
    }
    guard let log = history.unfinishedLogs(Array(try evidence.all(timeline).values)).first else {
      throw LifeboatError(
        .noBackup, "timeline \(timeline) has no log whose BASE is missing",
        hint: "`lifeboat list` shows the restore points")
    }
    guard let point = history.point(of: log) else {
      throw LifeboatError(
        .noBackup, "the log of timeline \(timeline) contains no complete command",
        cause: "its beginning was not completely uploaded",
        hint: "it contains nothing that a server could load")
    }
    return point
  }

  // MARK: Records

  func finder(of snapshot: Snapshot) -> PointFinder {
    PointFinder(
      history: history, timeline: snapshot.timeline, snapshots: [snapshot.sequence: snapshot])
  }

  @discardableResult
  func require(_ timeline: TimelineNumber) throws(LifeboatError) -> TimelineNumber {
    guard history.claims[timeline] != nil else {
      throw LifeboatError(
        .noBackup, "there is no timeline \(timeline)",
        hint: "`lifeboat list` shows the restore points")
    }
    return timeline
  }

  /// A snapshot that was requested by its number.
  private func require(_ key: SnapshotKey) throws -> Snapshot {
    guard let snapshot = try evidence.snapshot(key) else {
      throw LifeboatError(
        .corrupt,
        "snapshot \(key.sequence) of timeline \(key.timeline) was written by another process",
        cause: "two shippers wrote to one timeline: the store allows overwriting objects",
        hint: "`lifeboat list` shows the restore points")
    }
    return snapshot
  }
}

extension History {
  /// The last position where log without a BASE can be cut; nil if there is none.
  package func point(of log: UnfinishedLog) -> RestorePoint? {
    guard let snapshot = log.snapshot.behindEmptyBase, chain(of: snapshot).last != nil else {
      return nil
    }
    return PointFinder(
      history: self, timeline: snapshot.timeline, snapshots: [snapshot.sequence: snapshot]
    ).newest()
  }
}
