import Synchronization
package import SystemIO

/// When a requested end must be over. It is shared by everything that would otherwise keep waiting.
package final class StopDeadline: Sendable {
  /// Retries stop this long before the deadline, so that there is time to report what is missing.
  private static let reserve: Int64 = 1000
  private let deadline = Mutex<Int64?>(nil)
  private let time: any TimeSource

  package init(time: any TimeSource) { self.time = time }

  package func set(in milliseconds: Int64) {
    deadline.withLock {
      $0 = $0 ?? time.monotonic + milliseconds - StopDeadline.reserve
    }
  }
  /// Monotonic milliseconds; nil while nothing was asked.
  package var current: Int64? { deadline.withLock { $0 } }
}
