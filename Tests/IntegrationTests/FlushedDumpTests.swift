import BackupTypes
import TestSupport
import Testing

/// FLUSHALL saves an empty dump before the log has the command. A restore to before FLUSHALL must not put
/// this dump beside the log, because a server with `appendonly no` would start empty.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct FlushedDumpTests {
  /// What the restore uses instead of the dump of FLUSHALL.
  enum Copy: String, CaseIterable { case dump, base, none }

  @Test(
    arguments: [
      (.v7_4, .base), (.v8_2, .dump), (.v8_2, .none), (.valkey9_1, .base),
    ] as [(ServerVersion, Copy)])
  func `before FLUSHALL there is no empty dump`(version: ServerVersion, copy: Copy) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data,
      options: [
        "appendonly": "yes", "appendfsync": "always", "aof-timestamp-enabled": "yes",
        "save": "3600 1000000",
      ])
    defer { server.kill() }
    let ship = try place.ship(
      "--ship-interval", "100ms", "--dump-interval", "0s", "--admin-listen", "off")
    try server.fill("first:", 1...30)
    if copy == .base { try await server.rewriteAOF() }
    if copy == .dump { try await server.save() }
    try await settled(place, ship, dumps: copy == .dump ? 1 : 0)
    try await nextSecond()
    try server.fill("second:", 1...30)
    try await settled(place, ship, dumps: copy == .dump ? 1 : 0)
    let expected = try await server.dataset()
    try await nextSecond()
    // The dump of FLUSHALL exists for a while before the log has the command.
    let script = "redis.call('FLUSHALL') local x = 0 for i = 1, 5e7 do x = x + i end return x"
    try server.command("EVAL", script, "0")
    try server.fill("after:", 1...3)
    try await settled(place, ship, dumps: copy == .dump ? 2 : 1)
    server.kill()
    _ = try await ship.terminate()

    let target = try place.folder.makeDirectory("target")
    let result = try await place.run("restore", ["--data", target, "--before", "FLUSHALL"])
    #expect(result.exitCode == 0, "\(result)")
    for setting in ["yes", "no"] {
      let loads = try place.copy(target, as: "loads-\(setting)")
      let restored = try await RedisServer.start(
        version, directory: loads, options: ["appendonly": setting])
      defer { restored.kill() }
      let found = try await restored.dataset()
      if setting == "yes" {
        #expect(expected.difference(to: found, limit: 3) == [], "\(result)")
      } else if copy == .none {
        #expect(found.isEmpty)
        #expect(
          result.outputText.contains("a server with `appendonly no` would start EMPTY"),
          "\(result)")
      } else {
        #expect(found.keyCount == 30, "\(found.keyCount) keys: \(result)")
      }
    }
  }

  /// Waits until the repository has all of the log and this many dumps.
  private func settled(_ place: Place, _ ship: RunningCommand, dumps: Int) async throws {
    try await eventually(
      deadline: 60, "all is durable",
      condition: {
        guard await place.newest() != nil else { return false }
        let generations = place.objects { $0.hasPrefix("generations/") && $0.hasSuffix("/index") }
        let bases = TestFiles.tree(place.data).count { $0.contains(".base.") }
        let bytes = try place.bytesOfAOF()
        return generations >= dumps + bases && place.bytesOfLog() >= bytes
      }, state: { ship.errorText })
  }
}
