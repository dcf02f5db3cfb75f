import Auditing
import BackupFormat
import Logging
import SystemIO
import WriterLogic

/// When a `sync` is done, and when the session is over.
extension ShipSession {
  /// Ships everything now, whatever the interval.
  mutating func beginSync() {
    // A stopping link shows nothing that the server writes now. The request stays open.
    guard stop == nil || source.hasFiles else { return }
    syncing = (shipper.status.shipping.syncAsked, time.monotonic, nil)
    writing.flush()
    // The sync is done once the state that this look finds is covered.
    shipper.auditor.look()
  }

  /// The sync is done when an audit finds that a restore gives the state at the beginning of the sync, and
  /// when the repository has confirmed, after that beginning, that it has the log for it.
  mutating func settleSync() {
    let auditor = shipper.auditor
    guard let (number, begun, asked) = syncing, auditor.isCovered(since: begun) else { return }
    let question = asked ?? auditor.askForLog()
    syncing?.question = question
    // Checked in this order, because a loss is recorded before the answer.
    guard auditor.isAnswered(question), auditor.isCovered(since: begun) else { return }
    syncing = nil
    if stop == nil, !options.isOnce { writing.slowDown() }
    shipper.status.update { $0.syncDone = max($0.syncDone, number) }
  }

  // MARK: Ending

  /// Returns how the run ended, if nothing is left to do or the time is up. In both cases the closing
  /// snapshot is written before. It says whether a look found everything durable.
  mutating func finish() async throws -> Ending? {
    let now = time.monotonic
    if options.isOnce {
      if writing.isSettled(now: time.wall), !writing.isClosing {
        shipper.auditor.look()
        let isProved = shipper.auditor.isCovered(since: begun)
        var patience = self.patience ?? Patience(since: begun)
        defer { self.patience = patience }
        if isProved || patience.isOver(shipper.auditor, now: now) {
          writing.close(isProved: isProved)
        } else {
          // A rewrite may be in progress, so a set that was incomplete at the first look is looked at again.
          return try await look()
        }
      }
      return writing.isClosing && writing.isSettled(now: time.wall) && writing.isClosed
        ? ended() : nil
    }
    guard stop != nil else { return nil }
    try await noteSaves()
    guard let stop else { return nil }
    let isQuiet = stop.isQuiet(now)
    if !writing.isClosing, (isQuiet && writing.isLogSettled) || stop.isLate(now) {
      shipper.auditor.look()
      writing.close(isProved: isStopCovered || shipper.auditor.verdict.isCovered)
    }
    if stop.isOver(now) || (stop.isLate(now) && writing.isClosed) { return ended() }
    return isQuiet && writing.isSettled(now: time.wall) && writing.isClosed
      ? ended() : nil
  }

  /// A replicated server continues to write. It is enough that the data from before the stop request is
  /// durable.
  private var isStopCovered: Bool {
    guard !source.hasFiles, let stop else { return false }
    return shipper.auditor.isCovered(since: stop.begun)
  }

  private mutating func ended() -> Ending {
    shipper.auditor.look()
    let shown = shipper.status.current
    var verdict = shipper.auditor.verdict
    // A single snapshot holds the state at its beginning. A server may continue to write.
    if options.isOnce, shipper.auditor.isCovered(since: begun) { verdict = .covered(at: begun) }
    if let stop, isStopCovered { verdict = .covered(at: stop.begun) }
    outcome = Shipper.Outcome(
      timeline: claim.timeline, state: shown.state, verdict: verdict,
      pendingBytes: writing.unshipped.bytes, reason: shown.reason,
      ignoredTail: shipper.auditor.ignoredTail)
    return .stopped
  }
}
