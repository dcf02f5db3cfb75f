import BackupTypes
import RepositoryAccess
import TestSupport
import Testing

/// Two shippers claim at the same time, also on a store without create-if-absent. There is one history.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct RacedClaimTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var condition: FaultS3Server.ConditionalCreate
    /// The delay of replies about a claim: none, or so long that both have looked before one has written.
    var milliseconds: UInt32
    /// If set, both also create the repository at the same time, each with a key slot of its own.
    var isEncrypted = false
    var testDescription: String {
      "\(condition), answers after \(milliseconds) ms\(isEncrypted ? ", encrypted" : "")"
    }
  }

  private static let cases = [(0, false), (400, false), (400, true)].flatMap { test in
    [FaultS3Server.ConditionalCreate.ignored, .notImplemented, .honoured].map {
      Case(condition: $0, milliseconds: UInt32(test.0), isEncrypted: test.1)
    }
  }

  @Test(arguments: cases)
  func `one ships, the other says who owns it, and a restore is the one's`(
    test: Case
  ) async throws {
    let server = try FaultS3Server {
      $0.conditionalCreate = test.condition
      $0.fault = { request in
        guard test.milliseconds > 0, request.method != "PUT",
          request.path.hasSuffix("/claim")
            || (test.isEncrypted && request.path.hasSuffix("/lifeboat.json"))
        else { return nil }
        return .afterwards { .delay(milliseconds: test.milliseconds, .reply($0)) }
      }
    }
    var place = try Place.on(server)
    if test.isEncrypted { place.environment[KeySource.variable] = Place.newKey() }
    let folders = [place.data, try place.folder.makeDirectory("other")]
    var servers: [RedisServer] = []
    for (number, folder) in folders.enumerated() {
      let redis = try await RedisServer.start(
        .v7_4, directory: folder, options: ["appendonly": "yes", "appendfsync": "always"])
      try redis.command("SET", "who", "\(number)")
      servers.append(redis)
    }
    let ships = try folders.enumerated().map { number, folder in
      try place.ship(
        pod: "pod-\(number)", ["--source", "redis", "--ship-interval", "100ms"], data: folder)
    }
    var losers: [Int] = []
    try await eventually(
      deadline: 180, "one stands by, and the other ships",
      condition: {
        // A shipper with nothing to write does not check whether another one has claimed.
        for redis in servers { try redis.command("INCR", "ticks") }
        losers = ships.indices.filter { ships[$0].errorText.contains("standby: this shipper") }
        let isReadable = await place.newest() != nil
        return losers.count == 1 && isReadable
      }, state: { ships.map(\.errorText).joined(separator: "\n--\n") })
    let loser = try #require(losers.first)
    for redis in servers { try redis.command("SET", "later", "1") }
    for redis in servers { _ = try await redis.shutdown() }
    let end = try await ships[1 - loser].terminate()
    #expect(end.exitCode == 0, "\(end)")
    _ = ships[loser].kill()
    #expect(
      end.errorText.contains("has no create-if-absent") == (test.condition != .honoured), "\(end)")
    let target = try await place.restore(into: "restored")
    let redis = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    #expect(try redis.command("GET", "who").string == "\(1 - loser)")
    #expect(try redis.command("GET", "later").string == "1")
  }
}
