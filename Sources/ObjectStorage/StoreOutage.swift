package import BackupTypes

/// What a sidecar reports about its store, from the results of its calls: that it can't be used, why, and
/// that this is over; that its clock differs from this machine's, and that it no longer does. A value.
package struct StoreOutage: Sendable {
  package enum Problem: String, Sendable, CaseIterable {
    /// There is no answer, or not in time. It may end by itself.
    case unreachable
    /// Access has to be granted.
    case denied
    /// Something else has to be fixed: a missing bucket, or a full store.
    case refused
  }

  package enum Line: Sendable, Equatable {
    case began(Problem)
    /// It still can't be used, for another reason.
    case changed(Problem)
    case ended(afterMilliseconds: Int64)
    /// The store's clock minus this machine's, in milliseconds.
    case clocksDiffer(Int64)
    case clocksAgree
  }

  /// A request that fails now and then is not an outage. What waiting may fix is reported only if it lasts
  /// this long.
  private static let tellAfter: Int64 = 5000
  /// A change of the reason, or of the clocks, is reported at most once in this time.
  private static let pause: Int64 = 60_000
  /// A waiting call reports more often than this. A call that was given up never reports again.
  private static let reportMax: Int64 = 300_000
  /// The clocks may differ by this much before it is reported.
  package static let clockOffsetMax: Int64 = 60_000

  private struct Told: Sendable {
    var problem: Problem
    var since: Int64
    var at: Int64
  }
  private var told: Told?
  /// When waiting calls last failed, by operation.
  private var waiting: [RetryingStore.Operation: Int64] = [:]
  private var clockTold: Int64?
  private var clocksDiffer = false

  package init() {}

  /// The reported problem; nil: the store can be used.
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

  /// - Parameter clockOffset: the store's clock minus this machine's, from the last reply.
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

  /// The words of a log line.
  package var line: String {
    switch self {
    case .unreachable: "the store is unavailable: shipping waits and catches up by itself"
    case .denied: "the store denies access: nothing is shipped until access is granted"
    case .refused: "the store is unavailable: nothing is shipped until the cause is fixed"
    }
  }

  /// The same with the time of its beginning, for `status`.
  package func words(since: String) -> String {
    switch self {
    case .unreachable: "has been unavailable since \(since)"
    case .denied: "has denied access since \(since): nothing is shipped until access is granted"
    case .refused:
      "has been unavailable since \(since): nothing is shipped until the cause is fixed"
    }
  }
}
