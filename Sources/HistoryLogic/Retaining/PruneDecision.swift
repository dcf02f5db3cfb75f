import BackupFormat
package import BackupTypes

/// Whether a run of retention may delete now.
package enum PruneDecision: Sendable, Equatable {
  case nothing
  case go
  /// It would delete more than half of the restore points. It is announced first, and done after a grace
  /// period.
  case announce
  /// It was announced. Nothing is deleted until then.
  case wait(until: Instant)

  package static func decide(_ plan: PrunePlan, isConfirmed: Bool, now: Instant) -> PruneDecision {
    if plan.isEmpty { return .nothing }
    guard plan.takesMost, !isConfirmed else { return .go }
    guard let announced = plan.letGo.announced else { return .announce }
    let age = now.since(announced.at)
    if age < 0 || age > RetentionPolicy.announcementEnds { return .announce }
    let due = announced.at.advanced(byMilliseconds: RetentionPolicy.grace)
    return now >= due ? .go : .wait(until: due)
  }
}
