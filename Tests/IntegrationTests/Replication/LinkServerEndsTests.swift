import BackupTypes
import TestSupport
import Testing

/// `ship --replica-of` while its server is shut down, killed, restarted or failed over, and everything in a
/// server that counts Lifeboat as a replica.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(15)))
struct LinkServerEndsTests {
  private static func fill(_ server: RedisServer, _ prefix: String, count: Int = 300) throws {
    let client = try server.connect()
    for number in 0..<count {
      _ = try client.command("SET", "\(prefix)\(number)", String(repeating: "x", count: 100))
    }
  }

  /// Redis 7 and newer wait up to `shutdown-timeout` for their replicas. It is ten minutes here: without the
  /// acknowledgement of the last write this test would not end. 6.2 does not wait, but sends all it has.
  ///
  /// The dump that SHUTDOWN SAVE writes names the history and its offset. Redis 7 and newer continue both, so
  /// no second full copy is needed.
  @Test(arguments: ServerVersion.available)
  func aShutdownWaitsForTheLastWriteOnly(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let data = place.fresh("server")
    let patience = version == .v6_2 ? [:] : ["shutdown-timeout": "600"]
    var server = try await place.server(port: port, in: data, patience)
    try Self.fill(server, "before")
    _ = try place.ship(port)
    try await place.write(server)
    try Self.fill(server, "last")
    let last = try await server.dataset()
    // The server closes the connection instead of answering.
    _ = try? server.command("SHUTDOWN", "SAVE")
    let ending = server
    try await eventually(
      deadline: 60, "the server ended", condition: { ending.end != nil },
      state: { place.said + ending.log })
    if version != .v6_2 {
      #expect(!server.log.contains("lagging"), "\(server.log)")
      try await place.expectRestored(last, "what was written before SHUTDOWN")
    }

    server = try await place.server(port: port, in: data, patience)
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "after the restart")
    // 6.2 begins another history at each start.
    let copies = version == .v6_2 ? "1" : "0"
    #expect(try server.info("sync_full") == copies, "\(place.said)")
    try await place.expectSound()
  }

  /// The server is killed and comes back with a dump that is older than what it had acknowledged. The newest
  /// state is the server's. What it lost is a separate branch.
  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func aServerThatComesBackWithAnOlderDump(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let data = place.fresh("server")
    var server = try await place.server(port: port, in: data)
    try Self.fill(server, "before")
    let ship = try place.ship(port)
    try await place.write(server)
    try await server.save()
    try Self.fill(server, "lost", count: 20)
    try await place.write(server)
    let lost = try await server.dataset()
    server.kill()
    server = try await place.server(port: port, in: data)
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "the state of the server")
    #expect(ship.errorText.contains("has lost writes that it had acknowledged"), "\(place.said)")
    try await place.expectRestored(lost, "what the server lost", ["--timeline", "1"])
    try await place.expectSound()
  }

  /// `WAITAOF 0 1` is answered with one replica, and what it waited for is restored.
  @Test(arguments: [ServerVersion.v7_4, .v8_2, .valkey9_1])
  func whatWaitaofAcknowledgedIsRestored(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port)
    let ship = try place.ship(port)
    try await place.write(server)
    try Self.fill(server, "durable")
    let client = try server.connect(timeout: 120)
    _ = try client.command("SET", "newest", "1")
    let replicas = try client.command("WAITAOF", 0, 1, 60_000).array?.last?.integer
    #expect(replicas == 1, "\(place.said)")
    let wanted = try await server.dataset()
    ship.kill()
    server.kill()
    try await place.expectRestored(wanted, "what WAITAOF acknowledged")
  }

  /// Lifeboat counts for `connected_slaves`, `WAIT` and `min-replicas-to-write`. A server that asks for one
  /// replica refuses writes when Lifeboat has ended, as with any other replica.
  @Test(arguments: [ServerVersion.v6_2, .v8_2, .valkey9_1])
  func lifeboatCountsAsAReplica(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port)
    try server.command("SET", "before", "1")
    let ship = try place.ship(port)
    try await place.write(server)
    #expect(try server.info("connected_slaves") == "1")
    try server.command("CONFIG", "SET", "min-replicas-to-write", "1")
    try server.command("CONFIG", "SET", "min-replicas-max-lag", "10")
    try await eventually(
      deadline: 60, "a write is taken",
      condition: { (try? server.command("SET", "beside", "1"))?.isOK == true },
      state: { place.said + server.log })
    _ = try await ship.terminate()
    try await eventually(
      deadline: 60, "a write is refused",
      condition: {
        do {
          _ = try server.command("SET", "alone", "1")
          return false
        } catch RESPError.reply(let text, _) { return text.contains("NOREPLICAS") }
      }, state: { server.log })
  }

  /// FAILOVER TO the port that `ship` announces. The responder refuses, the primary stays the primary, and
  /// the link continues without another full copy.
  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func aFailoverToLifeboatIsRefused(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port)
    _ = try place.ship(port)
    try await place.write(server)
    let line = try #require(try server.info("slave0"))
    let announced = try #require(line.firstMatch(of: /port=(\d+),/)).1
    #expect(try server.command("FAILOVER", "TO", "127.0.0.1", String(announced)).isOK)
    try await eventually(
      deadline: 60, "the failover is over",
      condition: { try server.info("master_failover_state") == "no-failover" },
      state: { place.said + server.log })
    #expect(server.log.contains("FAILOVER requested to 127.0.0.1:\(announced)"), "\(server.log)")
    #expect(try server.info("role") == "master")
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "after the failover")
    #expect(try server.info("sync_full") == "1", "\(place.said)")
  }
}
