package import BackupTypes

/// What a sidecar says of its store, from how its calls end: that it can't be used, why, and that this is over;
/// that its clock differs from this machine's, and that it no longer does. A value.
package struct StoreOutage: Sendable {
  package enum Problem: String, Sendable, CaseIterable {
    /// Nothing answers, or not in time: it passes by itself.
    case unreachable
    /// Access has to be granted.
    case denied
    /// Something else has to be fixed: a bucket that is not there, a store that is full.
    case refused
  }

  package enum Line: Sendable, Equatable {
    case began(Problem)
    /// It can still not be used, for another reason.
    case changed(Problem)
    case ended(afterMilliseconds: Int64)
    /// The store's clock minus this machine's, in milliseconds.
    case clocksDiffer(Int64)
    case clocksAgree
  }

  /// A request that is lost now and then is no outage: what waiting may fix is told when it lasts.
  private static let tellAfter: Int64 = 5000
  /// Another reason, and another state of the clocks, is told this often at most.
  private static let pause: Int64 = 60_000
  /// A call that waits reports more often than this; one that was given up never does again.
  private static let reportMax: Int64 = 300_000
  /// The clocks may differ so much before it is worth a word.
  package static let clockOffsetMax: Int64 = 60_000

  private struct Told: Sendable {
    var problem: Problem
    var since: Int64
    var at: Int64
  }
  private var told: Told?
  /// When calls that wait last failed.
  private var waiting: [RetryingStore.Operation: Int64] = [:]
  private var clockTold: Int64?
  private var clocksDiffer = false

  package init() {}

  /// What was told; nil: the store can be used.
  package var problem: Problem? { told?.problem }

  /// - Parameters:
  ///   - elapsed: since the call's first failure.
  ///   - now: by the monotonic clock, like every time here.
  package mutating func waits(
    _ operation: RetryingStore.Operation, _ error: LifeboatError, since elapsed: Int64, now: Int64
  ) -> Line? {
    // Shipping never waits for a deletion.
    guard operation != .delete else { return nil }
    waiting[operation] = now
    guard !error.isRetryable || elapsed >= StoreOutage.tellAfter else { return nil }
    let problem = Problem(error)
    guard let told else {
      self.told = Told(problem: problem, since: now - elapsed, at: now)
      return .began(problem)
    }
    guard told.problem != problem, now - told.at >= StoreOutage.pause else { return nil }
    self.told = Told(problem: problem, since: told.since, at: now)
    return .changed(problem)
  }

  package mutating func succeeded(_ operation: RetryingStore.Operation, now: Int64) -> Line? {
    guard operation != .delete, !waiting.isEmpty || told != nil else { return nil }
    waiting[operation] = nil
    waiting = waiting.filter { now - $0.value < StoreOutage.reportMax }
    guard let told, waiting.isEmpty else { return nil }
    self.told = nil
    return .ended(afterMilliseconds: now - told.since)
  }

  /// - Parameter clockOffset: the store's clock minus this machine's, as the last answer had it.
  package mutating func saw(clockOffset: Int64, now: Int64) -> Line? {
    let differs =
      abs(clockOffset)
      > (clocksDiffer ? StoreOutage.clockOffsetMax / 2 : StoreOutage.clockOffsetMax)
    guard differs != clocksDiffer,
      clockTold.map({ now - $0 >= StoreOutage.pause }) ?? true || !differs
    else { return nil }
    clocksDiffer = differs
    clockTold = now
    return differs ? .clocksDiffer(clockOffset) : .clocksAgree
  }
}

extension StoreOutage.Problem {
  init(_ error: LifeboatError) {
    if error.isDenied {
      self = .denied
    } else {
      self = error.isRetryable ? .unreachable : .refused
    }
  }

  /// A log line's words.
  package var line: String {
    switch self {
    case .unreachable: "the store can't be used: shipping waits, and catches up by itself"
    case .denied: "the store denies access: nothing is shipped until access is granted"
    case .refused: "the store can't be used: nothing is shipped until the cause is fixed"
    }
  }

  /// The same with its beginning, for `status`.
  package func words(since: String) -> String {
    switch self {
    case .unreachable: "does not answer since \(since)"
    case .denied: "denies access since \(since): nothing is shipped until access is granted"
    case .refused: "can't be used since \(since): nothing is shipped until the cause is fixed"
    }
  }
}
