package import BackupTypes
import SystemIO

/// The only layer that retries: a wrapper around a store, with jittered backoff, a limit, and a report.
///
/// Uploads are idempotent because names are: a `create` whose reply was lost finds its own object.
package struct RetryingStore: ObjectStore {
  package struct Policy: Sendable {
    /// How long a call may take in total; nil: as long as the process lives.
    package var budget: Duration?
    package var firstDelay: Duration
    package var delayMax: Duration
    /// How often to retry failures that waiting hardly fixes (denied access, a full store); nil: like the
    /// others. `ship` waits until their cause is fixed, a restore gives up.
    package var permanentTries: Int?
    package var permanentDelay: Duration
    /// Asked while a failed call waits: the monotonic time (ms) at which it gives up. A shutdown does not
    /// wait for an unreachable store.
    package var givesUpAt: @Sendable () -> Int64? = { nil }

    package init(
      budget: Duration?, firstDelay: Duration = .milliseconds(100),
      delayMax: Duration = .seconds(10),
      permanentTries: Int?, permanentDelay: Duration = .seconds(20)
    ) {
      self.budget = budget
      self.firstDelay = firstDelay
      self.delayMax = delayMax
      self.permanentTries = permanentTries
      self.permanentDelay = permanentDelay
    }

    /// A sidecar: retries every failure, without a limit.
    package static let sidecar = Policy(
      budget: nil, permanentTries: nil, permanentDelay: .seconds(30))
    /// Not retried at all.
    package static let none = Policy(budget: .zero, permanentTries: 1)
  }

  package enum Report: Sendable {
    /// A call failed and is tried again.
    case waiting(operation: Operation, error: LifeboatError, sinceMilliseconds: Int64)
    case succeeded(operation: Operation)
  }

  package enum Operation: String, Sendable { case create, read, list, delete, clock, prepare }

  private let base: any ObjectStore
  private let policy: Policy
  private let report: @Sendable (Report) -> Void

  package init(
    _ base: any ObjectStore, policy: Policy, report: @escaping @Sendable (Report) -> Void
  ) {
    self.base = base
    self.policy = policy
    self.report = report
  }

  package var location: String { base.location }
  package var createsConditionally: Bool { base.createsConditionally }
  package var pagesAscend: Bool { base.pagesAscend }
  package var listsSideBySide: Bool { base.listsSideBySide }
  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try await retrying(.create) { try await base.create(name, bytes) }
  }
  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try await retrying(.read) { try await base.read(name, limit: limit) }
  }
  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    try await retrying(.list) { try await base.list(prefix: prefix, continuing: continuing) }
  }
  package func folder(_ prefix: String) async throws -> StoreFolder {
    try await retrying(.list) { try await base.folder(prefix) }
  }
  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try await retrying(.delete) { try await base.delete(names) }
  }
  package func now() async throws -> Instant? {
    try await retrying(.clock) { try await base.now() }
  }
  package func prepare() async throws { try await retrying(.prepare) { try await base.prepare() } }

  private func retrying<Value: Sendable>(
    _ operation: Operation, _ call: () async throws -> Value
  ) async throws -> Value {
    let start = SystemClock.monotonicMilliseconds()
    var delay = policy.firstDelay
    var permanent = 0
    while true {
      do {
        let value = try await call()
        report(.succeeded(operation: operation))
        return value
      } catch let error as LifeboatError {
        let elapsed = SystemClock.monotonicMilliseconds() - start
        var pause = delay
        if error.isRetryable {
          delay = min(delay * 2, policy.delayMax)
        } else {
          // An object that may not be deleted stays: nothing waits for its deletion, and append-only
          // credentials are refused on purpose.
          guard error.code == .storeUnavailable || error.code == .noRoom, operation != .delete
          else {
            throw error
          }
          permanent += 1
          if let tries = policy.permanentTries, permanent >= tries { throw error }
          pause = policy.permanentDelay
        }
        // Jitter: between half and the whole pause, so that many shippers do not retry at the same moment.
        pause = pause * Double.random(in: 0.5...1)
        if let budget = policy.budget, .milliseconds(elapsed) + pause > budget { throw error }
        report(.waiting(operation: operation, error: error, sinceMilliseconds: elapsed))
        try await wait(pause, orThrow: error)
      }
    }
  }

  /// Sleeps in short steps, so that a deadline that is set in the meantime is noticed.
  private func wait(_ pause: Duration, orThrow error: LifeboatError) async throws {
    let step = Duration.milliseconds(250)
    var left = pause
    while left > .zero {
      if let deadline = policy.givesUpAt(), SystemClock.monotonicMilliseconds() >= deadline {
        throw error
      }
      try await Task.sleep(for: min(left, step))
      left -= step
    }
  }
}
