import BackupTypes
import Glibc
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import Shipping
import Synchronization
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// Retention with real servers and real shippers. Whatever was deleted, and whatever was stopped or started
/// meanwhile, what is kept can be loaded.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct PruneTests {
  private static let nothing = RetentionPolicy(keepWithin: 0, keepHourly: 0, keepDaily: 0)

  /// A store clock that can be set ahead.
  private final class Ahead: Sendable {
    private let days = Mutex<Int64>(0)
    func add(days more: Int64) { days.withLock { $0 += more } }
    var now: Instant {
      SystemClock.now().advanced(byMilliseconds: days.withLock { $0 } * RetentionPolicy.day)
    }
  }

  /// Makes a few writes and a rewrite.
  private func rewrite(_ server: RedisServer, _ ship: InProcessShipper, _ round: Int) async throws {
    for key in 0..<20 { try server.command("SET", "key:\(key)", "round \(round)") }
    try await server.rewriteAOF()
    try server.command("SET", "tick", "\(round)")
    try await eventually(
      deadline: 60, "rewrite \(round) is durable", condition: { ship.status.isDurable },
      state: { "\(ship.status)" })
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_0, .valkey9_1])
  func `a running shipper applies the policy, and the newest state loads`(version: ServerVersion)
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    let clock = Ahead()
    let store = MemoryStore(clock: { clock.now })
    let ship = try InProcessShipper(data: place.data, store: store) {
      $0.retention = PruneTests.nothing
      $0.pruneInterval = 200
    }
    for round in 0..<4 { try await rewrite(server, ship, round) }
    #expect(!store.names.contains { $0.hasPrefix("ops/prunes/") }, "all of it is young")
    let before = store.names.filter { $0.hasSuffix("/index") }

    clock.add(days: 10)
    var writes = 0
    func write() throws {
      writes += 1
      try server.command("SET", "write", "\(writes)")
    }
    try await eventually(
      deadline: 60, "the run is announced",
      condition: {
        try write()
        return store.names.contains { $0.hasPrefix("ops/prunes/") }
      }, state: { "\(store.names.filter { $0.hasPrefix("ops/") })" })
    #expect(before.allSatisfy(store.names.contains), "something is gone already")
    clock.add(days: 1)
    let snapshots = store.names.count { $0.contains("/snapshots/") }
    try await eventually(
      deadline: 60, "old restore points are gone",
      condition: {
        try write()
        return store.names.count { $0.contains("/snapshots/") } < snapshots / 2
      }, state: { "\(store.names)" })
    try await eventually(
      deadline: 60, "all is durable", condition: { ship.status.isDurable },
      state: { "\(ship.status)" })
    let expected = try await server.dataset()
    _ = try await server.shutdown()
    _ = try await ship.end()
    try await check(store, place, version, expected, "after")
  }

  /// Restores, loads and compares. Nothing may be missing.
  private func check(
    _ store: any ObjectStore, _ place: Place, _ version: ServerVersion, _ expected: Dataset,
    _ name: String
  ) async throws {
    let target = try place.folder.makeDirectory("restored-\(name)")
    let options = Restorer.Options(
      data: FilePath(target), question: .newest(), plan: RestorePlan.Options())
    _ = try await Restorer(
      options: options, store: store, now: { SystemClock.now() }, note: { _ in },
      progress: { _, _ in }
    ).run()
    let loaded = try await RedisServer.start(
      version, directory: target, options: ["appendonly": "yes", "aof-load-truncated": "no"])
    let found = try await loaded.dataset()
    loaded.kill()
    #expect(expected.difference(to: found, limit: 3) == [], "\(name)")
    let report = try await Verifier(
      store, options: .init(sample: nil, by: "test"), now: { SystemClock.now() }, draw: { 0 },
      progress: { _, _ in }
    ).run()
    #expect(report.isSound, "\(name): \(report.text)")
    TestFiles.remove(target)
  }

  /// Fails every call from the `limit`th deletion on.
  private func stopping(_ store: any ObjectStore, after limit: Int) -> FaultyStore {
    let left = Mutex(limit)
    return FaultyStore(store) { call in
      guard call.operation == .delete else { return .pass }
      let isOver = left.withLock { left in
        left -= 1
        return left < 0
      }
      return isOver ? .fail(FaultyStore.unreachable) : .pass
    }
  }

  private func prune(_ store: any ObjectStore) async throws -> PruneReport {
    guard let repository = try await Repository.open(store) else {
      throw HarnessError("there is no repository")
    }
    return try await Pruner(
      repository, options: .init(policy: PruneTests.nothing, by: "test", isConfirmed: true),
      now: { SystemClock.now().advanced(byMilliseconds: 10 * RetentionPolicy.day) }
    ).run()
  }

  @Test(arguments: [ServerVersion.v7_0, .v8_2])
  func `a shipper that starts again while a run was stopped anywhere re-uses what it needs`(
    version: ServerVersion
  ) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data,
      options: ["appendonly": "yes", "appendfsync": "always", "save": "3600 1"])
    let ship = try InProcessShipper(data: place.data, store: place.store)
    for round in 0..<3 { try await rewrite(server, ship, round) }
    try server.command("SAVE")
    server.kill()
    _ = try await ship.end()

    let done = try place.copy(place.repository, as: "done")
    let report = try await prune(DirectoryStore(root: FilePath(done)))
    #expect(report.result == .pruned)
    let removed = report.objects
    // A command that the shipper has not seen, as if the server had kept running.
    let more = Array("*3\r\n$3\r\nSET\r\n$4\r\nmore\r\n$1\r\n1\r\n".utf8)
    let increment = try #require(TestFiles.tree(place.data).filter { $0.contains(".incr.") }.max())
    func volume(_ name: String) throws -> String {
      let data = try place.copy(place.data, as: name)
      // Appended now, so the dump on the volume is older.
      try TestFiles.append(more, to: data + "/" + increment)
      return data
    }
    let whole = try await RedisServer.start(
      version, directory: try volume("expected"), options: ["appendonly": "yes"])
    let expected = try await whole.dataset()
    whole.kill()
    #expect(expected[0, "more"] != nil)

    for stop in stride(from: 0, through: removed, by: 1 + removed / 6) {
      let repository = try place.copy(place.repository, as: "repository-\(stop)")
      let data = try volume("data-\(stop)")
      let store = DirectoryStore(root: FilePath(repository))
      if stop < removed {
        await #expect(throws: LifeboatError.self, "stopped at \(stop)") {
          _ = try await prune(stopping(store, after: stop))
        }
      } else {
        _ = try await prune(store)
      }
      let names = Set(TestFiles.tree(repository))
      // The copy of the volume is another directory. It takes over, and proves by its content what it has.
      let once = try InProcessShipper(data: data, store: store) {
        $0.isOnce = true
        $0.takesOver = true
      }
      _ = try await once.end()
      let made = Set(TestFiles.tree(repository)).subtracting(names)
      #expect(!made.contains { $0.hasSuffix("/index") }, "a full copy was sent again: \(made)")
      try await check(store, place, version, expected, "\(stop)-started")
      _ = try await prune(store)
      try await check(store, place, version, expected, "\(stop)-ended")
    }
  }

  @Test func `the command says what goes, and what it was not asked to do it does not`()
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      .v8_2, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "a", "1")
    try await place.shipOnce()
    let before = TestFiles.tree(place.repository)
    let dry = try await place.run("prune", ["--dry-run"])
    #expect(dry.exitCode == 0 && dry.outputText.contains("nothing to delete"), "\(dry)")
    let real = try await place.run("prune", ["--json"])
    #expect(real.exitCode == 0 && real.jsonText("result") == "nothing", "\(real)")
    #expect(TestFiles.tree(place.repository) == before)
    for arguments in [["--keep-daily", "-1"], ["--keep-within", "soon"]] {
      let wrong = try await place.run("prune", arguments)
      #expect(wrong.exitCode == 2, "\(wrong)")
    }
    let nowhere = try await LifeboatCommand.run([
      "prune", "--repo", try place.folder.makeDirectory("nothing"),
    ])
    #expect(nowhere.exitCode == 3, "\(nowhere)")
    server.kill()
  }
}
