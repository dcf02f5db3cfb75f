import Synchronization
package import SystemIO

/// The deadline of a requested stop. The store shares it, so that its retries end before the deadline.
package final class StopRequest: Sendable {
  /// Retries stop this long before the deadline, so that there is time to report what is missing.
  private static let reserve: Int64 = 1000
  private let time: any TimeSource
  private let state = Mutex<Int64?>(nil)

  package init(time: any TimeSource) { self.time = time }

  /// Only the first request has an effect.
  package func set(in milliseconds: Int64) {
    let now = time.monotonic
    state.withLock { $0 = $0 ?? now + milliseconds }
  }
  /// In monotonic milliseconds; nil if no stop was requested.
  package var deadline: Int64? { state.withLock { $0 } }
  /// The same for retries.
  package var retriesEnd: Int64? { deadline.map { $0 - StopRequest.reserve } }
}
