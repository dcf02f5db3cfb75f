import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import WriterLogic

/// What a shipper without a claim remembers between two looks.
struct Following {
  var ownership: Ownership
  /// The last compared view, which had nothing new.
  var looked: CaptureView?
  /// The last timeline was written up to now, and ended because of a question.
  var isWatched = false
  private var seen: (progress: Progress, at: Int64)?
  /// How far the newest timeline has come.
  private struct Progress: Equatable {
    var timeline: TimelineNumber?
    var end: Claim.End?
    var unreadable: UnreadableClaim?
  }

  init(ownership: Ownership) { self.ownership = ownership }

  func needsLook(_ view: CaptureView) -> Bool { looked.map { !$0.isSame(as: view) } ?? true }
  mutating func note(_ view: CaptureView) { looked = view }

  /// The last decision to stand by, and the comparison that led to it.
  private var standby: (reason: String, comparison: Comparison)?

  /// Why a shipper that stands by still has to. It is decided from a listing alone, without comparing the
  /// disk again, as long as the owner's timeline did not change. Nil: compare again.
  mutating func stillStandsBy(_ repository: Repository, now: Int64) async throws -> String? {
    guard let (_, comparison) = standby else { return nil }
    let history = try await repository.history(passesClaims: true)
    guard let newest = history.newestClaim,
      newest.timeline == comparison.parent,
      history.contiguousEnd(of: newest.timeline, starts: [:]) == comparison.end,
      case .standby(let reason) = decide(comparison, history, isFresh: false, now: now)
    else {
      standby = nil
      return nil
    }
    return reason
  }

  /// The claims that this process made.
  var ownClaims: [TimelineNumber: Nonce] = [:]

  /// - Parameter isFresh: the disk was compared just now.

  mutating func decide(
    _ comparison: Comparison, _ history: History, isFresh: Bool, now: Int64
  ) -> Ownership.Decision {
    var still: Int64?
    let unreadable = history.unreadableAbove
    let progress = Progress(
      timeline: history.newestClaim?.timeline, end: comparison.end, unreadable: unreadable)
    if let seen, seen.progress == progress {
      still = now - seen.at
    } else {
      seen = (progress, now)
    }
    let isOwn =
      if let unreadable { ownClaims[unreadable.timeline] != nil } else {
        history.newestClaim.map { ownClaims[$0.timeline] == $0.nonce } ?? false
      }
    let decision = ownership.decide(
      .init(
        newest: history.newestClaim, instances: Set(history.claims.values.map(\.instance)),
        isClean: comparison.isClean, isPointless: !comparison.hasPoint, still: still,
        isHeir: comparison.isHeir,
        isOwn: isOwn, isEnded: comparison.isEnded, unreadable: unreadable))
    switch decision {
    case .claim: standby = nil
    case .standby(let reason): if isFresh { standby = (reason, comparison) }
    }
    return decision
  }
}
