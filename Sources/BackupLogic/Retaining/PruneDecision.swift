import BackupFormat
package import BackupTypes

/// Whether a run of retention goes through now.
package enum PruneDecision: Sendable, Equatable {
  case nothing
  case go
  /// It would take more than half of the restore points: said first, and done a grace later.
  case announce
  /// It was said; until then nothing is deleted.
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
