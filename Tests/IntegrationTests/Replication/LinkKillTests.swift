import BackupTypes
import Glibc
import Synchronization
import TestSupport
import Testing

/// What `WAIT 1` acknowledged is never lost, whichever process is killed at whatever time. There is no AOF
/// and no volume, so anything that is not in the repository is lost.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(60)))
struct LinkKillTests {
  /// For each server and store. `LIFEBOAT_LINK_ROUNDS` sets another number.
  private static var rounds: Int {
    getenv("LIFEBOAT_LINK_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 5
  }
  /// How many writes of each client are acknowledged in each round.
  private static let enough = 1000
  private static let clients = 8

  /// Increments two keys in transactions, and records what was acknowledged.
  private final class Load: Sendable {
    let acknowledged = Mutex([Int](repeating: 0, count: LinkKillTests.clients))
    /// How many writes of each client.
    let counts = Mutex([Int](repeating: 0, count: LinkKillTests.clients))
    private let isStopped = Mutex(false)

    func stop() { isStopped.withLock { $0 = true } }

    func run(_ server: RedisServer, from start: [Int]) async {
      await withTaskGroup(of: Void.self) { group in
        for client in 0..<LinkKillTests.clients {
          group.addTask { await self.count(server, client, from: start[client]) }
        }
      }
    }

    private func count(_ server: RedisServer, _ client: Int, from start: Int) async {
      guard let connection = try? server.connect(timeout: 20) else { return }
      var value = start
      while !isStopped.withLock({ $0 }) {
        var commands: [[any RESPArgument]] = []
        for _ in 0..<50 {
          value += 1
          commands += [
            ["MULTI"], ["SET", "a\(client)", value], ["SET", "b\(client)", value], ["EXEC"],
          ]
        }
        commands.append(["WAIT", 1, 5000])
        let batch = commands
        guard let replies = try? await onOwnThread({ try connection.pipeline(batch) }) else {
          return
        }
        // On a slow machine the time of a WAIT may end before its acknowledgement.
        guard replies.last?.integer ?? 0 >= 1 else { continue }
        let reached = value
        acknowledged.withLock { $0[client] = max($0[client], reached) }
        counts.withLock { $0[client] += 50 }
      }
    }
  }

  private static func values(_ server: RedisServer, _ prefix: String) throws -> [Int] {
    let client = try server.connect()
    return try (0..<clients).map { try client.command("GET", "\(prefix)\($0)").integer ?? 0 }
  }

  /// - Returns: how many acknowledged writes were lost, and how many there were.
  private static func run(
    _ version: ServerVersion, isS3: Bool
  ) async throws -> (lost: Int, acknowledged: Int) {
    var random = SystemRandomNumberGenerator()
    let place =
      try await isS3 ? LinkPlace.onSeaweed(version) : LinkPlace(version)
    let port = try freePorts(1)[0]
    var server = try await place.server(port: port)
    var ship = try place.ship(port)
    var known = [Int](repeating: 0, count: clients)
    var (lost, acknowledged) = (0, 0)
    for round in 1...Self.rounds {
      let load = Load()
      try await place.write(server)
      let (running, start) = (server, known)
      async let ended: Void = load.run(running, from: start)
      // Enough was acknowledged, and then a random number more, so the kill comes at a random moment.
      let enough = Self.enough + Int.random(in: 0..<500, using: &random)
      try await eventually(
        deadline: 120, "writes are acknowledged in round \(round)",
        condition: { load.counts.withLock { $0.min()! } >= enough }, state: { place.said })
      if Bool.random(using: &random) {
        ship.kill()
        _ = server.kill()
      } else {
        _ = server.kill()
        ship.kill()
      }
      load.stop()
      await ended
      let promised = load.acknowledged.withLock { $0 }
      acknowledged += load.counts.withLock { $0.reduce(0, +) }

      let (result, data) = try await place.restore()
      try #require(result.exit == .success, "round \(round): \(result) \(place.said)")
      server = try await place.server(port: port, in: data, ["appendonly": "yes"])
      let (a, b) = (try values(server, "a"), try values(server, "b"))
      #expect(a == b, "a transaction was torn in round \(round)")
      for client in 0..<clients {
        let wanted = max(promised[client], known[client])
        if a[client] < wanted { lost += wanted - a[client] }
      }
      known = a
      _ = try server.command("CONFIG", "SET", "appendonly", "no")
      ship = try place.ship(port)
      place.ships = [ship]
    }
    return (lost, acknowledged)
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_0, .v8_2, .valkey9_1], [false, true])
  func nothingThatWasAcknowledgedIsLost(version: ServerVersion, isS3: Bool) async throws {
    let (lost, acknowledged) = try await Self.run(version, isS3: isS3)
    print(
      "\(version), \(isS3 ? "S3" : "a directory"): \(Self.rounds) rounds, \(acknowledged) acknowledged writes, "
        + "\(lost) lost")
    #expect(lost == 0)
    #expect(acknowledged >= Self.rounds * Self.clients * Self.enough)
  }
}
