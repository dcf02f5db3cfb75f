import Auditing
import BackupFormat
import BackupLogic
import Logging
import SystemIO

/// When a `sync` is done, and when the session is over.
extension ShipSession {
  /// Ships everything on disk now, whatever the interval.
  mutating func beginSync() {
    syncing = (shipper.status.shipping.syncAsked, time.monotonic, nil)
    plan.isFlushing = true
    // The sync is done only when the state that this look sees is covered.
    shipper.auditor.look()
  }

  /// The sync is done when an audit finds that a restore gives the state at its beginning, and the repository,
  /// asked then, has the log that this relies on.
  mutating func settleSync() {
    let auditor = shipper.auditor
    guard let (number, begun, asked) = syncing, auditor.isCovered(since: begun) else { return }
    let question = asked ?? auditor.askForLog()
    syncing?.question = question
    // In this order: a loss is recorded before the answer is.
    guard auditor.isAnswered(question), auditor.isCovered(since: begun) else { return }
    syncing = nil
    if stopping == nil, !options.isOnce { plan.isFlushing = false }
    shipper.status.update { $0.syncDone = max($0.syncDone, number) }
  }

  // MARK: Ending

  mutating func beginStopping() {
    guard stopping == nil else { return }
    stopping = ShipStopping(
      now: time.monotonic, timeout: options.shutdownTimeout)
    plan.isFlushing = true
    logger.info("shutting down: shipping what is on disk")
  }

  /// Whether the run is over, because nothing is left to do or the time is up. In both cases the closing
  /// snapshot comes first, and says whether a look found everything durable.
  mutating func finish() async throws -> End? {
    let now = time.monotonic
    if options.isOnce {
      if plan.isSettled(now: time.wall), !plan.isClosing {
        shipper.auditor.look()
        plan.isProved = shipper.auditor.isCovered(since: begun)
        var patience = self.patience ?? Patience(since: begun)
        defer { self.patience = patience }
        if plan.isProved || patience.isOver(shipper.auditor, now: now) {
          plan.isClosing = true
        } else {
          // A rewrite may be in progress: what was incomplete at the first look is looked at again.
          return try await look()
        }
      }
      return plan.isClosing && plan.isSettled(now: time.wall) && plan.isClosed
        ? .ended(outcome()) : nil
    }
    guard stopping != nil else { return nil }
    stopping!.note(temporaryDumps: try await source.savesInProgress(), now: now)
    let isQuiet = stopping!.isQuiet(now)
    if isQuiet, plan.isLogSettled, !plan.isClosing {
      shipper.auditor.look()
      plan.isProved = shipper.auditor.verdict.isCovered
    }
    plan.isClosing = plan.isClosing || (isQuiet && plan.isLogSettled) || stopping!.isLate(now)
    if now >= stopping!.deadline || (stopping!.isLate(now) && plan.isClosed) {
      return .ended(outcome())
    }
    return isQuiet && plan.isSettled(now: time.wall) && plan.isClosed
      ? .ended(outcome()) : nil
  }

  private func outcome() -> Shipper.Outcome {
    shipper.auditor.look()
    let shown = shipper.status.current
    var verdict = shipper.auditor.verdict
    // A single snapshot holds the state at its beginning. A server may continue to write.
    if options.isOnce, shipper.auditor.isCovered(since: begun) { verdict = .covered(at: begun) }
    return Shipper.Outcome(
      timeline: claim.timeline, state: shown.state, verdict: verdict,
      pendingBytes: plan.unshipped.bytes, reason: shown.reason)
  }
}
