import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// Retention over random histories of some weeks. Whatever a run deletes, wherever it is stopped, and whoever
/// deletes at the same time: each instant that the policy keeps is restored as before.
@Suite struct RetentionTests {
  /// A promised restore: of this time, in this timeline, to this position.
  private struct Promise {
    var instant: Instant
    var timeline: TimelineNumber?
    var pinned: SnapshotKey?
    var cut: LogPosition?
    var answer: Instant
  }

  @Test func `what the policy keeps restores as before, wherever a run is stopped`() async throws {
    let (first, count) = seeds(default: 400)
    var (deleted, promised) = (0, 0)
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      var world = RetentionWorld(seed: seed)
      // A shipper may fold a log that is days old. Its newest object is then recent.
      world.foldLately()
      let named = try world.namedLogs()
      let policy = RetentionPolicy(
        keepWithin: Int64(world.random.int(0...12)) * RetentionPolicy.day,
        keepHourly: Int64(world.random.int(0...8)) * RetentionPolicy.day,
        keepDaily: world.random.int(0...25))
      let promises = try promises(policy, &world)
      promised += promises.count
      try check(promises, world, "seed \(seed), before")
      // Simultaneous runs of the same policy, each stopped somewhere. Then one that completes.
      var runs: [[ObjectPath]] = []
      for _ in 0..<world.random.int(1...3) {
        let plan = try world.plan(policy)
        world.record(plan)
        let all = world.deletions(plan)
        runs.append(Array(all.prefix(world.random.int(0...all.count))))
      }
      while let index = runs.indices.filter({ !runs[$0].isEmpty }).randomElement(
        using: &world.random)
      {
        let burst = world.random.int(1...max(1, runs[index].count))
        for path in runs[index].prefix(burst) where world.objects.removeValue(forKey: path) != nil {
          deleted += 1
        }
        runs[index].removeFirst(burst)
        try check(promises, world, "seed \(seed), stopped")
      }
      let last = try world.plan(policy)
      world.record(last)
      for path in world.deletions(last) { world.objects[path] = nil }
      try check(promises, world, "seed \(seed), done")
      let unnamed = named.intersection(world.listedLogs()).subtracting(try world.namedLogs())
      let unrecorded = unnamed.subtracting(LetGo(world.records).logs)
      #expect(unrecorded.isEmpty, "seed \(seed): `verify` would take \(unrecorded) for lost")
      let again = try world.plan(policy)
      world.record(again)
      #expect(
        unnamed.subtracting(LetGo(world.records.suffix(1)).logs).isEmpty,
        "seed \(seed): the next record repeats it, since it replaces the others")
      // The release of a pin that this run deleted is deleted by the next run.
      let left = again.stages.joined().filter {
        if case .operation(.releases, _) = $0 { false } else { true }
      }
      #expect(left.isEmpty && again.covered.isEmpty, "seed \(seed): \(left.map(\.text))")
    }
    print("retention: seeds from \(first), \(promised) promises, \(deleted) objects deleted")
    #expect(count == 1 || (deleted > Int(count) && promised > Int(count)))
  }

  /// If a listing or the repository lacks an object, a run stops before it deletes anything.
  @Test func `nothing is deleted from a listing that is not complete`() async throws {
    let (first, count) = seeds(default: 300)
    var noticed = 0
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      var world = RetentionWorld(seed: seed)
      let basis = try world.basis()
      #expect(basis.problem() == nil, "seed \(seed)")
      let visible = basis.snapshots.keys.filter { key in
        // If nobody has claimed since, nobody can know that the last snapshot of a timeline existed.
        basis.history.end(of: key.timeline) != nil
          || basis.snapshots[SnapshotKey(key.timeline, key.sequence + 1)] != nil
      }
      guard let lost = visible.sorted().randomElement(using: &world.random) else { continue }
      world.objects[.snapshot(lost.timeline, sequence: lost.sequence)] = nil
      let problem = try world.basis().problem()
      #expect(
        problem?.contains("\(lost.sequence)") == true, "seed \(seed): \(lost), \(problem ?? "")")
      noticed += 1
    }
    #expect(noticed > 0)
  }

  @Test func `with nothing to be kept only the newest state and what shippers need stay`()
    async throws
  {
    let (first, count) = seeds(default: 300)
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      var world = RetentionWorld(seed: seed)
      world.pins = []
      world.now = world.now.advanced(byMilliseconds: 100 * RetentionPolicy.day)
      let policy = RetentionPolicy(keepWithin: 0, keepHourly: 0, keepDaily: 0)
      let newest = try world.newest()
      let plan = try world.plan(policy)
      world.record(plan)
      for path in world.deletions(plan) { world.objects[path] = nil }
      let left = try world.basis().snapshots.count
      #expect(left <= 6 || newest == nil, "seed \(seed): \(left) snapshots are left")
      #expect(try world.newest()?.cut == newest?.cut, "seed \(seed)")
      if let newest { #expect(try world.problem(restoring: newest) == nil, "seed \(seed)") }
    }
  }

  /// The ceiling: after the policy's periods, the last pin and a grace period, only what the disk has is
  /// left. No object then contains a key that was deleted before.
  @Test func `after the ceiling only what the disk holds is left`() async throws {
    let (first, count) = seeds(default: 400)
    var (deleted, pinned, worlds) = (0, 0, 0)
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      var world = RetentionWorld(seed: 2 * seed + 1)
      let policy = RetentionPolicy(
        keepWithin: Int64(world.random.int(0...12)) * RetentionPolicy.day,
        keepHourly: Int64(world.random.int(0...8)) * RetentionPolicy.day,
        keepDaily: world.random.int(0...25))
      pinned += world.pins.count
      let last = (world.pins.map(\.until) + [world.now]).max()!
      world.now = last.advanced(
        byMilliseconds: max(
          max(policy.keepWithin, policy.keepHourly)
            + (Int64(policy.keepDaily) + 1) * RetentionPolicy.day, RetentionPolicy.unfinished)
          + RetentionPolicy.grace)
      // Until the newest chain has a mark of its own, the previous one is kept for `--at`.
      guard let newest = try world.newest(), try world.lastMark(of: newest.timeline) == newest
      else {
        continue
      }
      worlds += 1
      let disk = try world.onDisk()
      for _ in 0..<2 {
        let plan = try world.plan(policy)
        world.record(plan)
        for path in world.deletions(plan) where world.objects.removeValue(forKey: path) != nil {
          deleted += 1
        }
      }
      let catalogue = try world.history().catalogue
      let generations = Set(catalogue.generations.keys).subtracting(disk.generations)
      #expect(generations.isEmpty, "seed \(seed): \(generations)")
      let logs = world.listedLogs().subtracting(disk.logs)
      #expect(logs.isEmpty, "seed \(seed): \(logs)")
      #expect(catalogue.operations[.pins] == nil, "seed \(seed)")
      let held = try world.plan(policy).held
      #expect(held.count == 1 && held.first?.pin == nil, "seed \(seed): \(held)")
    }
    #expect(count == 1 || (worlds > count / 4 && deleted > Int(count) && pinned > 20))
  }

  /// After an upgrade, the contents of the newer dumps are not known. The last counted dump is kept.
  @Test func `the newest state that was counted is kept while newer ones are not`() throws {
    let now = at(20_000 * RetentionPolicy.day)
    let claimed = claim(1, instance: "i", directory: "d")
    var catalogue = Catalogue(youngAfter: now.advanced(byMilliseconds: -RetentionPolicy.grace))
    catalogue.add(name: ObjectPath.claim(.first).text, size: 1)
    var made: [SnapshotKey: Snapshot] = [:]
    for number in 1...9 {
      let time = now.advanced(byMilliseconds: Int64(number - 90) * RetentionPolicy.day)
      var snapshot = Snapshot(
        timeline: .first, sequence: number, nonce: claimed.nonce, at: time, cause: .generation,
        primary: .rdb, chain: nil,
        dump: .init(
          generation: generationID(UInt64(number)), file: "dump.rdb", contentAt: time,
          pinnedAt: nil), detached: nil, isClean: false, destructive: nil)
      if number <= 5 { snapshot.estimate = .init(keys: 7, expires: 0) }
      made[snapshot.key] = snapshot
      catalogue.add(
        name: ObjectPath.snapshot(.first, sequence: number).text, size: 1, modified: time)
    }
    let history = try History(catalogue: catalogue, claims: [.first: claimed])
    func gone() -> Set<Int> {
      let basis = RetentionBasis(history: history, snapshots: made, now: now)
      let policy = RetentionPolicy(keepWithin: 0, keepHourly: 0, keepDaily: 0)
      return Set(PrunePlan(basis, policy).snapshots.map(\.sequence))
    }
    #expect(!gone().contains(5) && !gone().contains(9) && gone().contains(4))
    for key in made.keys { made[key]?.estimate = .init(keys: 7, expires: 0) }
    #expect(gone().contains(5), "once the newest is counted, it is enough")
  }

  /// A server without AOF saves every ten minutes for twelve days.
  @Test func `of dumps alone all of a day are kept, then one an hour, then one a day`() throws {
    let step: Int64 = 600_000
    let count = 12 * RetentionPolicy.day / step
    let now = at(20_000 * RetentionPolicy.day + count * step)
    let claimed = claim(1, instance: "i", directory: "d")
    var catalogue = Catalogue(youngAfter: now.advanced(byMilliseconds: -RetentionPolicy.grace))
    catalogue.add(name: ObjectPath.claim(.first).text, size: 1)
    var made: [SnapshotKey: Snapshot] = [:]
    for number in 1...Int(count) {
      let time = now.advanced(byMilliseconds: (Int64(number) - count) * step)
      let snapshot = Snapshot(
        timeline: .first, sequence: number, nonce: claimed.nonce, at: time, cause: .generation,
        primary: .rdb, chain: nil,
        dump: .init(
          generation: generationID(UInt64(number)), file: "dump.rdb", contentAt: time,
          pinnedAt: nil), detached: nil, isClean: false, destructive: nil)
      made[snapshot.key] = snapshot
      catalogue.add(
        name: ObjectPath.snapshot(.first, sequence: number).text, size: 1, modified: time)
    }
    let history = try History(catalogue: catalogue, claims: [.first: claimed])
    let basis = RetentionBasis(history: history, snapshots: made, now: now)
    /// How many dumps of each day are kept, the newest day first.
    func kept(_ policy: RetentionPolicy) -> [Int] {
      let gone = Set(PrunePlan(basis, policy).snapshots)
      var days = [Int](repeating: 0, count: 12)
      for snapshot in made.values where !gone.contains(snapshot.key) {
        days[min(11, Int(now.since(snapshot.at) / RetentionPolicy.day))] += 1
      }
      return days
    }
    // The first two are the grace period and the last day. A dump next to a boundary is kept, too.
    func expect(
      _ policy: RetentionPolicy, _ least: [Int], sourceLocation: SourceLocation = #_sourceLocation
    ) {
      let days = kept(policy)
      #expect(
        zip(days, least).allSatisfy { $0 >= $1 && $0 <= $1 + 2 }, "\(days)",
        sourceLocation: sourceLocation)
    }
    expect(.init(), [144, 144, 24, 24, 24, 24, 24, 24, 1, 1, 1, 1])
    expect(
      .init(keepHourly: 3 * RetentionPolicy.day), [144, 144, 24, 24, 1, 1, 1, 1, 1, 1, 1, 1])
    let policy = RetentionPolicy()
    #expect(policy.dumpsKept(savedEvery: 60_000) == 2 * 1440 + 6 * 24 + 30)
    #expect(policy.dumpsKept(savedEvery: RetentionPolicy.day) == 2 + 6 + 30)
    expect(.init(keepDaily: 0), [144, 144, 24, 24, 24, 24, 24, 24, 0, 0, 0, 0])
    expect(
      .init(keepWithin: 0, keepHourly: 0, keepDaily: 0), [144, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func `a run that would take most says so, waits a grace, and lapses after three`() throws {
    var world = try large()
    world.now = world.now.advanced(byMilliseconds: 100 * RetentionPolicy.day)
    let policy = RetentionPolicy(keepWithin: 0, keepHourly: 0, keepDaily: 0)
    let plan = try world.plan(policy)
    #expect(plan.takesMost)
    #expect(PruneDecision.decide(plan, isConfirmed: true, now: world.now) == .go)
    #expect(PruneDecision.decide(plan, isConfirmed: false, now: world.now) == .announce)
    let announcement = Prune.Announcement(
      at: world.now, points: plan.points - plan.pointsLeft, of: plan.points)
    world.records = [
      PruneRecords.announcing(announcement, try world.basis()).record(
        id: "1", repository: nonce(99), at: world.now, by: "test")
    ]
    func decision(hoursLater hours: Int64) throws -> PruneDecision {
      var later = world
      later.now = world.now.advanced(byMilliseconds: hours * 3_600_000)
      return PruneDecision.decide(try later.plan(policy), isConfirmed: false, now: later.now)
    }
    let due = world.now.advanced(byMilliseconds: RetentionPolicy.grace)
    #expect(try decision(hoursLater: 1) == .wait(until: due))
    #expect(try decision(hoursLater: 23) == .wait(until: due))
    #expect(try decision(hoursLater: 24) == .go)
    #expect(try decision(hoursLater: 72) == .go)
    #expect(try decision(hoursLater: 73) == .announce)
    #expect(try decision(hoursLater: -1) == .announce)
  }

  @Test func `what was let go is a few ranges, and a gap is what no range has`() {
    var gone = LetGo()
    gone.add([1, 2, 3, 7, 8, 5].map { SnapshotKey(.first, $0) })
    #expect(gone.gone.map { [$0.from, $0.to] } == [[1, 3], [5, 5], [7, 8]])
    #expect(gone.gap(in: [4, 6, 9], upTo: 9, of: .first) == nil)
    #expect(gone.gap(in: [4, 9], upTo: 9, of: .first) == 6)
    #expect(gone.gap(in: [4, 6], upTo: 8, of: .first) == nil)
    #expect(gone.gap(in: [4, 6], upTo: 9, of: .first) == 9)
    #expect(gone.gap(in: [], upTo: 3, of: .first) == nil)
    #expect(gone.gap(in: [], upTo: 4, of: .first) == 4)
    #expect(gone.gap(in: [], upTo: .max, of: .first) == 4)
    #expect(gone.gap(in: [1], upTo: 0, of: TimelineNumber(2)!) == nil)
    #expect(gone.gap(in: [2], upTo: 0, of: TimelineNumber(2)!) == 1)
    #expect(gone.gaps(in: [9], upTo: 12, of: .first) == [4...4, 6...6, 10...12])
    #expect(gone.gaps(in: [4, 6], upTo: 8, of: .first) == [])
    gone.add([SnapshotKey(.first, 4)])
    #expect(gone.gone.map { [$0.from, $0.to] } == [[1, 5], [7, 8]])
    #expect(LetGo([]).gone.isEmpty)
  }

  /// A world with more than a dozen restore points.
  private func large() throws -> RetentionWorld {
    for seed in 1...200 {
      let world = RetentionWorld(seed: UInt64(seed))
      if try world.basis().snapshots.count > 12, world.pins.isEmpty { return world }
    }
    throw Violation(description: "no seed gives a large world")
  }

  // MARK: Promises

  private func promises(_ policy: RetentionPolicy, _ world: inout RetentionWorld) throws
    -> [Promise]
  {
    var promises: [Promise] = []
    func promise(_ instant: Instant, _ timeline: TimelineNumber? = nil) throws {
      guard let point = try world.answer(at: instant, in: timeline), try isWhole(point, world),
        try isKept(point, at: instant, timeline)
      else { return }
      promises.append(
        Promise(instant: instant, timeline: timeline, cut: point.cut, answer: point.instant))
    }
    let since = Retention.fullSince(world.now, policy)
    /// Older dumps without a log: only the last one of each hour or day is kept.
    func isKept(_ point: RestorePoint, at instant: Instant, _ timeline: TimelineNumber?) throws
      -> Bool
    {
      let asOf = world.now.advanced(byMilliseconds: -RetentionPolicy.grace)
      func isYounger(_ age: Int64) -> Bool { point.instant >= asOf.advanced(byMilliseconds: -age) }
      guard point.primary == .rdb, instant >= since, !isYounger(RetentionPolicy.day) else {
        return true
      }
      let length = isYounger(policy.keepHourly) ? RetentionPolicy.hour : RetentionPolicy.day
      let end = (point.instant.milliseconds / length + 1) * length - 1
      let last = try world.answer(at: at(end), in: point.timeline)
      return last?.instant == point.instant && last?.snapshot.key == point.snapshot.key
    }
    try promise(world.now)
    try promise(since)
    for _ in 0..<4 {
      let span = Int(world.now.since(since))
      try promise(since.advanced(byMilliseconds: Int64(world.random.int(0...span))))
    }
    let midnight = since.milliseconds / RetentionPolicy.day * RetentionPolicy.day
    for day in 0..<Int64(policy.keepDaily) where world.random.chance(30) {
      try promise(at(midnight - day * RetentionPolicy.day - 1))
    }
    // An abandoned branch is retained like any other.
    let history = try world.history()
    for number in world.claims.keys.sorted() where history.isAbandoned(number) {
      if let end = try world.answer(at: world.now, in: number)?.instant, end >= since {
        try promise(end, number)
        try promise(max(since, end.advanced(byMilliseconds: -RetentionPolicy.day)), number)
      }
    }
    for pin in world.pins where try world.basis().isInForce(pin) {
      // A pin keeps its snapshot and the log that continues it.
      let key = SnapshotKey(pin.timeline, pin.snapshot)
      if let point = try world.newest(of: key), try isWhole(point, world) {
        promises.append(
          Promise(instant: world.now, pinned: key, cut: point.cut, answer: point.instant))
      }
    }
    return promises
  }

  /// A restore that needs a hole of the world is not promised.
  private func isWhole(_ point: RestorePoint, _ world: RetentionWorld) throws -> Bool {
    do throws(LifeboatError) {
      return try world.problem(restoring: point) == nil
    } catch {
      guard error.code == .corrupt else { throw error }
      return false
    }
  }

  private func check(_ promises: [Promise], _ world: RetentionWorld, _ what: String) throws {
    let history = try world.history()
    for promise in promises {
      let found =
        try promise.pinned.map { try world.newest(of: $0, history) }
        ?? world.answer(at: promise.instant, in: promise.timeline, history)
      guard let point = found else {
        Issue.record("\(what): no point for \(promise)")
        return
      }
      #expect(
        point.instant == promise.answer && point.cut == promise.cut,
        "\(what): \(promise), now \(point.id) of \(point.instant)")
      #expect(try world.problem(restoring: point, history) == nil, "\(what): \(promise)")
    }
    #expect(try world.problemOfClaiming() == nil, "\(what)")
    #expect(try world.basis().problem() == nil, "\(what)")
  }
}
