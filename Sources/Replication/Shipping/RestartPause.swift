import SystemIO

/// How long to wait before the next claim when a timeline ended by itself: at once the first time, and
/// ever longer when it happens again and again, so that a fault that stays makes few timelines.
struct RestartPause {
  private static let shortest: Int64 = 100
  private static let longest: Int64 = 60_000
  private var begun: Int64?
  private var current = shortest

  mutating func began() {
    let now = SystemClock.monotonicMilliseconds()
    let lasted = begun.map { now - $0 } ?? RestartPause.longest
    current =
      lasted >= RestartPause.longest
      ? RestartPause.shortest : min(current * 4, RestartPause.longest)
    begun = now
  }
  var milliseconds: Int64 { current }
}
