import Auditing
import BackupTypes
import Logging
import ObjectStorage
import WriterLogic

/// What the status and the log say of a shipper without a claim.
extension Shipper {
  /// Logs how a timeline ended, if the state does not show that.
  func tell(_ ending: Ending) throws {
    let reason: String
    switch ending {
    case .stopped, .superseded, .failed(is IllegalTransition): return
    case .failed(let error) where options.isOnce: throw error
    case .failed(let error): reason = "\(error)"
    case .diverged(let divergence): reason = divergence
    }
    logger.warning("ending this timeline and starting a new one", metadata: ["reason": "\(reason)"])
  }

  /// Reports why nothing is shipped. With `--once` that is an error.
  func report(_ writer: Writer) throws(LifeboatError) {
    switch writer.state {
    case .standby(let standby):
      guard !options.isOnce else {
        throw LifeboatError(
          .refused, "another writer owns the repository at \(store.location)",
          cause: standby.reason,
          hint: "if the other writer still runs, stop it first; then do what the message says")
      }
      report(standby: standby.reason)
    case .blocked(let error):
      guard !options.isOnce else { throw error }
      report(blocked: error)
    case .comparing, .upToDate, .writing: return
    }
  }

  /// The comparison found nothing that the repository lacks. A `sync` is done when a look since its request
  /// is covered.
  func report(durable asked: UInt64, _ askedAt: Int64) {
    let isAsked = status.shipping.syncDone < asked
    if isAsked { auditor.look() }
    let isDone = isAsked && auditor.isCovered(since: askedAt)
    status.update {
      $0.state = .following
      $0.reason = nil
      $0.logSince = nil
      $0.generationSince = nil
      $0.unshippedBytes = 0
      if isDone { $0.syncDone = max($0.syncDone, asked) }
    }
  }

  private func report(blocked error: LifeboatError) {
    let shown = status.shipping
    guard shown.state != .blocked || shown.reason != error.inOneLine else { return }
    status.update {
      $0.state = .blocked
      $0.reason = error.inOneLine
    }
    logger.error("shipping is blocked", metadata: error.logged)
  }

  private func report(standby reason: String) {
    let shown = status.shipping
    guard shown.state != .standby || shown.reason != reason else { return }
    status.update {
      $0.state = .standby
      $0.reason = reason
      // In standby there is no lag to report: the shipper that owns the repository reports it.
      $0.logSince = nil
      $0.generationSince = nil
      $0.unshippedBytes = 0
    }
    logger.warning("standby: this shipper uploads nothing", metadata: ["reason": "\(reason)"])
  }
}
