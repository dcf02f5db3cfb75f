import Auditing
import SystemIO

/// How long `--once` waits for a look that is covered: a rewrite may be under way, which takes moments. What
/// does not become well within the grace of an audit is said to be as it is.
struct Patience {
  private static let longest = Audit.grace + 2000
  /// A look since then is enough.
  private let mark: Int64
  private var begun: Int64?

  init(since mark: Int64) { self.mark = mark }

  /// Whether there is nothing to wait for: everything is durable, or it was waited long enough.
  mutating func isOver(_ auditor: Auditor) -> Bool {
    if auditor.isCovered(since: mark) { return true }
    let now = SystemClock.monotonicMilliseconds()
    switch auditor.verdict {
    case .covered, .nothing: return true
    case .behind, .blind, .lost:
      begun = begun ?? now
      return now - begun! >= Patience.longest
    }
  }
}
