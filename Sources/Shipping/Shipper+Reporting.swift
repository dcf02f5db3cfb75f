import Auditing
import BackupTypes
import Logging
import WriterLogic

/// What the status and the log say of a shipper without a claim.
extension Shipper {
  /// A fault of this program. After a while the disk is compared and claimed again.
  func block(_ illegal: IllegalTransition) throws(LifeboatError) -> Prepared {
    let error = LifeboatError(
      .failure, "internal error in shipping", cause: illegal.reason,
      hint: "please report this bug; shipping starts over with a fresh comparison")
    guard !options.isOnce else { throw error }
    report(blocked: error)
    return .blocked
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

  func report(blocked error: LifeboatError) {
    let shown = status.shipping
    guard shown.state != .blocked || shown.reason != error.inOneLine else { return }
    status.update {
      $0.state = .blocked
      $0.reason = error.inOneLine
    }
    logger.error("shipping is blocked", metadata: ["cause": "\(error)"])
  }

  func report(standby reason: String) {
    let shown = status.shipping
    guard shown.state != .standby || shown.reason != reason else { return }
    status.update {
      $0.state = .standby
      $0.reason = reason
      // In standby, lag is not ours to report.
      $0.logSince = nil
      $0.generationSince = nil
      $0.unshippedBytes = 0
    }
    logger.warning("standby: this shipper uploads nothing", metadata: ["reason": "\(reason)"])
  }
}
