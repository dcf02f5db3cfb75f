package import Auditing
package import BackupFormat
package import BackupTypes
package import HistoryLogic
package import ObjectStorage
import Synchronization
package import SystemIO
import WriterLogic

/// The state of a running shipper: one value, replaced by its loop, and read by anyone.
package final class ShipStatus: Sendable {
  package enum State: String, Sendable, Equatable, CaseIterable {
    /// Looking at the data directory and the repository.
    case starting
    /// No claim: the last comparison found nothing on disk that the repository lacks.
    case following
    /// Shipping under a claim.
    case active
    /// Another shipper owns the repository.
    case standby
    /// A person has to fix something, or it can't be proved that the data on disk is in the repository.
    case blocked
  }

  /// A replication link, and what it has cost the server since this process began.
  package struct LinkFigures: Sendable, Equatable {
    package var isUp = false
    /// Full copies that the server began to send because its stream could not be continued.
    package var neededCopies: UInt64 = 0
    /// Newer full copies that it began to send in parallel to its stream.
    package var newerCopies: UInt64 = 0
    package init() {}
  }

  package struct Value: Sendable, Equatable {
    package var state = State.starting
    package var reason: String?
    package var timeline: TimelineNumber?
    /// Since when the oldest byte of the log on disk is not durable; nil if all bytes are.
    package var logSince: Instant?
    /// The same for the oldest dump or BASE that has to be shipped.
    package var generationSince: Instant?
    package var unshippedBytes: UInt64 = 0
    package var pinnedBytes: UInt64 = 0
    package var recoverableFrom: Instant?
    package var recoverableTo: Instant?
    package var logObjects: UInt64 = 0
    package var logBytes: UInt64 = 0
    package var generations: UInt64 = 0
    package var generationBytes: UInt64 = 0
    /// The sizes of the full copies whose upload began.
    package var generationBytesBegun: UInt64 = 0
    package var snapshots: UInt64 = 0
    package var folds: UInt64 = 0
    /// A state in the repository may be the result of an accident, and nobody has released the pin for it.
    package var isSuspect = false
    /// The guard's pins in force.
    package var pins: Int = 0
    /// Log that was durable and is missing from the repository: of the newest state, as of the last
    /// comparison, and of all restore points, as of the last run of retention.
    package var losses: [LogLoss] = []
    /// Claims that can't be read, as of the last comparison. A restore refuses as long as there are any.
    package var unreadableClaims: [TimelineNumber] = []
    /// The last drill in the repository.
    package var drill: Drill?
    /// When this process last completed a run of the retention policy.
    package var pruned: Instant?
    /// Since when the store can't be used; nil if it can.
    package var outage: Instant?
    package var outageProblem: StoreOutage.Problem?
    /// The numbers of the last requested `sync` and of the last one that is done; 0 before the first.
    package var syncAsked: UInt64 = 0
    package var syncDone: UInt64 = 0
    /// How long a dump of a server without an AOF may wait (`--dump-interval`), in milliseconds.
    package var dumpInterval: Int64 = 0
    /// The time of the content of the newest durable dump.
    package var dumpAt: Instant?
    /// The findings of the audit; nil if there is no audit.
    package var audit: AuditFacts?
    /// The state of the replication link; nil without one.
    package var link: LinkFigures?

    package init() {}

    /// The values to show after an audit. What the audit can't prove is not durable, whatever the shipping
    /// path believes.
    package func audited(_ facts: AuditFacts, wall: Instant, monotonic: Int64) -> Value {
      var copy = self
      copy.audit = facts
      guard state != .standby else { return copy }
      func since(_ time: Int64?, _ known: Instant?) -> Instant? {
        let found = time.map { wall.advanced(byMilliseconds: $0 - monotonic) }
        return [found, known].compactMap { $0 }.min()
      }
      let verdict = facts.verdict
      copy.unshippedBytes = max(unshippedBytes, verdict.bytes)
      switch verdict {
      case .covered: return copy
      case .nothing:
        if state == .following { copy.reason = "nothing on disk yet" }
        return copy
      case .behind(let log, let copied, _, _):
        copy.logSince = since(log, logSince)
        copy.generationSince = since(copied, generationSince)
      case .blind(let time, _, _), .lost(let time, _): copy.logSince = since(time, logSince)
      }
      if let reason = verdict.reason, state != .blocked {
        copy.state = .blocked
        copy.reason = reason
      }
      return copy
    }

    mutating func note(_ pins: PinsInForce) {
      isSuspect = pins.isSuspect
      self.pins = pins.count
    }

    /// Since when the oldest byte on disk is not durable; nil if all bytes are.
    package var since: Instant? { [logSince, generationSince].compactMap { $0 }.min() }
    package var isDurable: Bool { since == nil && unshippedBytes == 0 }
    /// A `sync` was requested and is not done, perhaps in a session that has ended since.
    package var isSyncDue: Bool { syncDone < syncAsked }

    /// The age of the oldest byte on disk that is not durable, in milliseconds; 0 if there is none.
    package func lag(at now: Instant) -> Int64 { since.map { max(0, now.since($0)) } ?? 0 }
  }

  /// If the loop makes no progress for this time, it counts as hanging; in milliseconds.
  package static let turnMax: Int64 = 300_000

  private struct Guarded: Sendable {
    var value = Value()
    var turned: Int64
  }
  private let state: Mutex<Guarded>
  private let time: any TimeSource

  /// The auditor itself, not a closure that calls it: with every access, a `Mutex` wraps a closure once more,
  /// until a call overflows the stack.
  private let auditor = Mutex<Auditor?>(nil)

  package init(time: any TimeSource) {
    self.time = time
    state = Mutex(Guarded(turned: time.monotonic))
  }

  /// The values to be shown, as limited by the audit.
  package var current: Value {
    let value = shipping
    guard let facts = auditor.withLock({ $0 })?.facts else { return value }
    return value.audited(
      facts, wall: time.wall, monotonic: time.monotonic)
  }
  /// The values according to the shipping path alone.
  package var shipping: Value { state.withLock { $0.value } }
  /// From now on the shown values are limited by what `auditor` finds.
  package func audit(by auditor: Auditor) { self.auditor.withLock { $0 = auditor } }
  package func update(_ change: (inout Value) -> Void) { state.withLock { change(&$0.value) } }

  /// Notes that the loop is alive: it made progress, or the work that it waits for did, or it waits for the
  /// store.
  package func turn() {
    let now = time.monotonic
    state.withLock { $0.turned = now }
  }
  /// How long the loop has made no progress, in milliseconds.
  package var stillness: Int64 {
    time.monotonic - state.withLock { $0.turned }
  }
  package var turns: Bool { stillness < ShipStatus.turnMax }

  /// Returns the number of a new `sync`.
  package func askSync() -> UInt64 {
    state.withLock { state in
      state.value.syncAsked += 1
      return state.value.syncAsked
    }
  }
}
