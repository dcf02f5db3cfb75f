import BackupTypes

/// A span of time laid out from left to right.
struct TimeAxis: Sendable, Equatable {
  struct Tick: Sendable, Equatable {
    var at: Instant
    var label: String
  }

  private(set) var from: Instant
  private(set) var to: Instant
  /// In milliseconds, at least one.
  var length: Int64 { max(1, to.since(from)) }

  /// - Parameter minimum: in milliseconds. A shorter span is put into the middle of an axis of this length.
  init(from: Instant, to: Instant, minimum: Int64 = 60_000) {
    let length = max(0, to.since(from))
    let padding = length < minimum ? (minimum - length) / 2 : 0
    self.from = from.advanced(byMilliseconds: -padding)
    self.to = to.advanced(byMilliseconds: padding)
  }

  func contains(_ instant: Instant) -> Bool { instant >= from && instant <= to }

  /// 0 to 1. An instant outside of the axis is placed at its end.
  func fraction(_ instant: Instant) -> Double {
    min(1, max(0, Double(instant.since(from)) / Double(length)))
  }

  /// `12.345%`.
  func percent(_ instant: Instant) -> String { TimeAxis.percent(fraction(instant)) }

  static func percent(_ fraction: Double) -> String {
    let thousandths = Int((min(1, max(0, fraction)) * 100_000).rounded())
    let digits = decimal(thousandths % 1000, width: 3)
    return "\(thousandths / 1000)." + digits + "%"
  }

  // MARK: Ticks

  private static let second: Int64 = 1000
  private static let day: Int64 = 86_400_000
  private static let steps: [Int64] =
    [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 10_800, 21_600, 43_200].map { $0 * second }
    + [1, 2, 7, 14, 30, 91, 182, 365, 730, 1825].map { $0 * day }

  /// At most `count`, at round times.
  func ticks(atMost count: Int) -> [Tick] {
    let step =
      TimeAxis.steps.first { step in
        let start = first(step)
        return start > to || to.since(start) / step < Int64(count)
      } ?? max(1, length / Int64(count))
    var time = first(step)
    var ticks: [Tick] = []
    while time <= to, ticks.count <= count {
      ticks.append(Tick(at: time, label: TimeAxis.label(time, step: step)))
      let next = time.advanced(byMilliseconds: step)
      guard next > time else { break }
      time = next
    }
    return ticks
  }

  /// The first multiple of `step` on the axis.
  private func first(_ step: Int64) -> Instant {
    let remainder = (from.milliseconds % step + step) % step
    return remainder == 0 ? from : from.advanced(byMilliseconds: step - remainder)
  }

  private static func label(_ instant: Instant, step: Int64) -> String {
    let text = Array(instant.description.utf8)
    // Outside the years 0 to 9999 there are no dates.
    guard text.count >= 20 else { return instant.description }
    func part(_ range: Range<Int>) -> String { String(decoding: text[range], as: UTF8.self) }
    let isMidnight = instant.milliseconds % day == 0
    if step >= 91 * day { return part(0..<7) }
    if step >= day || isMidnight { return part(0..<10) }
    return step < 60 * second ? part(11..<19) : part(11..<16)
  }
}
