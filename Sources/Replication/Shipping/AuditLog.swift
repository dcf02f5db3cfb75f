import Auditing
import BackupTypes
import Logging
import Synchronization
import SystemIO

/// Logs what an audit finds: one line when it begins, and one when it is over.
final class AuditLog: Sendable {
  private struct State: Sendable {
    var reason: String?
    var since: Int64 = 0
    /// What was logged last, and when.
    var said: (reason: String, at: Int64)?
    /// The reason came back too soon: neither its beginning nor its end is logged.
    var isSilent = false
  }
  /// A reason that comes and goes, or changes, is logged at most once in this time; milliseconds.
  private static let interval: Int64 = 60_000
  private let state = Mutex(State())

  func note(_ verdict: Verdict, _ logger: Logger) {
    let now = SystemClock.monotonicMilliseconds()
    if let reason = verdict.reason {
      let isNew = state.withLock { state in
        guard state.reason != reason else { return false }
        let isSoon = state.said.map { now - $0.at < AuditLog.interval } ?? false
        if state.reason == nil {
          state.since = now
          state.isSilent = isSoon && state.said?.reason == reason
        } else if isSoon {
          return false
        }
        state.reason = reason
        guard !state.isSilent else { return false }
        state.said = (reason, now)
        return true
      }
      guard isNew else { return }
      logger.error(
        "what is on disk can't be proved to be in the repository", metadata: ["cause": "\(reason)"])
      return
    }
    guard verdict.isCovered else { return }
    let lasted = state.withLock { state -> Int64? in
      guard state.reason != nil else { return nil }
      state.reason = nil
      return state.isSilent ? nil : now - state.since
    }
    guard let lasted else { return }
    logger.notice(
      "the repository holds what is on disk again",
      metadata: ["after": "\(humanDuration(milliseconds: lasted))"])
  }
}
