import BackupTypes
import Glibc
import SystemIO
import TestSupport
import Testing

/// Random histories on real servers of every version. For any time, a restore gives the dataset of a server
/// that was given the same commands up to that time.
///
/// `LIFEBOAT_HISTORIES` is the number of histories for each version. `LIFEBOAT_HISTORY_SEED` gives all of them
/// the same seed; they still differ, since the times are those of the machine.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(60)))
struct RandomHistoryTests {
  private static let histories =
    getenv("LIFEBOAT_HISTORIES").flatMap { Int(String(cString: $0)) } ?? 12
  private static let seed =
    getenv("LIFEBOAT_HISTORY_SEED").flatMap { UInt64(String(cString: $0)) }
  /// Each history takes two servers and a few commands.
  private static let width = 3

  fileprivate struct Tally {
    var restores = 0
    var exact = 0
    var events: [String: Int] = [:]
  }

  @Test(arguments: ServerVersion.allCases)
  func `any time of a random history`(version: ServerVersion) async throws {
    var total = Tally()
    try await withThrowingTaskGroup(of: Tally.self) { group in
      for number in 0..<Self.histories {
        if number >= Self.width, let tally = try await group.next() { total.add(tally) }
        group.addTask {
          let seed = Self.seed ?? UInt64.random(in: 0 ... .max)
          return try await Self.history(version, seed: seed, annotates: number % 3 > 0)
        }
      }
      for try await tally in group { total.add(tally) }
    }
    print(
      "histories of \(version): \(Self.histories), \(total.restores) restores, \(total.exact) exact to "
        + "the second, "
        + total.events.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(
          separator: ", "))
    #expect(total.restores >= Self.histories)
    #expect(total.exact > 0 || !version.hasMultiPartAOF)
  }

  private static func history(_ version: ServerVersion, seed: UInt64, annotates: Bool) async throws
    -> Tally
  {
    var tally = Tally()
    let history = try await RandomHistory(
      version, seed: seed, annotates: annotates && version.hasMultiPartAOF)
    let first = history.began
    try await history.go(milliseconds: 4000)
    let last = SystemClock.now()
    try await history.settle()
    let left = (model: history.model, timeline: try await history.newestTimeline())
    var fork: (check: HistoryCheck, at: Instant)?
    for _ in 0..<3 {
      guard let at = history.anyInstant(from: first, to: last, of: history.model) else { continue }
      let check = try await history.check(at, of: history.model, in: 1...left.timeline)
      tally.add(check)
      if let check { fork = (check, at) }
    }
    if let fork, Int.random(in: 0..<3, using: &history.random) > 0 {
      // Go back to that time, and continue from there.
      try await history.fork(at: fork.at, from: fork.check.directory, count: fork.check.count)
      try await history.go(milliseconds: 2500)
      let end = SystemClock.now()
      try await history.settle()
      for _ in 0..<2 {
        guard let at = history.anyInstant(from: history.began, to: end, of: history.model) else {
          continue
        }
        tally.add(try await history.check(at, of: history.model, in: left.timeline + 1...Int.max))
      }
      // The times before the fork give the same states as before, and so do those of the abandoned branch.
      if let at = history.anyInstant(from: first, to: last, of: left.model) {
        let before = 1...left.timeline
        tally.add(try await history.check(at, of: left.model, in: before))
        tally.add(
          try await history.check(
            last, of: left.model, in: before, ["--timeline", "\(left.timeline)"]))
      }
    }
    for event in history.events {
      tally.events[event.hasPrefix("restored") ? "restored" : event, default: 0] += 1
    }
    return tally
  }
}

extension RandomHistoryTests.Tally {
  fileprivate mutating func add(_ check: HistoryCheck?) {
    guard let check else { return }
    restores += 1
    if check.isExact { exact += 1 }
  }
  fileprivate mutating func add(_ other: Self) {
    restores += other.restores
    exact += other.exact
    events.merge(other.events) { $0 + $1 }
  }
}
