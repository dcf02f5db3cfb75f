import BackupTypes
import SystemIO
import TestSupport
import Testing

/// The stream of Redis 6.2 has relative expiries, and 6.2 only supports an AOF in one file.
@Suite(
  .timed, .enabled(if: !ServerVersion.isQuickRun && ServerVersion.available.contains(.v6_2)),
  .timeLimit(.minutes(10)))
struct OldServerLinkTests {
  /// When each key expires, in milliseconds since 1970.
  private static func expiries(_ server: RedisServer, _ keys: [String]) throws -> [String: Int64] {
    let client = try server.connect(timeout: 120)
    var times: [String: Int64] = [:]
    for key in keys {
      let left = try #require(try client.command("PTTL", key).integer, "\(key)")
      try #require(left > 0, "\(key): \(left)")
      times[key] = SystemClock.now().milliseconds + Int64(left)
    }
    return times
  }

  /// The server's dataset without expiries, which are compared with a tolerance.
  private static func values(_ server: RedisServer) async throws
    -> [Int: [Blob: Dataset.Value]]
  {
    try await server.dataset().databases.mapValues { $0.mapValues(\.value) }
  }

  @Test func expiriesAreThoseOfTheServer() async throws {
    let place = try LinkPlace(.v6_2)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port)
    let client = try server.connect(timeout: 120)
    try client.command("SET", "in-copy", "v", "EX", "1000")
    _ = try place.ship(port)
    try await place.write(server)
    let dump = try client.command("DUMP", "in-copy")
    try client.command("SET", "set", String(repeating: "x", count: 100_000), "PX", "500000")
    try client.command("SETEX", "setex", "500", "v")
    try client.command("SET", "expire", "v")
    try client.command("EXPIRE", "expire", "500")
    try client.command("SET", "getex", "v")
    try client.command("GETEX", "getex", "EX", "500")
    try client.run([
      Array("RESTORE".utf8), Array("restore".utf8), Array("500000".utf8), dump.bytes!,
    ])
    try client.command(
      "EVAL", "redis.call('SET', KEYS[1], 'v'); redis.call('PEXPIRE', KEYS[1], 500000)", "1",
      "script")
    _ = try client.pipeline([
      ["MULTI"], ["SET", "multi", "v", "EX", "500"], ["INCR", "n"], ["EXEC"],
    ])
    try client.command("SET", "clock", "v", "PX", "600000")
    try await place.write(server)
    let keys = [
      "in-copy", "set", "setex", "expire", "getex", "restore", "script", "multi", "clock",
    ]
    let wanted = try Self.expiries(server, keys)
    let state = try await Self.values(server)
    // Expiries that start when a file is loaded would be off by at least this much.
    try await eventually(deadline: 120, "ten seconds are over") {
      try client.command("PTTL", "clock").integer ?? .max < 590_000
    }

    for loader in [ServerVersion.v6_2, .v7_0, .v8_2, .valkey9_1]
    where ServerVersion.available.contains(loader) {
      let (result, data) = try await place.restore()
      try #require(result.exit == .success, "\(result) \(place.said)")
      let restored = try await RedisServer.start(
        loader, directory: data, options: ["appendonly": "yes"])
      #expect(try await Self.values(restored) == state, "\(loader)")
      for (key, time) in try Self.expiries(restored, keys) {
        let drift = time - wanted[key]!
        // The time of receipt is only known to a second, and a busy machine answers late.
        #expect(abs(drift) < 5000, "\(loader), \(key): \(drift) ms")
      }
      _ = restored.kill()
    }
    let (old, _) = try await place.restore(["--server-version", "redis-6.0"])
    #expect(old.exit == .versionMismatch && old.errorText.contains("PXAT"), "\(old)")
    // Without AOF, such a server loads the full copy.
    let (plain, data) = try await place.restore(["--appendonly", "no"])
    #expect(plain.exit == .corrupt && plain.errorText.contains("appendonly no"), "\(plain) \(data)")
    try await place.expectSound()
  }
}
