package import BackupFormat
package import BackupTypes

/// A state that can be restored: a snapshot and, with a log, the position to cut at.
package struct RestorePoint: Sendable, Equatable {
  package var snapshot: Snapshot
  package var primary: Snapshot.Primary
  /// Nil for a point that is a dump.
  package var cut: LogPosition?
  /// The time of the mark at the cut, or of the dump's content.
  package var instant: Instant
  /// For a state that is older than the requested time: nothing is known about the time from `instant` until
  /// then.
  package var gap: Gap?
  /// For the newest state: what was backed up after it and can't be restored, because its full copy is damaged.
  package var lostCopy: CopyLoss?
  /// A warning that a restore of it prints.
  package var warning: String?

  /// A time for which no log was shipped, or for which none is kept.
  package struct Gap: Sendable, Equatable {
    package var until: Instant
    /// The id of the restore point after it.
    package var next: String
    package init(until: Instant, next: String) {
      self.until = until
      self.next = next
    }
  }

  package init(
    snapshot: Snapshot, primary: Snapshot.Primary, cut: LogPosition?, instant: Instant
  ) {
    self.snapshot = snapshot
    self.primary = primary
    self.cut = cut
    self.instant = instant
  }

  package var timeline: TimelineNumber { snapshot.timeline }
  /// The value for `--point`: `<timeline>.<snapshot>`, for a log followed by `@<ordinal>:<offset>`.
  package var id: String {
    "\(timeline).\(snapshot.sequence)"
      + (cut.map {
        "@" + ($0.timeline == timeline ? "" : "\($0.timeline)/") + "\($0.ordinal):\($0.offset)"
      }
        ?? "")
  }
}

/// Finds restore points in a history whose records were read.
package struct PointFinder: Sendable {
  package var history: History
  /// Of one timeline, by sequence.
  package var snapshots: [Int: Snapshot]
  package var timeline: TimelineNumber

  package init(history: History, timeline: TimelineNumber, snapshots: [Int: Snapshot]) {
    self.history = history
    self.timeline = timeline
    self.snapshots = snapshots
  }

  /// The newest restore point of the timeline; nil if no snapshot has one.
  package func newest() -> RestorePoint? {
    for sequence in snapshots.keys.sorted(by: >) {
      if let point = newest(of: snapshots[sequence]!) { return point }
    }
    return nil
  }

  /// The newest restore point of one snapshot; nil if the full copy it begins with is quarantined.
  package func newest(of snapshot: Snapshot) -> RestorePoint? {
    guard !history.isQuarantined(snapshot) else { return nil }
    switch snapshot.primary {
    case nil: return nil
    case .rdb: return dumpPoint(of: snapshot)
    case .aof: return chainEnd(of: snapshot)
    }
  }

  /// The last restore point not after `instant`: the latest state in all snapshots.
  package func last(notAfter instant: Instant) -> RestorePoint? {
    var best: RestorePoint?
    for sequence in snapshots.keys.sorted(by: >) {
      guard let point = last(of: snapshots[sequence]!, notAfter: instant) else { continue }
      if best.map({ isLater(point, than: $0, at: instant) }) ?? true { best = point }
    }
    return best
  }

  private func last(of snapshot: Snapshot, notAfter instant: Instant) -> RestorePoint? {
    guard !history.isQuarantined(snapshot) else { return nil }
    switch snapshot.primary {
    case nil: return nil
    case .rdb: return dumpPoint(of: snapshot).flatMap { $0.instant <= instant ? $0 : nil }
    case .aof:
      let log = history.chain(of: snapshot)
      let marked = log.last(notAfter: instant).map {
        RestorePoint(snapshot: snapshot, primary: .aof, cut: $0.position, instant: $0.time)
      }
      guard !isOwn(marked?.cut), let fork = fork(of: snapshot, log), fork.point.instant <= instant
      else { return marked }
      return fork.point
    }
  }

  /// Whether `point` is a later state than `best`, of which both are known by `instant`.
  ///
  /// A dump that is the newest state of a later snapshot has replaced the log, although its time can be earlier
  /// than that of the log. A dump has a whole second as its time, and a fork has the time of its claim, when the
  /// dump may have been on disk.
  package func isLater(_ point: RestorePoint, than best: RestorePoint, at instant: Instant) -> Bool
  {
    guard point.instant > best.instant else { return false }
    guard best.primary == .rdb, point.primary == .aof, best.snapshot.key > point.snapshot.key,
      instant.since(best.instant) >= 999
    else { return true }
    let log = history.chain(of: point.snapshot)
    let fork = isOwn(point.cut) ? nil : fork(of: point.snapshot, log)
    let written = fork?.point.cut == point.cut ? fork!.writtenBy : point.instant
    return written.since(best.instant) >= 1000
  }

  private func isOwn(_ cut: LogPosition?) -> Bool { cut?.timeline == timeline }

  /// The first and the last instant at which one snapshot's chain can be cut.
  package func window(of snapshot: Snapshot) -> (from: Instant, to: Instant)? {
    if snapshot.primary == .rdb { return dumpPoint(of: snapshot).map { ($0.instant, $0.instant) } }
    let log = history.chain(of: snapshot)
    guard let first = log.first, let last = log.last else { return nil }
    return (first.time, last.time)
  }

  private func dumpPoint(of snapshot: Snapshot) -> RestorePoint? {
    snapshot.dump.map {
      RestorePoint(snapshot: snapshot, primary: .rdb, cut: nil, instant: $0.contentAt)
    }
  }

  private func chainEnd(of snapshot: Snapshot) -> RestorePoint? {
    guard snapshot.chain != nil else { return nil }
    let log = history.chain(of: snapshot)
    let last = log.last
    if !isOwn(last?.position), let fork = fork(of: snapshot, log) { return fork.point }
    if let last {
      return RestorePoint(snapshot: snapshot, primary: .aof, cut: last.position, instant: last.time)
    }
    return start(of: snapshot)
  }

  /// The position where the timeline forked off, inside an object of an earlier timeline. The log may be cut
  /// there, although no name shows it. It is the state from the claim until the first mark of the timeline's own
  /// log. The whole object had been written by `writtenBy`.
  private func fork(of snapshot: Snapshot, _ log: ChainLog) -> (
    point: RestorePoint, writtenBy: Instant
  )? {
    guard let claim = history.claims[timeline], let fork = claim.fork else { return nil }
    for part in log.parts where part.segment.isOf(fork) && part.segment.to == fork.offset {
      guard let span = part.log.spans.last, span.to > fork.offset else { continue }
      let point = RestorePoint(
        snapshot: snapshot, primary: .aof, cut: fork, instant: claim.claimedAt)
      return (point, min(span.mark ?? claim.claimedAt, claim.claimedAt))
    }
    return nil
  }

  /// The BASE without any log. It is the restore point of a snapshot as long as its log has no mark, and
  /// stays a restore point when the log continues.
  package func start(of snapshot: Snapshot) -> RestorePoint? {
    guard let chain = snapshot.chain, chain.base != nil || !chain.files.isEmpty else { return nil }
    let position = chain.files.first?.segments.first.map { $0.position($0.from) }
    let first = history.chain(of: snapshot).first?.time ?? snapshot.at
    return RestorePoint(
      snapshot: snapshot, primary: .aof, cut: position, instant: min(first, snapshot.at))
  }
}
