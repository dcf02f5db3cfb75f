import BackupTypes
import TestSupport
import Testing

/// The main job with its repository in Google Cloud Storage, run through the binary.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(20)))
struct GoogleMainJobTests {
  private static let test = CrashTests.Case(version: .v7_4, appendOnly: true, fsync: "always")

  @Test func `kill -9 of both on fake-gcs-server: what the bucket has is whole and in order`()
    async throws
  {
    try await Place.onFakeGCS().survivesKills(Self.test)
  }

  @Test func `kill -9 of both on a store that checks tokens and checksums`() async throws {
    let gcs = try FakeGCSServer()
    let google = try GoogleServer { setup in
      // Each process gets its own token.
      setup.issued = { token in gcs.change { $0.tokens.insert(token) } }
    }
    try await Place.on(gcs, environment: GoogleKeys.metadata(google)).survivesKills(
      CrashTests.Case(version: .valkey9_1, appendOnly: false, fsync: "everysec"))
  }

  @Test func `every command works on a bucket`() async throws {
    let place = try await Place.onFakeGCS()
    let target = try place.folder.makeDirectory("target")
    let boot = try await place.run(
      "restore", ["--data", target, "--if-empty", "--if-backup-exists", "--json"])
    #expect(boot.exitCode == 0 && boot.jsonText("result") == "no-backup", "\(boot)")
    #expect(try await place.run("list", []).exit == .noBackup)

    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    let listed = try await place.run("list", ["--json"])
    #expect(listed.exitCode == 0 && listed.jsonText("newest") != nil, "\(listed)")
    #expect(try await place.run("inspect", []).exitCode == 0)
    // There is nothing new, so nothing is written.
    try await place.shipOnce()
    #expect(await place.newest() == listed.jsonText("newest"))
    let restored = try await place.restore(into: "restored")
    #expect(
      try TestFiles.read(restored + "/dump.rdb") == TestFiles.read(place.data + "/dump.rdb"))
  }

  /// Like `RoughWayTests` for S3: nothing is sent twice, and nothing that was acknowledged is lost.
  @Test func `on a rough way`() async throws {
    let gcs = try FakeGCSServer { $0.fault = RoughWayTests.faults(seed: 4) }
    let desk = try GoogleDesk(.metadata, for: gcs, lifetimeSeconds: 10)
    let place = try Place.on(gcs, environment: desk.environment)
    let redis = try await RedisServer.start(
      Self.test.version, directory: place.data, options: Self.test.options)
    let ship = try place.ship(
      "--ship-interval", "100ms", "--dump-interval", "0", "--shutdown-timeout", "120s")
    let load = try TransactionalLoad.start(on: redis, Self.test.load(4))
    try await eventually(
      deadline: 300, "the load and the shipper meet every fault",
      condition: {
        if let ending = load.ending { throw HarnessError("the load ended: \(ending)") }
        return load.acknowledged >= 1500 && gcs.server.requests.count >= 250
      },
      state: {
        "step \(load.acknowledged), \(gcs.server.requests.count) requests; \(ship.errorText)"
      })
    gcs.server.closeConnections()
    _ = try await load.stop()
    let expected = try await redis.dataset()
    _ = try await redis.shutdown()
    let end = try await ship.terminate(deadline: 150)
    #expect(end.exitCode == 0, "\(end)")
    let sent = try Sent(gcs.names)
    #expect(sent.problems.isEmpty, "\(sent.problems)")
    #expect(sent.timelines == 1, "it began anew: \(end.errorText)")
    #expect(gcs.repetitions == 0, "an object was made twice")
    let target = try await place.restore(into: "restored", "--retry-for", "120s")
    let again = try await RedisServer.start(
      Self.test.version, directory: target, options: ["appendonly": "yes"])
    let found = try await again.dataset()
    #expect(expected.difference(to: found, limit: 5) == [], "the restored data differs")
  }

  @Test(arguments: GoogleDesk.Kind.allCases)
  func `ship goes on through every rotation, and no secret is seen`(
    kind: GoogleDesk.Kind
  ) async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(kind, for: gcs, lifetimeSeconds: 3)
    let place = try Place.on(gcs, environment: desk.environment)
    let redis = try await RedisServer.start(
      Self.test.version, directory: place.data, options: Self.test.options)
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(2)
    let load = try TransactionalLoad.start(on: redis, options)
    let ship = try place.ship("--ship-interval", "200ms", "--json")
    func used() -> Set<String> { Set(gcs.server.requests.compactMap { $0["Authorization"] }) }
    try await eventually(
      deadline: 120, "four tokens were used",
      condition: {
        if let end = ship.end { throw HarnessError("ship ended (\(end)): \(ship.errorText)") }
        return used().count >= 4
      }, state: { "\(used()); \(ship.errorText)" })
    _ = try await load.stop()
    _ = try await redis.shutdown()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    #expect(end.count("the store is unavailable") == 0, "a rotation is no outage: \(end)")
    let step = try await place.restoredStep(Self.test, load, into: "restored")
    #expect(step == load.acknowledged)

    // Secrets leak in errors.
    gcs.change { $0.denied = ["storage.objects.list", "storage.objects.get"] }
    let refused = try await place.run("list", ["--json"])
    try refused.expectRefused(["roles/storage.objectUser"])
    for text in [end.description, refused.description] {
      #expect(!text.contains("planted") && !text.contains("PRIVATE KEY"), "\(text)")
    }
  }

  /// The first seconds of a pod: the metadata server is not up yet.
  @Test func `no token yet, and then there is one`() async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(.metadata, for: gcs)
    let place = try Place.on(gcs, environment: desk.environment)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    desk.google.change { $0.fault = { _ in .hangUp } }
    let target = try place.folder.makeDirectory("target")
    let restore = try LifeboatCommand.start(
      [
        "restore", "--if-empty", "--if-backup-exists", "--retry-for", "120s", "--data", target,
        "--repo", place.repository,
      ], environment: place.environment)
    try await eventually(
      deadline: 60, "it waits",
      condition: { restore.errorText.contains("the store is unavailable; retrying") },
      state: { restore.errorText })
    desk.google.change { $0.fault = { _ in nil } }
    let end = try await restore.wait()
    #expect(end.exitCode == 0 && TestFiles.exists(target + "/dump.rdb"), "\(end)")
  }
}
