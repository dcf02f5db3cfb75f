package import BackupTypes
import Glibc

/// The only place that reads a clock. Everything else gets the time or a closure that returns it.
package struct SystemClock: Sendable {
  package init() {}

  /// The wall clock (CLOCK_REALTIME), for timestamps. Never use it for waits or for an order.
  package static func now() -> Instant {
    let time = read(CLOCK_REALTIME)
    return Instant(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  /// Milliseconds of a clock that only moves forward (CLOCK_MONOTONIC), for waits and measurements.
  package static func monotonicMilliseconds() -> Int64 {
    let time = read(CLOCK_MONOTONIC)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  private static func read(_ clock: clockid_t) -> timespec {
    var time = timespec()
    let result = clock_gettime(clock, &time)
    precondition(result == 0, "clock_gettime(\(clock)) failed")
    return time
  }
}
