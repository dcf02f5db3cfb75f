import BackupTypes
import FoundationEssentials
import TestSupport
import Testing

/// Files of servers that can't be installed here. Each is shipped and restored byte for byte. If an installed
/// server can load it, that server has the dataset of the one that wrote it.
@Suite(
  .timed, .enabled(if: !ServerVersion.isQuickRun),
  .enabled(if: ServerFixtures.exist, "no fixtures beside the checkout"), .timeLimit(.minutes(10)))
struct ServerFixtureTests {
  private struct Expected: Decodable {
    var isBroken: Bool?
    var debugDigest: String?
    var loadableBy: [String: String]?

    /// The server that loads the files. Files that need an option or cluster mode are left out: they have no
    /// digest, or their entry is more than `yes`.
    var server: ServerVersion? {
      guard debugDigest != nil else { return nil }
      return [("redis-8.2", ServerVersion.v8_2), ("valkey-9.1", .valkey9_1)].first { name, _ in
        loadableBy?[name]?.hasPrefix("yes") == true
      }?.1
    }
  }

  private static let atOnce = 6

  @Test func `each is shipped, restored to the byte, and loads where a server for it is here`()
    async throws
  {
    let folder = try TemporaryDirectory("fixtures")
    let loaded = try await withThrowingTaskGroup(of: Bool.self) { group in
      var loaded = 0
      for (number, fixture) in ServerFixtures.all.enumerated() {
        if number >= Self.atOnce, try await group.next() == true { loaded += 1 }
        group.addTask { try await check(fixture.name, fixture.folder, folder) }
      }
      for try await one in group where one { loaded += 1 }
      return loaded
    }
    print("fixtures: \(loaded) of \(ServerFixtures.all.count) were loaded by a server")
    #expect(loaded >= 6)
  }

  /// Returns whether a server loaded it.
  private func check(_ name: String, _ place: String, _ folder: TemporaryDirectory) async throws
    -> Bool
  {
    let expected = try JSONDecoder().decode(
      Expected.self, from: Data(TestFiles.read(place + "/expected.json")))
    if expected.isBroken == true { return false }
    let (data, target) = (folder(name), folder(name + "-restored"))
    try TestFiles.copyTree(place + "/data", to: data)
    let shipped = try await LifeboatCommand.run(
      ["ship", "--once", "--data", data, "--repo", folder(name + "-repo"), "--source", "test"])
    #expect(shipped.exitCode == 0, "\(name): \(shipped)")
    guard shipped.exitCode == 0 else { return false }
    let restored = try await LifeboatCommand.run(
      ["restore", "--data", target, "--repo", folder(name + "-repo")])
    // An empty server has nothing to restore.
    if name.contains("-empty-") {
      #expect(restored.exit == .noBackup, "\(name): \(restored)")
      return false
    }
    #expect(restored.exitCode == 0, "\(name): \(restored)")
    let (before, after) = (try contents(data), try contents(target))
    for (file, bytes) in before where !file.hasSuffix(".manifest") && file != "nodes.conf" {
      #expect(after[file] == bytes, "\(name): \(file)")
    }
    guard let server = expected.server else { return false }
    try await load(server, target, isAOF: before["dump.rdb"] == nil, expected, name)
    return true
  }

  /// `nodes.conf` beside the dump, or hash slots in it.
  @Test
  func `a node of a cluster is told of where it is shipped, restored, inspected and diagnosed`()
    async throws
  {
    let folder = try TemporaryDirectory("cluster")
    let place = ServerFixtures.path + "/redis84-cluster/data"
    let (data, repository) = (folder("data"), folder("repo"))
    try TestFiles.copyTree(place, to: data)
    func run(_ arguments: String...) async throws -> CommandResult {
      try await LifeboatCommand.run(arguments)
    }
    let shipped = try await run("ship", "--once", "--data", data, "--repo", repository)
    #expect(
      shipped.exitCode == 0 && shipped.errorText.has("nodes.conf: this is a cluster node"),
      "\(shipped)")
    let inspected = try await run("inspect", "--data", data)
    #expect(inspected.outputText.has("cluster: nodes.conf exists"), "\(inspected)")
    let doctor = try await run("doctor", "--data", data, "--repo", repository)
    #expect(doctor.outputText.has("nodes.conf: this is a cluster node"), "\(doctor)")
    let new = try await run("restore", "--data", folder("new"), "--repo", repository)
    #expect(new.exitCode == 0 && new.outputText.has("CLUSTER ADDSLOTS"), "\(new)")
    #expect(!TestFiles.exists(folder("new") + "/nodes.conf"))
    let kept = try folder.makeDirectory("kept")
    try TestFiles.write("node", to: kept + "/nodes-7000.conf")
    let over = try await run("restore", "--data", kept, "--repo", repository)
    #expect(
      over.exitCode == 0 && over.outputText.has("nodes-7000.conf exists and is not changed"),
      "\(over)")
    #expect(try TestFiles.text(kept + "/nodes-7000.conf") == "node")
  }

  /// Such servers can't be installed here, so their files are put into one directory, one after the other.
  @Test(arguments: ["dump", "aof"])
  func `an upgrade from Redis 8.4 to 8.8 is not suspect, and both states are restored`(form: String)
    async throws
  {
    let folder = try TemporaryDirectory("upgrade")
    let (data, repository) = (try folder.makeDirectory("data"), folder("repo"))
    var states: [[String: [UInt8]]] = []
    for version in ["redis84", "redis88"] {
      for name in TestFiles.list(data) { TestFiles.remove(data + "/" + name) }
      try TestFiles.copyTree("\(ServerFixtures.path)/\(version)-\(form)/data", to: data)
      let shipped = try await LifeboatCommand.run(
        ["ship", "--once", "--data", data, "--repo", repository, "--source", "test"])
      #expect(shipped.exitCode == 0, "\(version): \(shipped)")
      states.append(try contents(data).filter { !$0.key.hasSuffix(".manifest") })
    }
    let listed = try await LifeboatCommand.run(["list", "--repo", repository])
    #expect(listed.exitCode == 0 && !listed.outputText.has("accident"), "\(listed)")
    for (number, timeline) in [nil, "1"].enumerated() {
      let target = folder("restored-\(number)")
      let restored = try await LifeboatCommand.run(
        ["restore", "--data", target, "--repo", repository]
          + (timeline.map { ["--timeline", $0] } ?? []))
      #expect(restored.exitCode == 0, "\(restored)")
      let after = try contents(target)
      for (file, bytes) in states[timeline == nil ? 1 : 0] {
        #expect(after[file] == bytes, "\(file) of \(timeline ?? "the newest")")
      }
    }
  }

  private func load(
    _ version: ServerVersion, _ directory: String, isAOF: Bool, _ expected: Expected, _ name: String
  ) async throws {
    var options = ["appendonly": isAOF ? "yes" : "no"]
    // Valkey 9.1 only loads files of Valkey 9.2 with this option.
    if version == .valkey9_1, name.hasPrefix("valkey92") {
      options["rdb-version-check"] = "relaxed"
    }
    let server = try await RedisServer.start(version, directory: directory, options: options)
    defer { server.kill() }
    let digest = try server.command("DEBUG", "DIGEST").string
    #expect(digest == expected.debugDigest, "\(name) in \(version)")
  }
}
