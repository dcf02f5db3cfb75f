import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// A week of busy and quiet hours on a virtual clock, with a rewrite and a run of retention in each hour. The
/// costs stay within the limits of `docs/costs.md`, and a restore to any instant that the policy keeps gives
/// what Redis had then.
@Suite struct WeekTests {
  private static let days = 7
  private static let policy = RetentionPolicy(keepWithin: 2 * RetentionPolicy.day, keepDaily: 3)
  private static let hour = 3600

  /// In busy hours there is a write every second, in quiet ones every thirty seconds. One hour of each day is
  /// busy, and so are the last two hours of the week.
  private static func step(_ hour: Int) -> Int {
    let end = days * 24
    return hour < end && (hour % 24 == 12 || hour >= end - 2) ? 1 : 30
  }
  private static func writes(_ hour: Int) -> Int { hour < 0 ? 0 : WeekTests.hour / step(hour) }

  /// The limits of `docs/costs.md`, for an interval of 1 s and a fold grace period of an hour.
  private enum Bound {
    /// The objects that an hour leaves: folds, 4 records, and 2 objects of its rewrite's BASE.
    static func left(_ hour: Int) -> Int { writes(hour) / 600 + 1 + 4 + 2 }
    /// The creates in an hour: one for each write, what the hour leaves, and a retention record. In the first
    /// hour also the claim and another BASE.
    static func creates(_ hour: Int) -> Int { writes(hour) + left(hour) + (hour == 0 ? 4 : 1) }
    /// The number of objects: the small ones of a fold and of its grace period; what each hour that is kept
    /// in full leaves; as much for the grace period; and twice as much for each day before that.
    static func objects(_ hour: Int, kept: Int, days: Int) -> Int {
      let small = min(600 + 3600 + 600, 600 + writes(hour) + writes(hour - 1))
      return 3 + small + (max(0, hour - kept + 1)...hour).reduce(0) { $0 + left($1) }
        + (2 * days + 3) * (7 + 2 + 4)
    }
    /// The requests of a restore of the newest point: the descriptor, a page of a listing per 1000 objects,
    /// claims, the last snapshot, its BASE's index and piece, and the log of at most two rewrites, each as 7
    /// folds plus what is not folded yet.
    static func restoreReads(objects: Int) -> Int { 8 + 2 * 7 + 600 + objects / 1000 + 1 }
  }

