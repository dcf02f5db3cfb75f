/// Keeps a cause that comes and goes from filling the log: of one cause at most a line a minute on
/// average, with a count of those that were left out. A value; the caller gives the time.
///
/// A state has two lines, one at its beginning and one at its end. Its end is told whenever its beginning
/// was, so that the log's last word of it is true; then its next beginning waits until two minutes have
/// passed since the last one. A state that lasts that long is told of all the same, a little late.
package struct LogThrottle: Sendable {
  /// Of one cause there is a line each so many milliseconds.
  package static let interval: Int64 = 60_000
  /// So many causes are known; of more, the one that was told of longest ago is forgotten.
  package static let causesMax = 64

  /// To be told now.
  package struct Line: Sendable, Equatable {
    /// How often the cause came since its last line, and was not told of.
    package var leftOut: Int

    package init(leftOut: Int) { self.leftOut = leftOut }
  }

  private struct Cause: Sendable {
    /// Until then nothing new is told of it.
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

  /// A line that stands alone: nil when it is to be left out.
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

  /// A state has begun, or goes on; may be said as often as one likes. The line of its beginning; nil when
  /// that was told already, or is left out for now.
  package mutating func begin(_ name: String, at now: Int64) -> Line? {
    change(name) { cause in
      guard !cause.isTold else { return nil }
      guard now >= cause.quietUntil else {
        if !cause.isOn { cause.leftOut += 1 }
        cause.isOn = true
        return nil
      }
      // This time it was counted, and is told after all.
      if cause.isOn { cause.leftOut -= 1 }
      (cause.isOn, cause.isTold, cause.began) = (true, true, now)
      return cause.tell()
    }
  }

  /// A state has ended. The line of its end; nil when its beginning was not told.
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
