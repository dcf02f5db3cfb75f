import BackupTypes
import TestSupport
import Testing

/// The main job with its repository in Azure Blob Storage, run through the binary.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(20)))
struct AzureMainJobTests {
  private static let test = CrashTests.Case(version: .v7_4, appendOnly: true, fsync: "always")

  @Test func `kill -9 of both: what the container has is whole and in order`() async throws {
    let azure = try FakeAzureServer()
    try await Place.on(azure, environment: AzureDesk(.key, for: azure).environment)
      .survivesKills(Self.test)
  }

  @Test func `kill -9 of both with tokens, on a hierarchical namespace`() async throws {
    let azure = try FakeAzureServer {
      $0.isHierarchical = true
      $0.pageMax = 7
    }
    // Each process gets its own token.
    let desk = try AzureDesk(.workloadIdentity, for: azure, keepsOld: true)
    try await Place.on(azure, environment: desk.environment).survivesKills(
      CrashTests.Case(version: .valkey9_1, appendOnly: false, fsync: "everysec"))
  }

  @Test(arguments: [AzureDesk.Kind.signature, .connectionString])
  func `every command works on a container`(kind: AzureDesk.Kind) async throws {
    let azure = try FakeAzureServer { $0.hasEmptyPages = true }
    let place = try Place.on(azure, environment: AzureDesk(kind, for: azure).environment)
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
    #expect(try await place.run("verify", []).exitCode == 0)
    #expect(try await place.run("doctor", []).exitCode == 0)
    // There is nothing new, so nothing is written.
    try await place.shipOnce()
    #expect(await place.newest() == listed.jsonText("newest"))
    let restored = try await place.restore(into: "restored")
    #expect(
      try TestFiles.read(restored + "/dump.rdb") == TestFiles.read(place.data + "/dump.rdb"))
  }

  /// Like `RoughWayTests` for S3: nothing is sent twice, and nothing that was acknowledged is lost.
  @Test func `on a rough way`() async throws {
    let azure = try FakeAzureServer { $0.fault = RoughWayTests.faults(seed: 4) }
    let desk = try AzureDesk(.metadata, for: azure, lifetimeSeconds: 10)
    let place = try Place.on(azure, environment: desk.environment)
    let redis = try await RedisServer.start(
      Self.test.version, directory: place.data, options: Self.test.options)
    let ship = try place.ship(
      "--ship-interval", "100ms", "--dump-interval", "0", "--shutdown-timeout", "120s")
    let load = try TransactionalLoad.start(on: redis, Self.test.load(4))
    try await eventually(
      deadline: 300, "the load and the shipper meet every fault",
      condition: {
        if let ending = load.ending { throw HarnessError("the load ended: \(ending)") }
        return load.acknowledged >= 1500 && azure.server.requests.count >= 250
      },
      state: {
        "step \(load.acknowledged), \(azure.server.requests.count) requests; \(ship.errorText)"
      })
    azure.server.closeConnections()
    _ = try await load.stop()
    let expected = try await redis.dataset()
    _ = try await redis.shutdown()
    let end = try await ship.terminate(deadline: 150)
    #expect(end.exitCode == 0, "\(end)")
    let sent = try Sent(azure.names)
    #expect(sent.problems.isEmpty, "\(sent.problems)")
    #expect(sent.timelines == 1, "it began anew: \(end.errorText)")
    #expect(azure.repetitions == 0, "an object was made twice")
    let target = try await place.restore(into: "restored", "--retry-for", "120s")
    let again = try await RedisServer.start(
      Self.test.version, directory: target, options: ["appendonly": "yes"])
    let found = try await again.dataset()
    #expect(expected.difference(to: found, limit: 5) == [], "the restored data differs")
  }

  @Test(arguments: AzureDesk.Kind.rotating)
  func `ship goes on through every rotation, and no secret is seen`(
    kind: AzureDesk.Kind
  ) async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(kind, for: azure, lifetimeSeconds: 2)
    let place = try Place.on(azure, environment: desk.environment)
    let redis = try await RedisServer.start(
      Self.test.version, directory: place.data, options: Self.test.options)
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(2)
    let load = try TransactionalLoad.start(on: redis, options)
    let ship = try place.ship("--ship-interval", "200ms", "--json")
    func used() -> Set<String> { Set(azure.server.requests.compactMap { $0["Authorization"] }) }
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
    azure.change { $0.denied = ["list", "read"] }
    let refused = try await place.run("list", ["--json"])
    try refused.expectRefused(["Storage Blob Data Contributor"])
    for text in [end.description, refused.description] {
      #expect(!text.contains("planted") && !text.contains("PRIVATE KEY"), "\(text)")
    }
  }

  /// The first seconds of a pod: the metadata server is not up yet.
  @Test func `no token yet, and then there is one`() async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(.metadata, for: azure)
    let place = try Place.on(azure, environment: desk.environment)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    desk.entra.change { $0.fault = { _ in .hangUp } }
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
    desk.entra.change { $0.fault = { _ in nil } }
    let end = try await restore.wait()
    #expect(end.exitCode == 0 && TestFiles.exists(target + "/dump.rdb"), "\(end)")
  }

  /// Other clients read what Lifeboat wrote, and Lifeboat restores what they write. Each client also checks
  /// the server that the other tests rely on.
  @Test(.enabled(if: AzureClients.areInstalled), arguments: ["sdk", "obstore", "opendal"])
  func `clients that are not ours agree with the tests' own server`(client: String) async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(.key, for: azure)
    let place = try Place.on(azure, environment: desk.environment)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    let said = try await AzureClients.run(client, on: azure, from: "prefix", to: "copy")
    #expect(said.hasPrefix("ok "), "\(said)")
    let copy = try Place(
      repository: place.repository.replacing("container/prefix", with: "container/copy"),
      environment: desk.environment)
    #expect(try await copy.run("verify", []).exitCode == 0)
    let restored = try await copy.restore(into: "restored")
    #expect(
      try TestFiles.read(restored + "/dump.rdb") == TestFiles.read(place.data + "/dump.rdb"))
  }
}
