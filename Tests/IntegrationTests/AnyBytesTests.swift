import BackupTypes
import SystemIO
import TestSupport
import Testing

/// Bytes that a careless reader of an append-only file takes for its structure, a value that is spread over
/// 25 log objects, and a million keys. They are shipped while they are written, and every cut is right.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct AnyBytesTests {
  /// A server and its shipper. The server's states are compared by their digests.
  private final class Run {
    let place: Place
    let server: RedisServer
    private let ship: RunningCommand
    /// States, each with the second that it was read in. Nothing more was written in that second.
    private(set) var states: [(second: Int64, digest: String)] = []

    init(_ version: ServerVersion) async throws {
      place = try Place()
      var options = ["appendonly": "yes", "auto-aof-rewrite-percentage": "0"]
      if version.hasMultiPartAOF { options["aof-timestamp-enabled"] = "yes" }
      server = try await RedisServer.start(version, directory: place.data, options: options)
      ship = try place.ship("--ship-interval", "200ms")
    }

    /// Records the state and waits for the next second, so later writes belong to a later one.
    func note() async throws {
      let second = SystemClock.now().milliseconds / 1000 + 1
      states.append((second, try Run.digest(server)))
      try await eventually("the next second") { SystemClock.now().milliseconds / 1000 > second }
    }

    private static func digest(_ server: RedisServer) throws -> String {
      try #require(try server.connect(timeout: 120).command("DEBUG", "DIGEST").string)
    }

    func settle() async throws {
      _ = try await ship.terminate(deadline: 300)
      _ = try await server.shutdown()
      try await place.shipOnce()
    }

    /// Expects that a restore gives the state `expected`.
    func expect(_ expected: String, _ arguments: String...) async throws {
      let target = try place.folder.makeDirectory("restored")
      defer { TestFiles.remove(target) }
      let result = try await place.run("restore", ["--data", target] + arguments)
      try #require(result.exitCode == 0, "\(result)")
      let loaded = try await RedisServer.start(
        server.version, directory: target,
        options: ["appendonly": "yes", "aof-load-truncated": "no"])
      defer { loaded.kill() }
      let found = try Run.digest(loaded)
      guard found != expected else { return }
      let listed = try await place.run("list", []).outputText
      let log = TestFiles.tree(place.repository).filter { $0.contains("/log/") }.sorted()
      Issue.record("\(arguments), \(states): \(result)\(listed)\(log.joined(separator: "\n"))")
    }
  }

  private static let hostile: [[UInt8]] =
    [
      "*3\r\n$3\r\nSET\r\n", "*1\r\n$8\r\nFLUSHALL\r\n", "*1\r\n$5\r\nMULTI\r\n",
      "*1\r\n$4\r\nEXEC\r\n", "#TS:1700000000\r\n", "\r\n#TS:4102444800\r\n", "#TS:", "\r\n", "\0",
      "\n", "\r", "$-1\r\n", "*-1\r\n", "$999999999\r\n", "REDIS0011", "",
    ].map { Array($0.utf8) } + [[0xff], [0xff, 0, 0, 0, 0, 0, 0, 0, 0], [0xfe, 0xff, 0x80]]

  /// The same random MiB a hundred times, between lines of a log. More random bytes would take long
  /// unoptimised.
  private static let large: [UInt8] = {
    var random = SeededRandom(seed: 100)
    let lines = hostile.flatMap { $0 }
    let block = random.bytes(1 << 20)
    return lines + (0..<100).flatMap { _ in block } + lines
  }()

  @Test(arguments: [ServerVersion.v6_2, .v7_0, .valkey9_1])
  func `lines of a log as keys and values, and a value of 100 MiB`(version: ServerVersion)
    async throws
  {
    let run = try await Run(version)
    let client = try run.server.connect(timeout: 120)
    var commands: [[any RESPArgument]] = []
    for key in Self.hostile {
      for value in Self.hostile {
        commands += [["SET", key + value, value + key], ["HSET", "all", key + value, value]]
      }
    }
    for reply in try client.pipeline(commands) {
      if case .error(let text) = reply { throw HarnessError(text) }
    }
    try await run.note()
    // Between MULTI and EXEC, so no cut is allowed within it.
    try client.command("MULTI")
    try client.command("SET", "#TS:1\r\n", "*2\r\n")
    try client.command("HSET", "large", "*3\r\n$3\r\n", Self.large)
    try client.command("EXEC")
    try await run.note()
    try client.command("APPEND", "\0", "after")
    try await run.note()
    try client.command("DEL", "large", "#TS:1\r\n")
    try await run.note()
    try await run.settle()
    let digests = run.states.map(\.digest)
    #expect(Set(digests).count == 4)
    try await run.expect(digests[3])
    try await run.expect(digests[2], "--before", "DEL")
    if !version.hasMultiPartAOF { try await run.expect(digests[1], "--before", "APPEND") }
    if version.hasMultiPartAOF {
      for state in run.states.prefix(3) {
        try await run.expect(state.digest, "--at", "\(state.second)")
      }
    }
  }

  @Test func `a million keys`() async throws {
    let run = try await Run(.valkey9_1)
    let client = try run.server.connect(timeout: 120)
    for part in 0..<4 {
      // Like a client that loads data: pipelined, one command per key.
      for batch in 0..<25 {
        let first = (part * 25 + batch) * 10_000
        let commands: [[any RESPArgument]] = (first..<first + 10_000).map {
          ["SET", "key:\($0)", "\(part)"]
        }
        for reply in try client.pipeline(commands) where reply != .simple("OK") {
          throw HarnessError("\(reply)")
        }
      }
      try await run.note()
    }
    try await run.settle()
    for state in run.states[1...2] { try await run.expect(state.digest, "--at", "\(state.second)") }
    try await run.expect(run.states[3].digest)
  }
}
