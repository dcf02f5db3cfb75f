import BackupFormat
package import BackupTypes

/// Restore points that need log that was durable and has disappeared.
extension Answering {
  struct LostLog {
    var loss: LogLoss
    /// A snapshot whose chain contains the loss.
    var snapshot: Snapshot
  }

  /// Ends an answer.
  struct Lost: Error {
    var state: LostState
  }

  func isWithoutState(_ lost: LostLog) -> Bool {
    lost.snapshot.chain?.base == nil && history.chain(of: lost.snapshot).isEmpty
  }

  /// If a position was durable and is missing now, reports that as a loss, not as a mistake of the caller.
  /// - Parameter snapshots: the snapshots that say up to where the log was durable.
  func checkWhole(
    _ snapshot: Snapshot, at position: LogPosition?, _ id: String, by snapshots: [Snapshot]
  ) throws {
    guard snapshot.primary == .aof, let chain = snapshot.chain else { return }
    let losses = LossFinder(history, snapshots: snapshots)
    guard let loss = losses.loss(of: snapshot) else { return }
    if let position {
      guard chain.order(of: position) > chain.order(of: loss.position),
        let segment = chain.files.flatMap(\.segments).first(where: { $0.isOf(position) }),
        position.offset <= end(of: segment, in: snapshot, losses)
      else { return }
    }
    throw try lost(
      "the restore point \(printable(id)) needs a part of the log that is lost",
      LostLog(loss: loss, snapshot: snapshot))
  }

  /// Up to where a span was durable, according to the records and the names of the remaining objects.
  private func end(
    of segment: Snapshot.Segment, in snapshot: Snapshot, _ losses: LossFinder
  ) -> UInt64 {
    let spans = history.catalogue.timelines[segment.timeline]?.log[segment.ordinal] ?? []
    let known = losses.durableEnd(of: segment, in: snapshot)
    return segment.to ?? spans.reduce(known) { max($0, $1.to) }
  }

  /// The newest loss that began by `at`, in the snapshots after those of `point`.
  func lost(of timeline: TimelineNumber?, from point: RestorePoint?, until at: Instant) throws
    -> LostLog?
  {
    var number = timeline
    while let current = number, current >= point?.timeline ?? current {
      let snapshots = try evidence.readable(current)
      let losses = LossFinder(history, snapshots: snapshots.values)
      for (_, snapshot) in snapshots.sorted(by: { $0.key > $1.key })
      where snapshot.primary == .aof {
        if let point, snapshot.key <= point.snapshot.key { break }
        if let loss = losses.loss(of: snapshot), loss.since <= at {
          return LostLog(loss: loss, snapshot: snapshot)
        }
      }
      number = history.claims[current]?.parent
    }
    return nil
  }

  /// Ends the answer if a snapshot after `point` begins by `at`, and its full copy is damaged. The state at
  /// that time is one of those that need the copy.
  func checkCopies(of timeline: TimelineNumber?, from point: RestorePoint?, until at: Instant)
    throws
  {
    var number = timeline
    var behind: RestorePoint?
    while let current = number, current >= point?.timeline ?? current {
      let finder = try readableFinder(of: current)
      for (_, snapshot) in finder.snapshots.sorted(by: { $0.key > $1.key }) {
        if let point, snapshot.key <= point.snapshot.key { break }
        guard let begun = try begun(snapshot), begun <= at,
          let loss = history.copyLoss(snapshot, behind: point)
        else {
          behind = finder.newest(of: snapshot).map { finder.start(of: snapshot) ?? $0 } ?? behind
          continue
        }
        throw Lost(
          state: LostState(
            message: "the state at \(at) needs a full copy that is damaged", cause: loss.what,
            object: nil, before: point, behind: behind))
      }
      number = history.claims[current]?.parent
    }
  }

  /// The time of the first state of a snapshot: that of its full copy, if the index says it.
  private func begun(_ snapshot: Snapshot) throws -> Instant? {
    let period = history.period(of: snapshot)
    guard snapshot.primary == .aof, let base = snapshot.chain?.base?.generation else {
      return period?.from
    }
    return try evidence.readableIndex(base)?.contentAt ?? period?.from
  }

  /// The lost part of the point's own chain.
  func lost(in point: RestorePoint) -> LostLog? {
    LossFinder(history, snapshots: [point.snapshot]).loss(of: point.snapshot)
      .map { LostLog(loss: $0, snapshot: point.snapshot) }
  }

  // MARK: What there is

  /// Adds the complete states before and after the loss to an error of the planner, which does not know them.
  package func explained(_ error: LifeboatError, _ point: RestorePoint) throws -> LifeboatError {
    let losses = LossFinder(history, snapshots: [point.snapshot])
    guard let loss = losses.loss(rightBehind: point), error.missingObject == loss.object else {
      return error
    }
    return try lost(error.message, LostLog(loss: loss, snapshot: point.snapshot)).state.error
  }

  /// Names what is missing, and the complete states on both sides.
  func lost(_ message: String, _ lost: LostLog) throws -> Lost {
    Lost(
      state: LostState(
        message: message,
        cause: "\(lost.loss.what) were backed up and are now missing: the writes from "
          + "\(lost.loss.since) to \(lost.loss.until) are lost",
        object: lost.loss.object, before: try lastWhole(before: lost),
        behind: try firstWhole(behind: lost)))
  }

  /// The rest of the chain itself, if it has any data; otherwise the newest state of an earlier chain.
  private func lastWhole(before lost: LostLog) throws -> RestorePoint? {
    var finder = try readableFinder(of: lost.snapshot.timeline)
    if let point = finder.newest(of: lost.snapshot), try holdsKeys(lost.snapshot) {
      return point
    }
    while true {
      for (_, snapshot) in finder.snapshots.sorted(by: { $0.key > $1.key })
      where snapshot.key < lost.snapshot.key {
        if snapshot.primary == .aof, snapshot.chain.map({ lost.loss.isIn($0) }) ?? true { continue }
        if let point = finder.newest(of: snapshot) { return point }
      }
      guard let parent = history.claims[finder.timeline]?.parent else { return nil }
      finder = try readableFinder(of: parent)
    }
  }

  private func holdsKeys(_ snapshot: Snapshot) throws -> Bool {
    guard history.chain(of: snapshot).isEmpty else { return true }
    guard let base = snapshot.chain?.base?.generation,
      let index = try evidence.readableIndex(base)
    else { return false }
    return !(index.dataset?.isEmpty ?? (index.size == 0))
  }

  private func firstWhole(behind lost: LostLog) throws -> RestorePoint? {
    var number: TimelineNumber? = lost.snapshot.timeline
    while let timeline = number {
      let finder = try readableFinder(of: timeline)
      for (_, snapshot) in finder.snapshots.sorted(by: { $0.key < $1.key })
      where snapshot.key > lost.snapshot.key {
        if let point = finder.firstState(of: snapshot, behind: lost.loss) { return point }
      }
      number = history.successor(of: timeline)?.timeline
    }
    return nil
  }

  private func readableFinder(of timeline: TimelineNumber) throws -> PointFinder {
    PointFinder(history: history, timeline: timeline, snapshots: try evidence.readable(timeline))
  }
}
