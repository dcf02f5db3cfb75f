import BackupTypes
import TestSupport
import Testing

/// `ship --replica-of`: what a restore gives, and how the history continues after something stops.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(15)))
struct LinkShippingTests {
  private static func fill(_ server: RedisServer, _ prefix: String, count: Int = 500) throws {
    let client = try server.connect()
    for number in 0..<count {
      _ = try client.command("SET", "\(prefix)\(number)", String(repeating: "x", count: 100))
      if number % 50 == 0 {
        _ = try client.pipeline([
          ["MULTI"], ["RPUSH", "\(prefix)list", number], ["HSET", "\(prefix)hash", number, "y"],
          ["EXEC"],
        ])
      }
    }
  }

  private static func statistic(_ server: RedisServer, _ name: String) throws -> Int? {
    try server.info(name).flatMap { Int($0) }
  }

  /// With every server: the full copy, the stream, a Lifeboat that is killed or stopped, and a cut
  /// connection.
  @Test(arguments: ServerVersion.available)
  func oneHistoryAcrossRestarts(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port)
    try Self.fill(server, "before")
    var ship = try place.ship(port)
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "the first state")

    ship.kill()
    try Self.fill(server, "meanwhile")
    ship = try place.ship(port)
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "after a kill")

    let stopped = try await ship.terminate()
    #expect(stopped.exit == .success, "\(stopped)")
    ship = try place.ship(port)
    try Self.fill(server, "again")
    try await place.write(server)
    _ = try server.command("CLIENT", "KILL", "TYPE", "replica")
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "after a clean end and a cut connection")
    // Only the first connection took a full copy.
    #expect(try Self.statistic(server, "sync_full") == 1, "\(place.said)")
    try await place.expectSound()
  }

  /// First, a replica that has everything that we have is promoted, and the history continues. Then one that
  /// lacks a part of it is promoted, which makes a fork.
  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func promotions(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let ports = try freePorts(2)
    let first = try await place.server(port: ports[0])
    try Self.fill(first, "before")
    let second = try await place.server(
      port: ports[1], ["replicaof": "127.0.0.1 \(ports[0])"])
    let ship = try place.ship(ports[0])
    try await place.write(first, replicas: 2)
    _ = first.kill()
    _ = try second.command("REPLICAOF", "NO", "ONE")
    // The new primary gets the old one's port.
    _ = try second.command("CONFIG", "SET", "port", "\(ports[0])")
    try await place.write(second)
    try await place.expectRestored(second.dataset(), "after the promotion")
    #expect(try Self.statistic(second, "sync_full") == 0, "\(place.said)")

    let third = try await place.server(
      port: ports[1], ["replicaof": "127.0.0.1 \(ports[0])"])
    try await eventually("the third is synced") {
      try third.info("master_link_status") == "up"
    }
    try await place.write(second, replicas: 2)
    // From now on it receives nothing.
    _ = try third.command("REPLICAOF", "127.0.0.1", "1")
    try Self.fill(second, "lost", count: 50)
    try await place.write(second)
    let abandoned = try await second.dataset()
    _ = second.kill()
    _ = try third.command("REPLICAOF", "NO", "ONE")
    _ = try third.command("CONFIG", "SET", "port", "\(ports[0])")
    try await place.write(third)
    try await place.expectRestored(third.dataset(), "after the fork")
    #expect(ship.errorText.contains("has lost writes that it had acknowledged"), "\(place.said)")
    // The data that the new primary lost can still be restored.
    let branch = try await LifeboatCommand.run(
      ["restore", "--repo", place.repository, "--data", place.fresh("branch"), "--timeline", "1"])
    #expect(branch.exit == .success, "\(branch)")
    try await place.expectRestored(abandoned, "the abandoned branch", ["--timeline", "1"])
    try await place.expectSound()
  }

  /// A server that comes back without data replaces nothing.
  @Test(arguments: [ServerVersion.v6_2, .v8_2])
  func anEmptyServerIsAskedAbout(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    var server = try await place.server(port: port)
    try Self.fill(server, "data")
    _ = try place.ship(port)
    try await place.write(server)
    let kept = try await server.dataset()
    _ = server.kill()
    server = try await place.server(port: port)
    // Nothing has been written yet, so the newest state is the one with data.
    try await place.expectRestored(kept, "beside an empty server")
    try await place.write(server)
    try await eventually(
      deadline: 120, "a restore asks",
      condition: { try await place.restore().result.exit == .suspect },
      state: { place.said })
    try await place.expectRestored(kept, "the state before", ["--suspect", "before"])
  }

  /// The replication id changes while the connection stays open. The audit detects this.
  @Test func aChangedHistoryIsNoticed() async throws {
    let place = try LinkPlace(.v8_2)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port, ["enable-debug-command": "yes"])
    let ship = try place.ship(port)
    try await place.write(server)
    _ = try server.command("DEBUG", "CHANGE-REPL-ID")
    try await eventually(
      deadline: 60, "it is noticed",
      condition: { ship.errorText.contains("changed the id of its replication history") },
      state: { place.said })
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "under the new id")
  }

  /// Newer full copies are taken while the stream continues.
  @Test(arguments: [ServerVersion.v6_2, .v8_2, .valkey9_1])
  func newerCopiesJoinTheSameLog(version: ServerVersion) async throws {
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port)
    let client = try server.connect()
    for number in 0..<300 {
      _ = try client.command("SET", "k\(number)", String(repeating: "x", count: 1000))
    }
    let ship = try place.ship(port, ["--base-min", "200KiB", "--base-ratio", "1"])
    try await place.write(server)
    var written = 0
    try await eventually(
      deadline: 120, "a newer copy is stored",
      condition: {
        for _ in 0..<100 {
          written += 1
          _ = try client.command(
            "SET", "k\(written % 300)", "\(written)" + String(repeating: "y", count: 1000))
        }
        return ship.errorText.contains("uploaded appendonly.aof.2.base.rdb")
      }, state: { place.said })
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "with a newer copy")
    ship.kill()
    _ = try place.ship(port)
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "after a restart")
    // One full sync for the link, and one for each newer copy. A restart takes none.
    let copies = place.said.components("receiving a newer full copy")
    #expect(try Self.statistic(server, "sync_full") == 1 + copies, "\(place.said)")
    try await place.expectSound()
  }

  /// The store is unavailable while Redis writes. The link is closed so that the server buffers nothing, and
  /// the history continues later.
  @Test func aStoreThatIsAway() async throws {
    let place = try LinkPlace(.v8_2)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port, ["repl-backlog-size": "256mb"])
    // No newer copies, since they would count as full syncs.
    let ship = try place.ship(port, ["--base-min", "1GiB"])
    try await place.write(server)
    let aside = place.directory("aside")
    try TestFiles.rename(place.repository, to: aside)
    let client = try server.connect()
    let value = String(repeating: "x", count: 100_000)
    try await eventually(
      deadline: 120, "the link is given up",
      condition: {
        for number in 0..<20 { _ = try client.command("SET", "k\(number)", value) }
        return ship.errorText.contains("does not take its data fast enough")
      }, state: { place.said })
    // Meanwhile, the server keeps no output buffer for us.
    try await eventually(
      "the server is released",
      condition: {
        try server.info("connected_slaves") == "0"
      })
    try TestFiles.rename(aside, to: place.repository)
    try await place.write(server)
    try await place.expectRestored(server.dataset(), "after the outage")
    #expect(try Self.statistic(server, "sync_full") == 1, "\(place.said)")
  }
}

extension String {
  /// How often `text` occurs.
  fileprivate func components(_ text: String) -> Int {
    var (count, rest) = (0, self[...])
    while let range = rest.firstRange(of: text) {
      count += 1
      rest = rest[range.upperBound...]
    }
    return count
  }
}
