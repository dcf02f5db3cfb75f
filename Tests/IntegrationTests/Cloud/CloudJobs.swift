import BackupTypes
import TestSupport
import Testing

/// The parts of the main job that are the same on the tests' own stores, run through the binary.
extension Place {
  static let cloudJob = CrashTests.Case(version: .v7_4, appendOnly: true, fsync: "always")

  /// From the first boot, without a backup, to a restore.
  func everyCommandWorks() async throws {
    let target = try folder.makeDirectory("target")
    let boot = try await run(
      "restore", ["--data", target, "--if-empty", "--if-backup-exists", "--json"])
    #expect(boot.exitCode == 0 && boot.jsonText("result") == "no-backup", "\(boot)")
    #expect(try await run("list", []).exit == .noBackup)

    try Volume.writeDump(in: data)
    try await shipOnce()
    let listed = try await run("list", ["--json"])
    #expect(listed.exitCode == 0 && listed.jsonText("newest") != nil, "\(listed)")
    #expect(try await run("inspect", []).exitCode == 0)
    #expect(try await run("verify", []).exitCode == 0)
    // There is nothing new, so nothing is written.
    try await shipOnce()
    #expect(await newest() == listed.jsonText("newest"))
    let restored = try await restore(into: "restored")
    #expect(try TestFiles.read(restored + "/dump.rdb") == TestFiles.read(data + "/dump.rdb"))
  }

  /// A bad network to the store, while the load of the crash tests runs. Nothing is sent twice, and a restore
  /// over the same network gives what the server acknowledged.
  ///
  /// - Parameter server: disturbs requests as `RoughWayTests.faults` decides.
  /// - Returns: the end of the shipper.
  @discardableResult func survivesRoughWay(
    on server: some TestStoreServer, _ test: CrashTests.Case = cloudJob, seed: UInt64
  ) async throws -> CommandResult {
    var options = test.options
    options["save"] = "3600 1"
    let redis = try await RedisServer.start(test.version, directory: data, options: options)
    let ship = try ship(
      "--ship-interval", "100ms", "--dump-interval", "0", "--shutdown-timeout", "120s")
    let load = try TransactionalLoad.start(on: redis, test.load(seed))
    // Until hundreds of requests have failed in all ways.
    try await eventually(
      deadline: 300 + Double(Soak.seconds(0)), "the load and the shipper meet every fault",
      condition: {
        if let ending = load.ending { throw HarnessError("the load ended: \(ending)") }
        return load.acknowledged >= 1500
          && server.server.requests.count >= Soak.seconds(0) * 10 + 250
      },
      state: {
        "step \(load.acknowledged), \(server.server.requests.count) requests; \(ship.errorText)"
      })
    server.server.closeConnections()
    _ = try await load.stop()
    let expected = try await redis.dataset()
    _ = try await redis.shutdown()
    let end = try await ship.terminate(deadline: 150)
    #expect(end.exitCode == 0, "\(end)")

    let sent = try Sent(server.names)
    #expect(sent.problems.isEmpty, "\(sent.problems)")
    #expect(sent.timelines == 1, "it began anew: \(end.errorText)")
    #expect(server.repetitions == 0, "an object was stored twice")

    let target = try await restore(into: "restored", "--retry-for", "120s")
    let again = try await RedisServer.start(
      test.version, directory: target, options: ["appendonly": test.appendOnly ? "yes" : "no"])
    let found = try await again.dataset()
    #expect(expected.difference(to: found, limit: 5) == [], "the restored data differs")
    return end
  }

  /// Ships while the credentials rotate, until four were used. A rotation is no outage, and no secret is
  /// seen.
  ///
  /// - Parameters:
  ///   - server: issues short-lived credentials. All secrets of this place contain "planted".
  ///   - deny: makes the store refuse to list and read, since secrets leak in errors.
  ///   - role: the role that the remedy names.
  func shipsThroughRotations(
    on server: some TestStoreServer, deny: () -> Void, role: String
  ) async throws {
    let redis = try await RedisServer.start(
      Self.cloudJob.version, directory: data, options: Self.cloudJob.options)
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(2)
    let load = try TransactionalLoad.start(on: redis, options)
    let ship = try ship("--ship-interval", "200ms", "--json")
    func used() -> Set<String> { Set(server.server.requests.compactMap { $0["Authorization"] }) }
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
    let step = try await restoredStep(Self.cloudJob, load, into: "restored")
    #expect(step == load.acknowledged)

    deny()
    let refused = try await run("list", ["--json"])
    try refused.expectRefused([role])
    for text in [end.description, refused.description] {
      #expect(!text.contains("planted") && !text.contains("PRIVATE KEY"), "\(text)")
    }
  }

  /// The first seconds of a pod: the metadata server is not up yet.
  ///
  /// - Parameter setUp: lets the metadata server answer or not.
  func waitsForItsFirstToken(_ setUp: (Bool) -> Void) async throws {
    try Volume.writeDump(in: data)
    try await shipOnce()
    setUp(false)
    let target = try folder.makeDirectory("target")
    let restore = try LifeboatCommand.start(
      [
        "restore", "--if-empty", "--if-backup-exists", "--retry-for", "120s", "--data", target,
        "--repo", repository,
      ], environment: environment)
    try await eventually(
      deadline: 60, "it waits",
      condition: { restore.errorText.contains("the store is unavailable; retrying") },
      state: { restore.errorText })
    setUp(true)
    let end = try await restore.wait()
    #expect(end.exitCode == 0 && TestFiles.exists(target + "/dump.rdb"), "\(end)")
  }
}
