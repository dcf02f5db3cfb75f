package import BackupTypes

/// What an audit can prove. Times are of the monotonic clock, in milliseconds.
package enum Verdict: Sendable, Equatable {
  /// No data of Redis has been seen yet, and nothing says that there should be any.
  case nothing
  /// A restore would give the state that the look at `at` saw.
  case covered(at: Int64)
  /// Bytes on disk have not been durable since then. `fault` says why waiting alone will not help.
  case behind(log: Int64?, copy: Int64?, bytes: UInt64, fault: String?)
  /// Since then it is not known what a server would load, or where it writes.
  case blind(since: Int64, bytes: UInt64, reason: String)
  /// Something that the store acknowledged is no longer there.
  case lost(since: Int64, reason: String)

  package var isCovered: Bool { if case .covered = self { true } else { false } }

  /// Why a person has to act; nil if waiting is enough.
  package var reason: String? {
    switch self {
    case .nothing, .covered: nil
    case .behind(_, _, _, let fault): fault
    case .blind(_, _, let reason), .lost(_, let reason): reason
    }
  }

  /// Bytes on disk that are known not to be durable.
  package var bytes: UInt64 {
    switch self {
    case .behind(_, _, let bytes, _), .blind(_, let bytes, _): bytes
    case .nothing, .covered, .lost: 0
    }
  }

  /// Since when not everything is known to be durable; nil if everything is.
  package var since: Int64? {
    switch self {
    case .nothing, .covered: nil
    case .behind(let log, let copy, _, _): [log, copy].compactMap { $0 }.min()
    case .blind(let since, _, _), .lost(let since, _): since
    }
  }
}

/// The results of the looks, for display.
package struct AuditFacts: Sendable, Equatable {
  package var verdict: Verdict
  /// When a look last found everything durable; nil: never.
  package var coveredAt: Instant?
  /// Whether the data directory holds anything that a server would load; nil: not looked at yet.
  package var holdsData: Bool?
  /// When the repository was last asked whether it still has everything; nil: not yet.
  package var repositoryLookedAt: Instant?
  package init(
    verdict: Verdict, coveredAt: Instant? = nil, holdsData: Bool? = nil,
    repositoryLookedAt: Instant? = nil
  ) {
    self.verdict = verdict
    self.coveredAt = coveredAt
    self.holdsData = holdsData
    self.repositoryLookedAt = repositoryLookedAt
  }
}
