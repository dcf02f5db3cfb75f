import BackupTypes
import Glibc
import TestSupport
import Testing

/// Broken chains. No restore point contains what was not proved, and the point before the break can still be
/// restored.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct ChainTests {
  private func follow(_ scene: Scene) throws -> RunningCommand {
    try LifeboatCommand.start([
      "ship", "--data", scene.data, "--repo", scene.repository, "--source", "test",
      "--ship-interval", "100ms",
    ])
  }

  /// Waits until a restore of the newest point loads exactly `expected`.
  private func isNewest(
    _ expected: Dataset, _ version: ServerVersion, _ scene: Scene, _ ship: RunningCommand
  ) async throws {
    var last = ""
    try await eventually(
      deadline: 60, "the newest state is restored",
      condition: {
        let target = try scene.folder.makeDirectory("try-\(UInt32.random(in: 0 ... .max))")
        defer { TestFiles.remove(target) }
        let result = try await scene.restore(target, ["--suspect", "newest"])
        last = "\(result)"
        guard result.exitCode == 0 else { return false }
        let found = try await scene.loaded(version, target)
        last += expected.difference(to: found, limit: 3).joined(separator: "\n")
        return found == expected
      }, state: { last + ship.errorText })
  }

  /// The newest restore point, by id.
  private func newest(_ scene: Scene) async throws -> String {
    let list = try await LifeboatCommand.run(["list", "--json", "--repo", scene.repository])
    return try #require(Scene.field("newest", of: list.outputText), "\(list)")
  }

  @Test(arguments: ServerVersion.allCases)
  func `AOF off, writes, AOF on`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    let ship = try follow(scene)
    try server.fill("logged:", 1...20)
    let first = try await server.dataset()
    try await isNewest(first, version, scene, ship)
    let point = try await newest(scene)
    try server.command("CONFIG", "SET", "appendonly", "no")
    try server.fill("unseen:", 1...20)
    try server.command("CONFIG", "SET", "appendonly", "yes")
    try server.fill("again:", 1...20)
    try await isNewest(try await server.dataset(), version, scene, ship)
    server.kill()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let before = try await scene.restored("before", "--point", point)
    #expect(try await scene.loaded(version, before) == first)
  }

  @Test(arguments: ServerVersion.allCases)
  func `two rewrites between two looks`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    let ship = try follow(scene)
    try server.fill("first:", 1...20)
    let first = try await server.dataset()
    try await isNewest(first, version, scene, ship)
    let point = try await newest(scene)
    ship.signal(SIGSTOP)
    for round in 1...2 {
      try server.fill("stopped-\(round):", 1...20)
      try await server.rewriteAOF()
    }
    try server.fill("last:", 1...20)
    ship.signal(SIGCONT)
    try await isNewest(try await server.dataset(), version, scene, ship)
    server.kill()
    #expect(try await ship.terminate().exitCode == 0)
    let before = try await scene.restored("before", "--point", point)
    #expect(try await scene.loaded(version, before) == first)
  }

  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func `an INCR's name used again after its directory was removed`(version: ServerVersion)
    async throws
  {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    let ship = try follow(scene)
    try server.fill("first:", 1...20)
    let first = try await server.dataset()
    try await isNewest(first, version, scene, ship)
    let point = try await newest(scene)
    server.kill()
    TestFiles.remove(scene.data + "/appendonlydir")
    try await nextSecond()
    let next = try await scene.server(version, ["appendonly": "yes"])
    try next.fill("second:", 1...40)
    try await isNewest(try await next.dataset(), version, scene, ship)
    next.kill()
    #expect(try await ship.terminate().exitCode == 0)
    let before = try await scene.restored("before", "--point", point)
    #expect(try await scene.loaded(version, before) == first)
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `a log cut and continued differently`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    try server.fill("first:", 1...20)
    let first = try await server.dataset()
    try await scene.ship()
    let point = try await newest(scene)
    try server.fill("old:", 1...20)
    let old = try await server.dataset()
    server.kill()
    try await scene.ship()
    let target = try await scene.restored("target", "--point", point)
    let next = try await scene.server(version, on: target, ["appendonly": "yes"])
    // As long as the other branch, so that they only differ in their bytes.
    try next.fill("new:", 1...20)
    let new = try await next.dataset()
    next.kill()
    try await scene.ship(target)
    #expect(try await scene.loaded(version, try await scene.restored("newest")) == new)
    let branch = try await scene.restored("branch", "--timeline", "2")
    #expect(try await scene.loaded(version, branch) == old)
    let before = try await scene.restored("before", "--point", point)
    #expect(try await scene.loaded(version, before) == first)
  }

  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func `the directory of a 6.2 started by a newer server`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(.v6_2, ["appendonly": "yes"])
    try server.fill("six:", 1...20)
    try await server.rewriteAOF()
    try server.fill("log:", 1...20)
    let six = try await server.dataset()
    server.kill()
    let ship = try follow(scene)
    try await isNewest(six, .v6_2, scene, ship)
    let point = try await newest(scene)
    let next = try await scene.server(version, ["appendonly": "yes"])
    try next.fill("new:", 1...20)
    try await isNewest(try await next.dataset(), version, scene, ship)
    next.kill()
    #expect(try await ship.terminate().exitCode == 0)
    let before = try await scene.restored("before", "--point", point)
    #expect(try await scene.loaded(.v6_2, before) == six)
  }

  @Test(arguments: ServerVersion.allCases)
  func `a replica's full sync`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    let ship = try follow(scene)
    try server.fill("own:", 1...20)
    let own = try await server.dataset()
    try await isNewest(own, version, scene, ship)
    let point = try await newest(scene)
    let port = "\(Int.random(in: 21_000...29_000))"
    let primary = try await scene.server(
      version, on: try scene.folder.makeDirectory("primary"),
      ["port": port, "repl-diskless-sync": "no"])
    try primary.fill("synced:", 1...40)
    try server.command("REPLICAOF", "127.0.0.1", port)
    try await eventually(
      deadline: 60, "the sync", condition: { try server.info("master_link_status") == "up" },
      state: { server.log })
    try primary.fill("streamed:", 1...20)
    try await eventually(deadline: 60, "the stream") {
      try server.command("GET", "streamed:20") != .null
    }
    let synced = try await primary.dataset()
    try await isNewest(synced, version, scene, ship)
    server.kill()
    primary.kill()
    #expect(try await ship.terminate().exitCode == 0)
    let before = try await scene.restored("before", "--point", point)
    #expect(try await scene.loaded(version, before) == own)
  }
}
