package import BackupTypes
import Glibc

/// The only place that reads a clock. Everything else is given the time, or a closure that tells it.
package struct SystemClock: Sendable {
  package init() {}

  /// The wall clock (CLOCK_REALTIME): to stamp, never to wait or to order.
  package static func now() -> Instant {
    let time = read(CLOCK_REALTIME)
    return Instant(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  /// Milliseconds of a clock that only moves forward (CLOCK_MONOTONIC): to wait and to measure.
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
