import TestSupport
import Testing

/// Somebody has restored an earlier state, and Redis has not written yet. The next empty volume is filled
/// with that state, and not with the one that was abandoned.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct ReturnTests {
  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `a restore that named its state is the newest restore point before the first write`(
    version: ServerVersion
  ) async throws {
    let place = try Place()
    let options = ["appendonly": "yes", "appendfsync": "always"]
    let server = try await RedisServer.start(version, directory: place.data, options: options)
    for index in 1...20 { try server.command("SET", "key:\(index)", "value") }
    let before = try await server.dataset()
    try server.command("FLUSHALL")
    _ = try await server.shutdown()
    try await place.shipOnce("--source", "redis")
    let returned = try await place.restore(into: "returned", "--before", "FLUSHALL")

    let ship = try LifeboatCommand.start([
      "ship", "--data", returned, "--repo", place.repository, "--admin-listen", "off", "--source",
      "redis",
    ])
    try await eventually(
      "a timeline that goes on from the state before",
      condition: { await place.newest()?.hasPrefix("2.") == true },
      state: { ship.errorText })
    #expect(!ship.errorText.contains("may be an accident"), "\(ship.errorText)")
    _ = try await ship.terminate()
    let refilled = try await place.restore(into: "refilled")
    let started = try await RedisServer.start(version, directory: refilled, options: options)
    #expect(try await before.difference(to: started.dataset(), limit: 5) == [])
    started.kill()

    // This happens once. A restart does not change anything.
    let again = try await LifeboatCommand.run([
      "ship", "--once", "--data", returned, "--repo", place.repository, "--source", "redis",
    ])
    #expect(again.exitCode == 0, "\(again)")
    #expect(place.timelines == 2)
  }

  /// A restore of the newest state, as by an init container, does not fence anybody.
  @Test func `a restore that named nothing claims nothing before the first write`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    _ = try await server.shutdown()
    try await place.shipOnce()
    let restored = try await place.restore(into: "restored")
    let again = try await LifeboatCommand.run([
      "ship", "--once", "--data", restored, "--repo", place.repository,
    ])
    #expect(again.exitCode == 0, "\(again)")
    #expect(place.timelines == 1)
  }
}
