/// Runs every job of Swift's concurrency on one thread, in an order that a seed decides, on a clock that
/// moves only when nothing is ready.
struct Scheduler {
  private struct Timer {
    var at: Int64
    var number: UInt64
    var job: UnsafeMutableRawPointer
    static func < (a: Timer, b: Timer) -> Bool { (a.at, a.number) < (b.at, b.number) }
  }

  /// Monotonic, in nanoseconds.
  private(set) var now: Int64
  private var ready: [UnsafeMutableRawPointer] = []
  /// A binary heap, the earliest first.
  private var timers: [Timer] = []
  private var count: UInt64 = 0

  init(now: Int64) { self.now = now }

  mutating func add(_ job: UnsafeMutableRawPointer, after nanoseconds: Int64) {
    guard nanoseconds > 0 else { return ready.append(job) }
    count += 1
    timers.append(Timer(at: now + nanoseconds, number: count, job: job))
    var index = timers.count - 1
    while index > 0, timers[index] < timers[(index - 1) / 2] {
      timers.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  /// The job to run next; nil if nothing will ever happen again.
  mutating func next(_ random: inout some RandomNumberGenerator) -> UnsafeMutableRawPointer? {
    if ready.isEmpty {
      guard let first = timers.first else { return nil }
      now = first.at
      while let timer = timers.first, timer.at <= now { ready.append(removeFirst().job) }
    }
    let index = ready.count == 1 ? 0 : Int.random(in: ready.indices, using: &random)
    ready.swapAt(index, ready.count - 1)
    return ready.removeLast()
  }

  private mutating func removeFirst() -> Timer {
    timers.swapAt(0, timers.count - 1)
    let first = timers.removeLast()
    var index = 0
    while true {
      var least = index
      for child in [2 * index + 1, 2 * index + 2]
      where child < timers.count && timers[child] < timers[least] {
        least = child
      }
      if least == index { return first }
      timers.swapAt(index, least)
      index = least
    }
  }
}
