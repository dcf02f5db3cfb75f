package import BackupFormat
package import BackupTypes
package import HistoryLogic
package import RedisFormats

/// The result of comparing the disk with the newest history in the repository. A claim is made from it, and
/// the plan begins with it, so nothing that the repository has is sent again.
package struct Comparison: Sendable {
  /// The highest claim in the listing: the predecessor of the next timeline.
  package var parent: TimelineNumber?
  /// Where the predecessor ends.
  package var end: Claim.End?
  /// The proved common position; nil if none is proved.
  package var fork: LogPosition?
  /// The chain on disk. Its files are positioned after what the repository already holds of them.
  package var chain: Chain?
  /// The dump on disk, if the repository holds it.
  package var dump: DurableDump?
  /// A readable chain of the history, if the chain on disk does not continue it.
  package var carried: ClosedChain?
  /// Whether the disk holds anything that the repository lacks.
  package var hasNews: Bool
  /// Whether the repository holds a restore point at all.
  package var hasPoint: Bool
  package var lastMark: Instant?
  /// The numbers of keys in the BASEs that `chain` may begin with.
  package var bases: [GenerationID: KeyBounds] = [:]
  package var suspicion: ShrinkGuard.Suspicion?
  /// The guard's pin for a question that nobody has answered yet. While it is open, no second question is
  /// asked.
  package var question: String?
  /// The last restore point of the history, which a guard's pin would keep.
  package var before: (timeline: TimelineNumber, snapshot: Int, position: LogPosition?)?
  package var pins = PinsInForce()
  /// Generations that may be reused: those of the last snapshot, by fingerprint.
  package var reusable: [ShortDigest: GenerationID] = [:]
  /// Generations that were found damaged. They are never reused or continued.
  package var quarantined: Set<GenerationID> = []
  /// The nonces of claims whose unfinished uploads may be continued, newest first.
  package var unfinished: [Nonce] = []

  /// How the disk relates to the newest state of the repository.
  package enum Relation: Sendable, Equatable, CustomStringConvertible {
    /// The repository lacks nothing.
    case nothingNew
    /// The new data follows the newest state, from this position on.
    case continues(from: LogPosition)
    /// The disk holds an earlier state of the log, perhaps continued. `isNamed`: a restore that named this
    /// state put it there.
    case wentBack(to: LogPosition, isNamed: Bool)
    /// There is no common log: the first state, a dump, or another log.
    case unrelated

    package var description: String {
      switch self {
      case .nothingNew: "nothing new"
      case .continues(let position): "continues \(position)"
      case .wentBack(let position, isNamed: true): "restored to \(position)"
      case .wentBack(let position, isNamed: false): "back at \(position)"
      case .unrelated: "fresh"
      }
    }
  }
  package internal(set) var relation = Relation.nothingNew
  /// The last snapshot of the newest timeline says that its writer ended cleanly.
  package internal(set) var isClean = false
  /// That snapshot closed the timeline: its writer wrote nothing after it.
  package internal(set) var isEnded = false
  /// A restore made this directory from the newest history, which has not grown since.
  package internal(set) var isHeir = false
  /// Log of the newest state that is missing in the repository, and not on disk either.
  package internal(set) var losses: [LogLoss] = []
  /// The time of the first restore point; nil when there is none.
  package internal(set) var recoverableFrom: Instant?

  package init(hasNews: Bool, hasPoint: Bool) {
    self.hasNews = hasNews
    self.hasPoint = hasPoint
  }
}
