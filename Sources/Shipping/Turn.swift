/// Something that is done at an interval, by the monotonic clock. Times are in milliseconds.
struct Turn {
  private let interval: Int64
  private var next: Int64

  /// - Parameter firstAfter: nil: `interval`.
  init(every interval: Int64, from now: Int64, firstAfter: Int64? = nil) {
    self.interval = interval
    next = now + (firstAfter ?? interval)
  }

  /// Takes the turn if its time has come.
  mutating func isDue(_ now: Int64) -> Bool {
    guard now >= next else { return false }
    next = now + interval
    return true
  }
}
