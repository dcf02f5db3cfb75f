import Synchronization
import SystemIO

/// Delays every request to a server for as long as the server asked for.
package final class HoldOff: Sendable {
  /// The longest wait that a server may ask for; the layer that retries handles longer ones.
  package static let secondsMax = 60

  /// Milliseconds of the monotonic clock.
  private let notBefore = Mutex<Int64>(0)

  package init() {}

  /// - Parameter seconds: `HTTPResponse.retryAfter`; nil: nothing was requested.
  package func note(_ seconds: Int?) {
    guard let seconds else { return }
    let bounded = Int64(min(seconds, HoldOff.secondsMax))
    let until = SystemClock.monotonicMilliseconds() + bounded * 1000
    notBefore.withLock { $0 = max($0, until) }
  }

  /// - Throws: `CancellationError`.
  package func wait() async throws {
    while true {
      let left = notBefore.withLock { $0 } - SystemClock.monotonicMilliseconds()
      guard left > 0 else { return }
      try await Task.sleep(for: .milliseconds(left))
    }
  }
}
