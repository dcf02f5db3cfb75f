/// How long to wait before the next claim after a timeline ended by itself. The first time there is no wait;
/// each further time the wait is longer, so that a permanent fault creates few timelines.
struct RestartPause {
  private static let shortest: Int64 = 100
  private static let longest: Int64 = 60_000
  private var begun: Int64?
  private var current = shortest

  mutating func began(now: Int64) {
    let lasted = begun.map { now - $0 } ?? RestartPause.longest
    current =
      lasted >= RestartPause.longest
      ? RestartPause.shortest : min(current * 4, RestartPause.longest)
    begun = now
  }
  var milliseconds: Int64 { current }
}
