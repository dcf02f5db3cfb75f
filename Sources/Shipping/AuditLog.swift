import Auditing
import BackupTypes
import Logging
import Synchronization
import SystemIO

/// Logs what an audit finds: one line when it begins, and one when it is over. A reason that changes in
/// between gets a line, too. `LogThrottle` limits how often a reason that comes and goes is logged.
final class AuditLog: Sendable {
  private struct State: Sendable {
    var throttle = LogThrottle()
    /// Since when not everything is covered.
    var since: Int64?
    /// The reason that the last line gave.
    var said: String?

    /// Whether to log `reason` now.
    mutating func begin(_ reason: String, at now: Int64) -> Bool {
      since = since ?? now
      let isBeginning = throttle.begin("audit", at: now) != nil
      guard isBeginning || (said != nil && said != reason),
        throttle.line("reason", at: now) != nil || isBeginning
      else { return false }
      said = reason
      return true
    }

    /// How long it lasted, if its end has to be logged.
    mutating func end(at now: Int64) -> Int64? {
      guard let since else { return nil }
      (self.since, said) = (nil, nil)
      return throttle.end("audit", at: now).map { _ in now - since }
    }
  }
  private let state = Mutex(State())

  func note(_ verdict: Verdict, of everything: String, now: Int64, _ logger: Logger) {
    if let reason = verdict.reason {
      guard state.withLock({ $0.begin(reason, at: now) }) else { return }
      logger.error(
        "can't confirm that \(everything) is backed up", metadata: ["cause": "\(reason)"])
    } else if verdict.isCovered, let lasted = state.withLock({ $0.end(at: now) }) {
      logger.notice(
        "\(everything) is backed up again",
        metadata: ["after": "\(humanDuration(milliseconds: lasted))"])
    }
  }
}
