package import BackupTypes

/// One reading of the clocks. The wall clock is for timestamps, the monotonic one for waits and ages.
package struct Now: Sendable, Equatable {
  package var wall: Instant
  /// The monotonic time in milliseconds.
  package var monotonic: Int64
  package init(wall: Instant, monotonic: Int64) {
    self.wall = wall
    self.monotonic = monotonic
  }
}

/// Gives the time and waits: `SystemClock` or a simulated clock.
package protocol TimeSource: Sendable {
  func now() -> Now
  /// - Throws: `CancellationError`.
  func sleep(milliseconds: Int64) async throws
  func makeBell() -> any Bell
}

extension TimeSource {
  package var wall: Instant { now().wall }
  package var monotonic: Int64 { now().monotonic }
}

/// One task waits for it, and any thread can signal it. A signal before the wait is not lost.
package protocol Bell: Sendable {
  func signal()
  /// Returns when it is signalled, or after this time.
  func wait(milliseconds: Int64) async
}

extension SystemClock: TimeSource {
  package func now() -> Now {
    Now(wall: SystemClock.now(), monotonic: SystemClock.monotonicMilliseconds())
  }
  package func sleep(milliseconds: Int64) async throws {
    try await Task.sleep(for: .milliseconds(milliseconds))
  }
  /// The bell blocks the waiting thread, which must belong to a `BlockingPool`. So an idle process is woken
  /// once for each wait. Suspending would need a dozen switches between threads.
  package func makeBell() -> any Bell { WaitPoint() }
}

extension WaitPoint: Bell {}
