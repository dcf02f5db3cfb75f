/// Limits reading to a steady rate, in small steps. After a pause, for example a wait for the store, it does
/// not read faster to catch up.
struct ReadPace {
  private static let stepMax: UInt64 = 256 << 10
  /// A sleep ends late by about this much. Only this time may be caught up.
  private static let slackMicroseconds: Int64 = 20_000

  private let limit: UInt64
  private var due = Int64.min

  /// - Parameter limit: bytes a second; nil for no limit.
  init?(limit: UInt64?) {
    guard let limit, limit > 0 else { return nil }
    self.limit = limit
  }

  /// How many bytes to read at a time: those of 20 ms, at most 256 KiB.
  var step: UInt64 { min(ReadPace.stepMax, max(4096, limit / 50)) }

  /// How long to wait before the next `bytes` are read, in milliseconds.
  /// - Parameter now: the monotonic clock, in milliseconds.
  mutating func wait(_ bytes: UInt64, now: Int64) -> Int64 {
    let now = now * 1000
    let begin = max(due, now - ReadPace.slackMicroseconds)
    due = begin + Int64((Double(bytes) * 1e6 / Double(limit)).rounded(.up))
    return max(0, begin - now) / 1000
  }
}
