import BackupTypes
import TestSupport
import Testing

/// Credentials that may only list, read and create, as in `deploy/iam`, and clocks that differ. Neither
/// counts as an outage.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct AppendOnlyTests {
  private static let options = ["appendonly": "yes", "appendfsync": "always"]

  @Test(arguments: [true, false])
  func `shipping goes on, and nothing reads as if it did not`(prunes: Bool) async throws {
    let server = try FaultS3Server { $0.denied = ["delete", "DELETE", "lifecycle"] }
    let place = try Place.on(server)
    let redis = try await RedisServer.start(
      .v7_4, directory: place.data, options: Self.options)
    try redis.command("SET", "a", "1")
    let admin = ["--admin-listen", "127.0.0.1:\(try freePorts(1)[0])"]
    let ship = try LifeboatCommand.start(
      ["ship", "--data", place.data, "--repo", place.repository, "--ship-interval", "200ms"] + admin
        + (prunes ? [] : ["--no-prune"]), environment: place.environment)
    // The probe of a store's first use tries to delete what it wrote.
    try await eventually(
      deadline: 60, "a deletion was refused",
      condition: { server.server.requests.contains { $0.target.contains("?delete") } },
      state: { ship.errorText })
    if prunes {
      try await eventually(
        deadline: 60, "it is told",
        condition: { ship.errorText.contains("may not delete: they are append-only") },
        state: { ship.errorText })
    }
    try redis.command("SET", "b", "2")
    let synced = try await LifeboatCommand.run(["sync", "--wait"] + admin)
    #expect(synced.exitCode == 0, "\(synced)")
    let status = try await LifeboatCommand.run(["status", "--json"] + admin)
    #expect(status.jsonText("state") == "active", "\(status)")
    #expect(status.jsonText("storeAwaySince") == nil, "\(status)")
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    #expect(end.count("the store is unavailable") + end.count("denies access") == 0, "\(end)")
    #expect(end.count("may not delete") == (prunes ? 1 : 0), "\(end)")

    let doctor = try await place.run("doctor", [])
    #expect(doctor.exitCode == 0, "\(doctor)")
    #expect(doctor.outputText.contains("WARNING  delete: these credentials may not"), "\(doctor)")
    #expect(doctor.outputText.contains("--no-prune"), "\(doctor)")
  }

  @Test func `a clock that differs is told of, and so is its end`() async throws {
    let server = try FaultS3Server { $0.clockOffset = 3 * 3_600_000 }
    let place = try Place.on(server)
    let redis = try await RedisServer.start(
      .valkey9_1, directory: place.data, options: Self.options)
    try redis.command("SET", "a", "1")
    let ship = try place.ship("--ship-interval", "200ms")
    try await eventually(
      deadline: 60, "it is told of",
      condition: { ship.errorText.contains("clock differs from the store's") },
      state: { ship.errorText })
    server.change { $0.clockOffset = 0 }
    try await eventually(
      deadline: 60, "its end is told of",
      condition: {
        try redis.command("INCR", "ticks")
        return ship.errorText.contains("clock agrees with the store's again")
      }, state: { ship.errorText })
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    #expect(end.count("clock differs from the store's") == 1, "\(end)")
    #expect(end.count("clock agrees with the store's again") == 1, "\(end)")
    #expect(end.count("the store is unavailable") == 0, "\(end)")
  }
}
