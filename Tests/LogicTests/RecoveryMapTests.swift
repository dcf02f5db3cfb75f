import BackupTypes
import HistoryLogic
import TestSupport
import Testing

/// The rows in which the page looks up an instant.
@Suite struct RecoveryMapTests {
  private func chronicle(_ timelines: [Chronicle.Timeline], newest: Int64? = nil) -> Chronicle {
    Chronicle(
      repository: "r", location: "l", cipher: "none", readAt: at(9999),
      newest: newest.map { .init(id: "1.1", at: at($0)) }, timelines: timelines)
  }

  private func timeline(
    _ number: Int, claimedAt: Int64, windows: [Chronicle.Window] = [], points: [Int64] = []
  ) -> Chronicle.Timeline {
    Chronicle.Timeline(
      number: TimelineNumber(number)!, source: "s", instance: "i", claimedAt: at(claimedAt),
      windows: windows, points: points.map { .init(id: "p", at: at($0)) })
  }

  @Test func `one window with what is before and after it`() {
    let map = RecoveryMap(
      chronicle(
        [timeline(1, claimedAt: 100, windows: [.init(from: at(150), to: at(200))])], newest: 200))
    #expect(map.rows.map(\.kind) == [.nothing, .window, .newest])
    #expect(map.rows.map(\.from) == [nil, at(150), at(201)])
    #expect(map.row(at: at(149)).next == at(150) && map.row(at: at(9000)).last == at(200))
  }

  @Test func `an abandoned branch belongs to its own timeline's time`() {
    let map = RecoveryMap(
      chronicle([
        timeline(
          1, claimedAt: 0,
          windows: [
            .init(from: at(0), to: at(100)), .init(from: at(100), to: at(300), isAbandoned: true),
          ]),
        timeline(2, claimedAt: 200, windows: [.init(from: at(400), to: at(500))]),
      ]))
    #expect(map.row(at: at(50)).kind == .window)
    #expect(map.row(at: at(150)).kind == .branch && map.row(at: at(150)).timeline == .first)
    let gap = map.row(at: at(250))
    #expect(gap.kind == .between && gap.last == at(100) && gap.next == at(400))
    #expect(map.row(at: at(450)).kind == .window)
  }

  @Test func `nothing at all`() {
    #expect(RecoveryMap(chronicle([])).row(at: at(5)).kind == .nothing)
  }

  /// For every instant of random histories, the rows give the same result as a search of all windows.
  @Test func `rows say what a search of all windows says`() async {
    for seed in 1...400 as ClosedRange<UInt64> {
      await Task.yield()  // tests that wait need a thread
      var random = SeededRandom(seed: seed)
      var timelines: [Chronicle.Timeline] = []
      for number in 1...random.int(1...4) {
        var windows: [Chronicle.Window] = []
        for _ in 0..<random.int(0...4) {
          let from = Int64(random.int(0...60))
          windows.append(
            .init(
              from: at(from), to: at(from + Int64(random.int(0...15))),
              isAbandoned: random.chance(30)))
        }
        let points = (0..<random.int(0...2)).map { _ in Int64(random.int(0...70)) }
        timelines.append(
          timeline(number, claimedAt: Int64(random.int(0...70)), windows: windows, points: points))
      }
      timelines.sort { $0.claimedAt < $1.claimedAt }
      for index in timelines.indices { timelines[index].number = TimelineNumber(index + 1)! }
      let map = RecoveryMap(chronicle(timelines))
      for time in Int64(0)...90 {
        let expected = search(timelines, at(time))
        let found = map.row(at: at(time))
        #expect(
          found.kind == expected.kind && found.last == expected.last && found.next == expected.next,
          "seed \(seed), at \(time): \(found) instead of \(expected) in \(timelines)")
      }
    }
  }

  private func search(_ timelines: [Chronicle.Timeline], _ instant: Instant) -> (
    kind: RecoveryMap.Kind, last: Instant?, next: Instant?
  ) {
    let own = timelines.last { $0.claimedAt <= instant } ?? timelines[0]
    func present(_ timeline: Chronicle.Timeline) -> [Chronicle.Window] {
      timeline.windows.filter { !$0.isAbandoned }
        + timeline.points.map { .init(from: $0.at, to: $0.at) }
    }
    let next = timelines.flatMap(present).map(\.from).filter { $0 > instant }.min()
    let known = timelines.filter { $0.number <= own.number }.flatMap(present)
    let branch = own.windows.filter(\.isAbandoned)
    func holds(_ window: Chronicle.Window) -> Bool {
      window.from <= instant && instant <= window.to
    }
    if known.contains(where: holds) { return (.window, nil, nil) }
    if branch.contains(where: holds) { return (.branch, nil, nil) }
    let last = (known + branch).filter { $0.from <= instant }.map { min($0.to, instant) }.max()
    return (last == nil ? .nothing : .between, last, next)
  }
}