  @Test(.timeLimit(.minutes(20)))
  func `a week stays within its bounds, and every instant that is kept restores`() async throws {
    let start = Instant(milliseconds: 1_700_006_400_000)
    let clock = VirtualClock(start)
    let store = MemoryStore(clock: { clock.now })
    let repository = try await Repository.openOrCreate(
      store, keys: .none, compression: .none, now: start)
    var redis = VirtualRedis(at: start)
    var shipper = try await VirtualShipper(repository, redis)
    let memory = SnapshotMemory()
    var most = 0
    for hour in 0..<(WeekTests.days * 24) {
      store.resetRequests()
      try await run(&redis, &shipper, clock, hour)
      #expect(store.requests(.create) <= Bound.creates(hour), "hour \(hour)")
      let pruned = try await Pruner(
        repository, options: .init(policy: WeekTests.policy, by: "test"), memory: memory,
        now: { clock.now }
      ).run()
      #expect(pruned.result != .announced && pruned.result != .waiting, "hour \(hour)")
      let objects = store.count
      most = max(most, objects)
      let bound = Bound.objects(hour, kept: (2 + 1) * 24 + 1, days: 3)
      #expect(objects <= bound, "hour \(hour): \(objects) objects")
      #expect(
        store.requests(.list) + store.requests(.read) <= 20 + objects / 1000, "hour \(hour)")
      #expect(store.requests(.delete) <= 20, "hour \(hour)")
    }
    print("a week: at most \(most) objects, \(store.names.count) at its end")
    let written = redis.increments.reduce(0) { $0 + $1.bytes.count }
    #expect(written > 0)
    try await checkInstants(store, redis, start)
    try await checkNewest(store, redis)
    try await lastHourOnADirectory(store, &redis, &shipper, clock)
  }

  private func run(
    _ redis: inout VirtualRedis, _ shipper: inout VirtualShipper, _ clock: VirtualClock,
    _ hour: Int
  ) async throws {
    let step = WeekTests.step(hour)
    for second in stride(from: 0, to: WeekTests.hour, by: step) {
      redis.tick(seconds: Int64(step))
      if second == 1800 { redis.beginRewrite() }
      if second == 1830 { redis.finishRewrite() }
      clock.set(redis.now)
      try await shipper.turn(&redis)
    }
  }

  // MARK: Restoring

  /// Checks a few instants of the period that is kept in full, and the last instant of each day before.
  private func checkInstants(_ store: MemoryStore, _ redis: VirtualRedis, _ start: Instant)
    async throws
  {
    var random = SeededRandom(seed: UInt64.random(in: 0 ... .max))
    let since = Retention.fullSince(redis.now, WeekTests.policy)
    var instants = (0..<25).map { _ in
      since.advanced(
        byMilliseconds: Int64.random(in: 0...redis.now.since(since) / 1000, using: &random) * 1000)
    }
    instants += [since, redis.now]
    let midnight = since.milliseconds / RetentionPolicy.day * RetentionPolicy.day
    for day in 0..<Int64(WeekTests.policy.keepDaily) {
      instants.append(Instant(milliseconds: midnight - day * RetentionPolicy.day - 1000))
    }
    for instant in instants {
      let (count, found) = try await VirtualHistory.restored(store, at: instant, now: redis.now)
      #expect(count == redis.count(at: instant), "at \(instant)")
      #expect(found == redis.written[count - 1], "asked for \(instant)")
    }
    // What is not kept is gone. An instant in the middle of the first day gives an earlier state or none.
    let first = start.advanced(byMilliseconds: RetentionPolicy.day / 2)
    let late = try? await VirtualHistory.restored(store, at: first, now: redis.now)
    #expect(late?.instant != first)
  }

  private func checkNewest(_ store: MemoryStore, _ redis: VirtualRedis) async throws {
    store.resetRequests()
    let folder = try TemporaryDirectory("week")
    let data = try folder.makeDirectory("data")
    let count = try await restore(store, into: data, now: redis.now)
    #expect(count == redis.count)
    let reads = store.requests(.read) + store.requests(.list)
    print("a week: \(reads) requests to restore the newest point")
    #expect(reads <= Bound.restoreReads(objects: store.names.count))
    let now = redis.now
    let report = try await Verifier(
      store, options: .init(sample: nil, by: "test"), now: { now }, draw: { 0 },
      progress: { _, _ in }
    ).run()
    #expect(report.isSound, "\(report.text)")
    #expect(report.findings.isEmpty, "\(report.text)")
  }

  /// Restores with the real restorer, to a disk.
  private func restore(_ store: any ObjectStore, into data: String, now: Instant) async throws
    -> Int?
  {
    let outcome = try await Restorer(
      options: Restorer.Options(
        data: FilePath(data), question: .newest(), plan: RestorePlan.Options()),
      store: store, now: { now }, note: { _ in }, progress: { _, _ in }
    ).run()
    guard case .restored(let plan, _) = outcome else { throw HarnessError("\(outcome)") }
    func bytes(_ role: RestorePlan.Role) throws -> [[UInt8]] {
      try plan.files.filter { $0.role == role }.map {
        try TestFiles.read(data + "/" + $0.path)
      }
    }
    return VirtualRedis.count(
      dump: try bytes(.base).first ?? [], logs: try bytes(.increment))
  }

  /// Copies the repository to a directory, and ships another hour to it.
  private func lastHourOnADirectory(
    _ memory: MemoryStore, _ redis: inout VirtualRedis, _ shipper: inout VirtualShipper,
    _ clock: VirtualClock
  ) async throws {
    let folder = try TemporaryDirectory("week")
    let store = DirectoryStore(root: FilePath(try folder.makeDirectory("repository")))
    for (name, bytes) in memory.contents { _ = try await store.create(name, bytes) }
    let repository = try #require(try await Repository.open(store))
    shipper.repository = repository
    try await run(&redis, &shipper, clock, WeekTests.days * 24)
    let now = clock.now
    _ = try await Pruner(
      repository, options: .init(policy: WeekTests.policy, by: "test"), now: { now }
    ).run()
    let count = try await restore(store, into: try folder.makeDirectory("data"), now: now)
    #expect(count == redis.count)
  }
}
