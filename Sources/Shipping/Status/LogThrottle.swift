/// Limits log lines of a cause that comes and goes: for each cause, on average at most one line a minute,
/// with a count of the lines that were left out. A value; the caller gives the time.
///
/// A state has two lines, one at its beginning and one at its end. The end is logged whenever the beginning
/// was logged, so that the last line in the log is true. The next beginning then waits until two minutes have
/// passed since the last one. A state that lasts that long is still logged, a little late.
package struct LogThrottle: Sendable {
  /// Each line of a cause uses up this many milliseconds.
  package static let interval: Int64 = 60_000
  /// At most this many causes are remembered. For a further one, the cause that was logged longest ago is
  /// dropped.
  package static let causesMax = 64

  /// A line to be logged now.
  package struct Line: Sendable, Equatable {
    /// How often the cause occurred since its last line without being logged.
    package var leftOut: Int

    package init(leftOut: Int) { self.leftOut = leftOut }
  }

  private struct Cause: Sendable {
    /// Nothing new is logged for this cause until then.
    var quietUntil = Int64.min
    var began = Int64.min
    var isOn = false
    var isTold = false
    var leftOut = 0

    mutating func tell() -> Line {
      defer { leftOut = 0 }
      return Line(leftOut: leftOut)
    }
  }
  private var causes: [String: Cause] = [:]

  package init() {}

  /// A single line; nil if it is to be left out.
  ///
  /// - Parameter now: monotonic, in milliseconds.
  package mutating func line(_ name: String, at now: Int64) -> Line? {
    change(name) { cause in
      guard now >= cause.quietUntil else {
        cause.leftOut += 1
        return nil
      }
      cause.quietUntil = now + LogThrottle.interval
      return cause.tell()
    }
  }

  /// A state has begun, or continues. It may be called as often as you like. Returns the line of its
  /// beginning; nil if that was logged already, or is left out for now.
  package mutating func begin(_ name: String, at now: Int64) -> Line? {
    change(name) { cause in
      guard !cause.isTold else { return nil }
      guard now >= cause.quietUntil else {
        if !cause.isOn { cause.leftOut += 1 }
        cause.isOn = true
        return nil
      }
      // It was counted as left out, but is logged now.
      if cause.isOn { cause.leftOut -= 1 }
      (cause.isOn, cause.isTold, cause.began) = (true, true, now)
      return cause.tell()
    }
  }

  /// A state has ended. Returns the line of its end; nil if its beginning was not logged.
  package mutating func end(_ name: String, at now: Int64) -> Line? {
    change(name) { cause in
      defer { (cause.isOn, cause.isTold) = (false, false) }
      guard cause.isTold else { return nil }
      cause.quietUntil = max(cause.began + 2 * LogThrottle.interval, now + LogThrottle.interval)
      return cause.tell()
    }
  }

  private mutating func change(_ name: String, _ body: (inout Cause) -> Line?) -> Line? {
    if causes[name] == nil, causes.count >= LogThrottle.causesMax {
      let oldest = causes.min {
        ($0.value.isTold ? 1 : 0, $0.value.quietUntil) < (
          $1.value.isTold ? 1 : 0, $1.value.quietUntil
        )
      }
      if let oldest { causes[oldest.key] = nil }
    }
    return body(&causes[name, default: Cause()])
  }
}
