import BackupTypes
import RepositoryAccess
import TestSupport
import Testing

/// Release 0.1.0 and this one take turns on one volume. Each continues where the other ended, without
/// `--take-over` and without a second full copy.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct UpgradeTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var version: ServerVersion
    /// Whether `--data` is relative to the place's folder.
    var isRelative: Bool
    /// Whether each run is a new pod, after a clean shutdown of the previous one. Otherwise the shippers are
    /// killed.
    var hasPods: Bool
    var beginsOld: Bool
    var testDescription: String { "\(version), \(name)" }

    static let all: [Case] = [
      Case(
        name: "a relative path, killed", version: .v7_0, isRelative: true, hasPods: false,
        beginsOld: true),
      Case(
        name: "an absolute path, pods", version: .v7_0, isRelative: false, hasPods: true,
        beginsOld: true),
      Case(
        name: "a relative path, pods", version: .valkey9_1, isRelative: true, hasPods: true,
        beginsOld: true),
      Case(
        name: "an absolute path, killed", version: .valkey9_1, isRelative: false, hasPods: false,
        beginsOld: false),
    ]
  }

  @Test(arguments: Case.all) func `upgrade and rollback go on`(test: Case) async throws {
    let place = try Place()
    let old = try EarlierRelease.v0_1_0.path
    let binaries = test.beginsOld ? [old, nil, old, nil] : [nil, old, nil, old]
    let redis = try await RedisServer.start(
      test.version, directory: place.data,
      options: ["appendonly": "yes", "appendfsync": "always"])
    let admin = ["--admin-listen", "127.0.0.1:\(try freePorts(1)[0])"]
    for (number, binary) in binaries.enumerated() {
      for index in 1...50 { try redis.command("SET", "key:\(number):\(index)", "value") }
      let ship = try LifeboatCommand.start(
        [
          "ship", "--data", test.isRelative ? "data" : place.data, "--repo", place.repository,
          "--ship-interval", "200ms",
        ] + admin, environment: test.hasPods ? ["POD_UID": "pod-\(number)"] : [:],
        directory: place.folder.path, binary: binary)
      try await eventually(
        deadline: 60, "number \(number) claims", condition: { place.timelines == number + 1 },
        state: { ship.errorText })
      let synced = try await LifeboatCommand.run(["sync", "--wait"] + admin, binary: binary)
      #expect(synced.exitCode == 0, "\(synced)")
      #expect(!ship.errorText.contains("standby"), "\(ship.errorText)")
      if test.hasPods {
        let end = try await ship.terminate()
        #expect(end.exitCode == 0, "\(end)")
      } else {
        ship.kill()
      }
    }
    #expect(place.objects { $0.hasPrefix("generations/") && $0.hasSuffix("/index") } == 1)
    let timelines = try await place.listing().timelines
    #expect(timelines.dropFirst().allSatisfy { $0.fork != nil && $0.suspicion == nil })
    #expect(Set(timelines.map(\.source)).count == 1, "\(timelines.map(\.source))")

    let expected = try await redis.dataset()
    for (name, binary) in [("by-this", nil), ("by-old", old)] {
      let target = try place.folder.makeDirectory(name)
      let restore = try await LifeboatCommand.run(
        ["restore", "--repo", place.repository, "--data", target], binary: binary)
      #expect(restore.exitCode == 0, "\(restore)")
      let again = try await RedisServer.start(
        test.version, directory: target, options: ["appendonly": "yes"])
      #expect(try await again.dataset() == expected, "\(name)")
    }
  }

  /// A CronJob of the old release beside a sidecar of this one. It only deletes what nothing needs.
  @Test(arguments: [ServerVersion.v7_0, .valkey9_1], ["yes", "no"])
  func `an old prune beside a new ship`(version: ServerVersion, preamble: String) async throws {
    let place = try Place()
    let old = try EarlierRelease.v0_1_0.path
    let redis = try await RedisServer.start(
      version, directory: place.data,
      options: ["appendonly": "yes", "appendfsync": "always", "aof-use-rdb-preamble": preamble])
    let ship = try place.ship("--ship-interval", "100ms", "--admin-listen", "off")
    func write(_ round: Int) async throws {
      try redis.fill("round:\(round):", 1...20)
      if round > 0 { try await redis.rewriteAOF() }
      try redis.command("SET", "round", "\(round)")
      let before = await place.newest()
      try await eventually(
        deadline: 60, "round \(round) is shipped",
        condition: {
          try redis.command("INCR", "ticks")
          return await place.newest() != before
        }, state: { ship.errorText })
    }
    for round in 0..<4 { try await write(round) }
    let snapshots = place.objects { $0.contains("/snapshots/") }
    // After forty days, nothing of this is recent.
    let clock = try await SteppedClock(place.folder, seconds: 40 * 86_400)
    let pruned = try await LifeboatCommand.run(
      [
        "prune", "--repo", place.repository, "--keep-within", "0s", "--keep-daily", "0",
        "--confirm",
      ], environment: clock.environment, binary: old)
    #expect(pruned.exitCode == 0, "\(pruned)")
    #expect(place.objects { $0.contains("/snapshots/") } < snapshots, "\(pruned)")
    try await write(4)
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let expected = try await redis.dataset()
    let verified = try await place.run("verify", [])
    #expect(verified.exitCode == 0, "\(verified)")
    for (name, binary) in [("by-this", nil), ("by-old", old)] {
      // 0.1.0 treats an empty BASE as damaged.
      if binary != nil, preamble == "no" { continue }
      let target = try place.folder.makeDirectory(name)
      let restore = try await LifeboatCommand.run(
        ["restore", "--repo", place.repository, "--data", target], binary: binary)
      #expect(restore.exitCode == 0, "\(restore)")
      let again = try await RedisServer.start(
        version, directory: target, options: ["appendonly": "yes"])
      #expect(try await again.dataset() == expected, "\(name)")
    }
  }

  /// A rollback after somebody has set a named pin.
  @Test func `release 0.1.0 restores and prunes a repository with a named pin`() async throws {
    let place = try Place()
    let old = try EarlierRelease.v0_1_0.path
    let redis = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try redis.fill("old:", 1...50)
    try await place.shipOnce()
    let pinned = try await place.run("pin", ["--name", "before-migration", "--for", "90d"])
    #expect(pinned.exitCode == 0, "\(pinned)")
    let before = try await redis.dataset()
    for round in 0..<3 {
      try redis.command("FLUSHALL")
      try redis.fill("round:\(round):", 1...50)
      try await redis.rewriteAOF()
      try await place.shipOnce()
    }
    let clock = try await SteppedClock(place.folder, seconds: 40 * 86_400)
    let pruned = try await LifeboatCommand.run(
      [
        "prune", "--repo", place.repository, "--keep-within", "0s", "--keep-daily", "0",
        "--confirm",
      ], environment: clock.environment, binary: old)
    #expect(pruned.exitCode == 0, "\(pruned)")
    let listed = try await LifeboatCommand.run(
      ["list", "--repo", place.repository], environment: clock.environment, binary: old)
    #expect(listed.exitCode == 0 && listed.outputText.has("n1"), "\(listed)")
    let newest = try await LifeboatCommand.run(
      ["restore", "--repo", place.repository, "--data", try place.folder.makeDirectory("old")],
      binary: old)
    #expect(newest.exitCode == 0, "\(newest)")
    let target = try place.folder.makeDirectory("target")
    let restored = try await LifeboatCommand.run(
      ["restore", "--repo", place.repository, "--data", target, "--point", "before-migration"],
      environment: clock.environment)
    try #require(restored.exitCode == 0, "\(restored)")
    let again = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    #expect(try await again.dataset() == before)
  }

  /// A laptop or a CronJob still has the old release, which knows nothing of links.
  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `release 0.1.0 reads and prunes the repository of a link`(version: ServerVersion)
    async throws
  {
    let place = try LinkPlace(version)
    let old = try EarlierRelease.v0_1_0.path
    let port = try freePorts(1)[0]
    var server = try await place.server(port: port)
    // The second server starts empty, as a timeline of its own.
    for round in 0..<2 {
      let ship = try place.ship(port)
      try server.fill("round:\(round):", 1...50)
      try await place.write(server)
      let end = try await ship.terminate()
      #expect(end.exit == .success, "\(end)")
      guard round == 0 else { break }
      _ = server.kill()
      server = try await place.server(port: port)
    }
    let clock = try await SteppedClock(place.directory, seconds: 40 * 86_400)
    let accepted = try await LifeboatCommand.run(
      ["unpin", "--all", "--repo", place.repository], environment: clock.environment)
    #expect(accepted.exit == .success, "\(accepted)")
    for command in [
      ["list"], ["verify"], ["prune", "--keep-within", "0s", "--keep-daily", "0", "--confirm"],
      ["verify"],
    ] {
      let result = try await LifeboatCommand.run(
        command + ["--repo", place.repository], environment: clock.environment, binary: old)
      #expect(result.exit == .success, "\(command): \(result)")
    }
    let expected = try await server.dataset()
    try await place.expectRestored(expected, "by this release")
    let target = place.fresh("by-old")
    let restored = try await LifeboatCommand.run(
      ["restore", "--repo", place.repository, "--data", target], binary: old)
    try #require(restored.exit == .success, "\(restored)")
    let again = try await RedisServer.start(
      version, directory: target, options: ["appendonly": "yes"])
    #expect(try await again.dataset() == expected)
    // This release continues it.
    _ = try place.ship(port)
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "after the old prune")
    try await place.expectSound()
  }

  @Test func `a relative and an absolute path are one Redis`() async throws {
    let place = try Place()
    func write(_ key: String) throws {
      try TestFiles.append(
        Array("*3\r\n$3\r\nSET\r\n$1\r\n\(key)\r\n$1\r\nv\r\n".utf8),
        to: place.data + "/appendonly.aof")
    }
    try write("a")
    let first = try await LifeboatCommand.run(
      ["ship", "--once", "--repo", place.repository, "--data", "./data"],
      directory: place.folder.path)
    #expect(first.exitCode == 0, "\(first)")
    try write("b")
    let second = try await place.run("ship", ["--once", "--data", place.data])
    #expect(second.exitCode == 0 && place.timelines == 2, "\(second)")
  }
}
