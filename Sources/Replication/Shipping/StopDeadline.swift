import Synchronization
import SystemIO

/// When an end that was asked for must be over; shared by whoever would otherwise wait on.
package final class StopDeadline: Sendable {
  /// So long before the deadline retries give up, so that there is time to say what is missing.
  private static let reserve: Int64 = 1000
  private let deadline = Mutex<Int64?>(nil)

  package init() {}

  package func set(in milliseconds: Int64) {
    deadline.withLock {
      $0 = $0 ?? SystemClock.monotonicMilliseconds() + milliseconds - StopDeadline.reserve
    }
  }
  /// Monotonic milliseconds; nil while nothing was asked.
  package var current: Int64? { deadline.withLock { $0 } }
}
