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
      if best.map({ point.instant > $0.instant }) ?? true { best = point }
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
      if let fork = fork(of: snapshot, log), fork.instant <= instant { return fork }
      return log.last(notAfter: instant).map {
        RestorePoint(snapshot: snapshot, primary: .aof, cut: $0.position, instant: $0.time)
      }
    }
  }

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
    if let fork = fork(of: snapshot, log) { return fork }
    if let last = log.last {
      return RestorePoint(snapshot: snapshot, primary: .aof, cut: last.position, instant: last.time)
    }
    return start(of: snapshot)
  }

  /// The position where the timeline forked off, inside an object of an earlier timeline, as long as it has
  /// no log of its own. The log may be cut there, and this is the state that the timeline began with.
  private func fork(of snapshot: Snapshot, _ log: ChainLog) -> RestorePoint? {
    guard let claim = history.claims[timeline], let fork = claim.fork,
      let (segment, span) = log.lastObject, let to = segment.to, span.to > to,
      segment.position(to) == fork
    else { return nil }
    return RestorePoint(snapshot: snapshot, primary: .aof, cut: fork, instant: claim.claimedAt)
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
