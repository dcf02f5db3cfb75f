package import BackupTypes

/// One reading of the clocks. The wall clock stamps; waits and ages go by the monotonic one.
package struct Now: Sendable, Equatable {
  package var wall: Instant
  /// Milliseconds.
  package var monotonic: Int64
  package init(wall: Instant, monotonic: Int64) {
    self.wall = wall
    self.monotonic = monotonic
  }
}

/// Tells the time and lets it pass: `SystemClock`, or a simulated clock.
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

/// Something that one task waits for, and any thread can signal. A signal that comes first is not lost.
package protocol Bell: Sendable {
  func signal()
  /// Returns when it was signalled, or after that time.
  func wait(milliseconds: Int64) async
}

extension SystemClock: TimeSource {
  package func now() -> Now {
    Now(wall: SystemClock.now(), monotonic: SystemClock.monotonicMilliseconds())
  }
  package func sleep(milliseconds: Int64) async throws {
    try await Task.sleep(for: .milliseconds(milliseconds))
  }
  /// The bell blocks the waiting thread, which must be one of a `BlockingPool`: an idle process is then
  /// woken once for each wait, while suspending would cost a dozen switches between threads.
  package func makeBell() -> any Bell { WaitPoint() }
}

extension WaitPoint: Bell {}
