import BackupFormat
import BackupLogic
import BackupTypes

/// What a shipper without a claim remembers between two looks.
struct Following {
  var ownership: Ownership
  /// The last compared view, which had nothing new.
  var looked: CaptureView?
  /// The last timeline was written up to now, and ended because of a question.
  var isWatched = false
  private var seen: (timeline: TimelineNumber, end: Claim.End, at: Int64)?

  init(ownership: Ownership) { self.ownership = ownership }

  func needsLook(_ view: CaptureView) -> Bool { looked.map { !$0.isSame(as: view) } ?? true }
  mutating func note(_ view: CaptureView) { looked = view }

  /// The last decision to stand by, and the comparison behind it.
  private var standby: (reason: String, outcome: DiskComparison.Outcome)?

  /// Why a shipper that stands by still has to. It is decided from a listing alone, without comparing the
  /// disk again, as long as the owner's timeline did not change. Nil: compare again.
  mutating func stillStandsBy(_ repository: Repository, now: Int64) async throws -> String? {
    guard let (_, outcome) = standby else { return nil }
    let history = try await repository.history()
    guard let newest = history.newestClaim,
      newest.timeline == outcome.comparison.parent,
      history.contiguousEnd(of: newest.timeline, starts: [:]) == outcome.comparison.end,
      case .standby(let reason) = decide(outcome, isFresh: false, now: now)
    else {
      standby = nil
      return nil
    }
    return reason
  }

  /// `isFresh`: the outcome was compared just now.
  /// The nonces of the claims that this process made.
  var ownClaims: Set<Nonce> = []

  mutating func decide(_ outcome: DiskComparison.Outcome, isFresh: Bool, now: Int64)
    -> Ownership.Decision
  {
    let history = outcome.history
    var still: Int64?
    if let newest = history.newestClaim, let end = outcome.comparison.end {
      if let seen, seen.timeline == newest.timeline, seen.end == end {
        still = now - seen.at
      } else {
        seen = (newest.timeline, end, now)
      }
    }
    let decision = ownership.decide(
      .init(
        newest: history.newestClaim, instances: Set(history.claims.values.map(\.instance)),
        isClean: outcome.isClean, isPointless: !outcome.comparison.hasPoint, still: still,
        isHeir: outcome.isHeir,
        isOwn: history.newestClaim.map { ownClaims.contains($0.nonce) } ?? false,
        isEnded: outcome.isEnded))
    switch decision {
    case .claim: standby = nil
    case .standby(let reason): if isFresh { standby = (reason, outcome) }
    }
    return decision
  }
}
