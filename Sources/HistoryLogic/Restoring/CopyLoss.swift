package import BackupFormat
package import BackupTypes

/// A full copy that is quarantined, after a restore point. The states that need it can't be restored.
package struct CopyLoss: Sendable, Equatable {
  package var generation: GenerationID
  /// The time of the restore point before it.
  package var since: Instant
  /// The last known time of a state that needs it.
  package var until: Instant

  package var what: String {
    "the states from \(since) to \(until) need the full copy \(generation), which was found damaged"
  }
}

extension History {
  /// What can't be restored after `point`, because `snapshot` needs a full copy that is quarantined. Nil if the
  /// snapshot does not need one, or if the log of the point gives its states, too.
  func copyLoss(_ snapshot: Snapshot, behind point: RestorePoint?) -> CopyLoss? {
    guard isQuarantined(snapshot), let period = period(of: snapshot) else { return nil }
    let since = point?.instant ?? period.from
    guard point == nil || period.to > since else { return nil }
    let id =
      snapshot.primary == .rdb ? snapshot.dump?.generation : snapshot.chain?.base?.generation
    return id.map { CopyLoss(generation: $0, since: since, until: period.to) }
  }

  /// The times of the first and the last state of a snapshot, according to the names of its log.
  func period(of snapshot: Snapshot) -> (from: Instant, to: Instant)? {
    if snapshot.primary == .rdb { return snapshot.dump.map { ($0.contentAt, $0.contentAt) } }
    let log = chain(of: snapshot)
    let first = log.first.map { min($0.time, snapshot.at) } ?? snapshot.at
    return (first, log.last?.time ?? snapshot.at)
  }
}
