import BackupTypes
import TestSupport
import Testing

/// `verify` through the binary, on data of real servers.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct VerifyTests {
  private func verify(_ scene: Scene, _ arguments: String...) async throws -> CommandResult {
    try await LifeboatCommand.run(["verify", "--repo", scene.repository] + arguments)
  }

  /// A repository with two timelines: an AOF with a rewrite, and a dump.
  private func backup(_ version: ServerVersion) async throws -> Scene {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    defer { server.kill() }
    try server.fill("one:", 1...200, bytes: 500)
    try await server.save()
    try await scene.ship()
    try server.fill("two:", 1...50)
    try await server.rewriteAOF()
    try server.fill("three:", 1...50)
    try await scene.ship()
    return scene
  }

  @Test(arguments: ServerVersion.available)
  func `what was shipped is sound, whole and as a sample`(version: ServerVersion) async throws {
    let scene = try await backup(version)
    let before = try contents(scene.repository)
    let result = try await verify(scene, "--json")
    #expect(result.exitCode == 0, "\(result)")
    #expect(!result.outputText.has("\"verdict\""), "there are findings: \(result)")
    let sample = try await verify(scene, "--sample", "20%")
    #expect(sample.exitCode == 0, "\(sample)")
    #expect(try contents(scene.repository) == before, "a sound repository was written to")
  }

  /// Only the snapshot that was written after the end of a log refers to it.
  @Test(arguments: [ServerVersion.v6_2, .v7_4])
  func `the end of a log that was lost is missed, by verify and by a restore`(
    version: ServerVersion
  ) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    defer { server.kill() }
    try server.fill("one:", 1...20)
    try await scene.ship()
    try server.fill("two:", 1...20)
    try await scene.ship()
    let log = TestFiles.tree(scene.repository).filter { $0.contains("/log/") }.sorted()
    let last = try #require(log.last)
    TestFiles.remove(scene.repository + "/" + last)

    let found = try await verify(scene)
    #expect(found.exit == .corrupt, "\(found)")
    #expect(found.outputText.has("the log has a hole at offset "), "\(found)")
    let target = try scene.folder.makeDirectory("restored")
    let restored = try await LifeboatCommand.run([
      "restore", "--repo", scene.repository, "--data", target,
    ])
    #expect(restored.exitCode == 0, "\(restored)")
    #expect(restored.outputText.has("warning: the log after this state is lost"), "\(restored)")
  }

  @Test func `beside a shipper that folds, nothing is found`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    defer { server.kill() }
    let ship = try LifeboatCommand.start([
      "ship", "--data", scene.data, "--repo", scene.repository, "--ship-interval", "50ms",
      "--fold-grace", "0s",
    ])
    defer { _ = ship.kill() }
    for round in 1...40 {
      try server.fill("round:\(round):", 1...20)
      // Objects are added and deleted while this reads.
      let result = try await verify(scene)
      let isNone = result.exit == .noBackup || result.exit == .storeUnavailable
      #expect(result.exitCode == 0 || (round < 5 && isNone), "round \(round): \(result)")
    }
  }

  @Test func `a damaged piece is named, quarantined, and shipped again while its source is there`()
    async throws
  {
    let scene = try await backup(.v7_4)
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    let expected = try await server.dataset()
    server.kill()
    let needed = try #require(
      TestFiles.tree(scene.repository).filter {
        $0.hasPrefix("generations/") && !$0.hasSuffix("/index")
      }.sorted { one, other in
        // The newest BASE is the one that was written last.
        try! TestFiles.size(scene.repository + "/" + one)
          < TestFiles.size(scene.repository + "/" + other)
      }.last)
    let path = scene.repository + "/" + needed
    try flipBit(path, at: try TestFiles.size(path) - 1)
    let found = try await verify(scene)
    #expect(found.exit == .corrupt && found.outputText.has(needed), "\(found)")
    #expect(found.outputText.has("quarantined"), "\(found)")
    #expect(TestFiles.tree(scene.repository).contains { $0.hasPrefix("ops/quarantines/") })
    try await scene.ship()
    let target = try await scene.restored("again")
    #expect(try await scene.loaded(.v7_4, target) == expected)
    let listed = try await scene.list()
    #expect(listed.outputText.has("Found damaged"), "\(listed)")
  }

  @Test func `a running shipper takes a quarantine up with its next snapshot`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    defer { server.kill() }
    try server.fill("one:", 1...200, bytes: 500)
    try await server.rewriteAOF()
    let ship = try LifeboatCommand.start([
      "ship", "--data", scene.data, "--repo", scene.repository, "--ship-interval", "50ms",
      "--dump-interval", "0",
    ])
    defer { _ = ship.kill() }
    try await eventually(
      deadline: 60, "a restore point",
      condition: { try await scene.list().outputText.has("@") }, state: { ship.errorText })
    try server.fill("two:", 1...5)
    let pieces = TestFiles.tree(scene.repository).filter {
      $0.hasPrefix("generations/") && !$0.hasSuffix("/index")
    }
    for piece in pieces {
      let path = scene.repository + "/" + piece
      try flipBit(path, at: try TestFiles.size(path) - 1)
    }
    let found = try await verify(scene)
    #expect(found.exit == .corrupt, "\(found)")
    // A dump makes a snapshot.
    try await server.save()
    try await eventually(
      deadline: 60, "it is shipped again",
      condition: {
        let target = try scene.folder.makeDirectory("try-\(UInt32.random(in: 0 ... .max))")
        defer { TestFiles.remove(target) }
        return try await scene.restore(target).exitCode == 0
      }, state: { ship.errorText })
  }

  @Test func `list, inspect and verify need no more than to read`() async throws {
    let scene = try await backup(.v7_4)
    let readOnly = try await LifeboatCommand.run(
      ["verify", "--repo", "file://" + scene.repository, "--report", scene.folder("report.json")])
    #expect(readOnly.exitCode == 0, "\(readOnly)")
    #expect(try TestFiles.text(scene.folder("report.json")).has("\"isSound\" : true"))
  }
}
