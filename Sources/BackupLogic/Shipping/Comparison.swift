package import BackupFormat
package import BackupTypes
package import RedisFormats

/// What comparing the disk with the newest history in the repository found. A claim is made from it,
/// and the plan begins with it: nothing that is already there is sent again.
package struct Comparison: Sendable {
  /// The highest claim in the listing: the predecessor of the next timeline.
  package var parent: TimelineNumber?
  /// Where the predecessor ends.
  package var end: Claim.End?
  /// The proved common position; nil when none is proved.
  package var fork: LogPosition?
  /// The chain on disk, its files positioned behind what the repository already holds of them.
  package var chain: FollowedChain?
  /// The dump on disk, if the repository holds it.
  package var dump: ShipPlan.DurableDump?
  /// A readable chain of the history that the chain on disk does not continue.
  package var carried: ClosedChain?
  /// Whether the disk holds anything that the repository lacks.
  package var hasNews: Bool
  /// Whether the repository holds a restore point at all.
  package var hasPoint: Bool
  package var lastMark: Instant?
  /// How many keys the BASEs hold that `chain` may stand on.
  package var bases: [GenerationID: KeyBounds] = [:]
  package var suspicion: ShrinkGuard.Suspicion?
  /// The guard's pin of a question that is still open: no second is asked.
  package var question: String?
  /// The last restore point of the history, which a guard's pin would keep.
  package var before: (timeline: TimelineNumber, snapshot: Int, position: LogPosition?)?
  package var pins = PinsInForce()
  /// Generations that may be used again: those of the last snapshot, by fingerprint.
  package var reusable: [ShortDigest: GenerationID] = [:]
  /// Generations that were found damaged: never used again, nor continued.
  package var quarantined: Set<GenerationID> = []
  /// The nonce of the direct predecessor: a generation it left unfinished may be continued.
  package var unfinishedNonce: Nonce?

  package init(hasNews: Bool, hasPoint: Bool) {
    self.hasNews = hasNews
    self.hasPoint = hasPoint
  }
}
