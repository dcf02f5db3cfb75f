import Auditing

/// How long `--once` waits for a covered look. A rewrite may be in progress, which takes moments. A state
/// that still exists after the grace period of an audit is reported.
struct Patience {
  private static let longest = Audit.grace + 2000
  /// A look that began at this time or later is enough.
  private let mark: Int64
  private var begun: Int64?

  init(since mark: Int64) { self.mark = mark }

  /// Whether to stop waiting: everything is durable, or the time is up.
  mutating func isOver(_ auditor: Auditor, now: Int64) -> Bool {
    if auditor.isCovered(since: mark) { return true }
    switch auditor.verdict {
    case .covered, .nothing: return true
    case .behind, .blind, .lost:
      begun = begun ?? now
      return now - begun! >= Patience.longest
    }
  }
}
