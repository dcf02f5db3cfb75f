import SystemIO

/// Something that is done at an interval, by the monotonic clock. Times are in milliseconds.
struct Turn {
  private let interval: Int64
  private var next: Int64

  /// - Parameter firstAfter: nil: `interval`.
  init(every interval: Int64, firstAfter: Int64? = nil) {
    self.interval = interval
    next = SystemClock.monotonicMilliseconds() + (firstAfter ?? interval)
  }

  /// Takes the turn if its time has come.
  mutating func isDue() -> Bool {
    let now = SystemClock.monotonicMilliseconds()
    guard now >= next else { return false }
    next = now + interval
    return true
  }
}
