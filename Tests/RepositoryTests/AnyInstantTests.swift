import BackupFormat
import BackupTypes
import Glibc
import HistoryLogic
import RepositoryAccess
import TestSupport
import Testing

/// Random histories in memory, with everything that a server and a shipper may do. For any time, the point
/// that `--at` chooses gives the state that the server had then. It is exact to the second if the log has
/// annotations, otherwise it is the state at a mark. If no log was shipped for that time, this is reported.
///
/// `LIFEBOAT_HISTORIES` is the number of histories.
@Suite struct AnyInstantTests {
  private static let count =
    getenv("LIFEBOAT_HISTORIES").flatMap { Int(String(cString: $0)) } ?? 1000

  @Test(arguments: 0..<4) func `any instant of a random history`(_ part: Int) async throws {
    var (exact, gaps) = (0, 0)
    for number in 0..<max(1, Self.count / 4) {
      let seed =
        getenv("LIFEBOAT_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
        ?? UInt64(number * 4 + part + 1)
      var world = try await InstantWorld(seed: seed)
      let reader = try await world.made.reader
      for _ in 0..<6 {
        switch try await check(&world, reader, "seed \(seed)") {
        case .exact?: exact += 1
        case .gap?: gaps += 1
        case nil: break
        }
      }
    }
    #expect(exact > gaps && exact > Self.count / 4)
    print("instants: \(exact) exact, \(gaps) where no log was shipped")
  }

  /// For each time that the policy promises, `--at` gives the same state after retention as before: for any
  /// time in the recent period, and for the ends of days.
  @Test(arguments: 0..<4) func `what the policy keeps is answered as before`(_ part: Int)
    async throws
  {
    var (asked, deleted) = (0, 0)
    for number in 0..<max(1, Self.count / 4) {
      let seed =
        getenv("LIFEBOAT_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
        ?? UInt64(number * 4 + part + 1)
      let isDaily = number % 2 == 0
      let midnight = RetentionPolicy.day
      var world = try await InstantWorld(
        seed: seed, start: isDaily ? midnight - 1000 * Int64(number % 30) : 1_000_000)
      let first = world.entries.first!.time
      let since = Int64.random(in: first...world.now, using: &world.random)
      var times = [midnight - 1]
      if !isDaily {
        times = (0..<6).map { _ in Int64.random(in: since...world.now, using: &world.random) }
        if world.annotates { times = times.map { $0 / 1000 * 1000 }.filter { $0 >= since } }
      }
      let before = try await answers(times, world)
      let policy = RetentionPolicy(
        keepWithin: isDaily ? 0 : RetentionPolicy.hour, keepHourly: 0, keepDaily: isDaily ? 9 : 0)
      let now =
        isDaily
        ? world.now + 2 * RetentionPolicy.day : since + RetentionPolicy.grace + policy.keepWithin
      let report = try await Pruner(
        world.made.repository, options: .init(policy: policy, by: "test", isConfirmed: true),
        now: { at(now) }
      ).run()
      deleted += report.objects
      let after = try await answers(times, world)
      for (index, time) in times.enumerated() where before[index] != after[index] {
        Issue.record(
          """
          seed \(seed), at \(time): \(after[index]) instead of \(before[index]); kept since \(since), \
          \(report), \(world.events.joined(separator: "; "))
          """)
      }
      asked += times.count
    }
    print("retained instants: \(asked) asked, \(deleted) objects deleted")
    #expect(asked > Self.count / 4 && deleted > Self.count / 4)
  }

  /// The result of `--at` for each of `times`: a state of the server, or an error.
  private func answers(_ times: [Int64], _ world: InstantWorld) async throws -> [String] {
    let reader = try await world.made.reader
    var found: [String] = []
    for time in times {
      do throws(any Error) {
        let point = try #require(try await reader.point(.at(at(time)), now: at(world.now)))
        let state = try await world.replay(point, reader)
        found.append("state \(state)")
      } catch let error as LifeboatError {
        found.append("exit \(error.code.rawValue)")
      }
    }
    return found
  }

  /// The snapshots that retention keeps for the time.
  private func candidates(_ time: Instant, _ reader: HistoryReader) async throws -> [Snapshot] {
    var snapshots: [TimelineNumber: [Int: Snapshot]] = [:]
    for number in reader.history.claims.keys {
      snapshots[number] = try await reader.snapshots(of: number)
    }
    return reader.history.candidates(at: time, snapshots).map {
      snapshots[$0.timeline]![$0.sequence]!
    }
  }

  private enum Outcome { case exact, gap }

  private func check(_ world: inout InstantWorld, _ reader: HistoryReader, _ what: String)
    async throws -> Outcome?
  {
    let first = world.entries.first!.time
    var time = Int64.random(in: first...world.now, using: &world.random)
    // A time in whole seconds means the end of that second.
    time = world.annotates ? time / 1000 * 1000 : time % 1000 == 0 ? time + 1 : time
    guard time >= first, !world.blind.contains(where: { $0.contains(time) }) else { return nil }
    let point = try await reader.known(at: at(time))
    let candidates = try await candidates(at(time), reader)
    #expect(
      candidates.contains { $0 == point.snapshot || $0.gives(point) },
      "\(what), at \(time): \(point.id), candidates \(candidates.map(\.key)), \(world.events)")
    let found = try await world.replay(point, reader)
    let text =
      "\(what), at \(time): state \(found) by \(point.id) of \(point.instant), "
      + world.events.joined(separator: "; ")
    #expect(point.instant <= at(time), "\(text)")
    guard world.annotates else {
      let expected = world.entries.filter { $0.time <= time }.suffix(2)
      // A mark of the file itself can be older than the claim under which it was shipped.
      let isLate = expected.last!.knownAt > time && found == expected.first!.state
      #expect(
        found == expected.last!.state || isLate, "\(text); the last mark is that of \(expected)")
      return .exact
    }
    let expected = world.state(at: time + 999)
    if found == expected { return .exact }
    let gaps = world.lost.filter { $0.from <= time + 999 && time < $0.until }
    guard gaps.contains(where: { found == world.state(at: $0.from) }) else {
      Issue.record("\(text) instead of \(expected), lost: \(gaps)")
      return nil
    }
    #expect(point.gap != nil, "\(text): it is not said")
    // If the window ends within that second, there is only a warning.
    let refusal = await code {
      _ = try await reader.point(.at(at(time)), now: at(world.now))
    }
    #expect(refusal == .noBackup || refusal == nil, "\(text)")
    return .gap
  }
}

extension Snapshot {
  /// Whether its chain can be cut at the point as well. For example, the snapshot after a rewrite has another
  /// BASE but the same log, so a cut there gives the same state.
  fileprivate func gives(_ point: RestorePoint) -> Bool {
    guard let cut = point.cut, let chain else { return false }
    return chain.files.flatMap(\.segments).contains {
      $0.isOf(cut) && $0.from <= cut.offset && cut.offset <= $0.to ?? .max
    }
  }
}
