import Synchronization
package import SystemIO

/// Until when a requested end must be over. The store shares it, so that its retries end with it.
package final class StopRequest: Sendable {
  /// Retries stop this long before the deadline, so that there is time to report what is missing.
  private static let reserve: Int64 = 1000
  private let time: any TimeSource
  private let state = Mutex<Int64?>(nil)

  package init(time: any TimeSource) { self.time = time }

  /// The first request counts.
  package func set(in milliseconds: Int64) {
    let now = time.monotonic
    state.withLock { $0 = $0 ?? now + milliseconds }
  }
  /// Monotonic milliseconds; nil while nothing was asked.
  package var deadline: Int64? { state.withLock { $0 } }
  /// The same, of retries.
  package var retriesEnd: Int64? { deadline.map { $0 - StopRequest.reserve } }
}
