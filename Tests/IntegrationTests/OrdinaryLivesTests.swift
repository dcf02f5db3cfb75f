import BackupTypes
import TestSupport
import Testing

/// What normally happens to a healthy server. A restore never asks about it, and nothing is suspect.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct OrdinaryLivesTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var appendOnly: Bool
    var isRunning: Bool
    var testDescription: String {
      "\(appendOnly ? "AOF" : "dumps alone"), \(isRunning ? "a sidecar" : "--once")"
    }
    static let all = [true, false].flatMap {
      [Case(appendOnly: $0, isRunning: true), Case(appendOnly: $0, isRunning: false)]
    }
  }

  /// A server and its shipper.
  private final class Life {
    let test: Case
    let scene: Scene
    var server: RedisServer
    private let ship: RunningCommand?
    private let admin: String
    private(set) var restored = ""

    init(_ test: Case, _ version: ServerVersion) async throws {
      self.test = test
      scene = try Scene()
      admin = "127.0.0.1:\(try freePorts(1)[0])"
      server = try await Life.start(test, version, scene)
      ship =
        test.isRunning
        ? try LifeboatCommand.start([
          "ship", "--data", scene.data, "--repo", scene.repository, "--source", "test",
          "--ship-interval", "100ms", "--dump-interval", "0s", "--admin-listen", admin,
        ]) : nil
    }

    private static func start(_ test: Case, _ version: ServerVersion, _ scene: Scene) async throws
      -> RedisServer
    {
      try await scene.server(
        version, ["appendonly": test.appendOnly ? "yes" : "no", "auto-aof-rewrite-percentage": "0"])
    }

    func run(_ commands: [[any RESPArgument]]) throws {
      for reply in try server.connect().pipeline(commands) {
        if case .error(let text) = reply { throw HarnessError(text) }
      }
    }

    /// Ships the current state. A plain restore does not ask anything.
    func ships(_ what: String) async throws {
      if !test.appendOnly { try await server.save() }
      if let ship {
        var last = ""
        try await eventually(
          deadline: 60, "\(what) is shipped",
          condition: {
            let result = try await LifeboatCommand.run([
              "sync", "--wait", "--admin-listen", admin,
            ])
            last = "\(result)"
            return result.exitCode == 0
          }, state: { last + ship.errorText })
      } else {
        try await scene.ship()
      }
      restored = try scene.folder.makeDirectory("restored-\(UInt32.random(in: 0 ... .max))")
      let result = try await scene.restore(restored)
      try #require(result.exitCode == 0, "\(what): \(result)\(ship?.errorText ?? "")")
    }

    func upgrade(to version: ServerVersion) async throws {
      _ = try await server.shutdown()
      server = try await Life.start(test, version, scene)
    }

    func end() async throws {
      let expected = try server.command("DBSIZE").integer
      let found = try await scene.loaded(
        .v8_2, restored, appendOnly: test.appendOnly ? "yes" : "no")
      #expect(found.keyCount == expected.map { Int($0) })
      let list = try await scene.list().outputText
      #expect(!list.has("SUSPECT"), "\(list)")
      _ = try await server.shutdown()
      guard let ship else { return }
      let end = try await ship.terminate()
      #expect(end.exitCode == 0 && !end.errorText.has("may be an accident"), "\(end)")
    }
  }

  @Test(arguments: Case.all)
  func `no question is asked about an ordinary life`(test: Case) async throws {
    let life = try await Life(test, .v7_0)
    try life.server.fill("kept:", 1...60)
    let cache: [[any RESPArgument]] = (1...400).map { ["SET", "cache:\($0)", "v", "EX", "86400"] }
    try life.run(cache)
    try await life.ships("a filled cache")
    // Overnight, the cache expires.
    let night: [[any RESPArgument]] = (1...400).map { ["PEXPIRE", "cache:\($0)", "1"] }
    try life.run(night)
    try await eventually(deadline: 60, "the cache expired") {
      try life.server.command("DBSIZE").integer == 60
    }
    try await life.ships("a cache that expired")

    let queue: [[any RESPArgument]] = (1...300).map { ["RPUSH", "queue", "job:\($0)"] }
    try life.run(queue)
    try await life.ships("a full queue")
    try life.server.command("LTRIM", "queue", "300", "-1")
    try await life.ships("a queue drained to 0")

    try life.run((0..<210).map { ["HSET", "RAYdefault@\($0 % 7)", "field:\($0)", "v"] })
    try await life.ships("a RayCluster")
    try life.run((0..<7).map { ["DEL", "RAYdefault@\($0)"] })
    try await life.ships("a RayCluster that was deleted")

    try life.server.fill("evicted:", 1...1500, bytes: 2000)
    try await life.ships("a full memory")
    let used = Int(try life.server.info("used_memory") ?? "") ?? 0
    try life.server.command("CONFIG", "SET", "maxmemory-policy", "allkeys-random")
    try life.server.command("CONFIG", "SET", "maxmemory", "\(used - 1_000_000)")
    try life.server.command("CONFIG", "SET", "maxmemory", "0")
    try await life.ships("eviction")

    if test.appendOnly {
      try await life.server.rewriteAOF()
      try await life.ships("a rewrite")
      try life.run((1...3000).map { ["INCR", "counter:\($0 % 50)"] })
      try await life.ships("many writes to few keys")
      try life.server.command("CONFIG", "SET", "appendonly", "no")
      try life.server.command("CONFIG", "SET", "appendonly", "yes")
      try await life.server.rewriteAOF()
      try await life.ships("AOF off and on")
    }
    try await life.upgrade(to: .v8_2)
    try await life.ships("an upgrade")

    // The server gets the primary's data.
    let port = "\(Int.random(in: 21_000...29_000))"
    let primary = try await RedisServer.start(
      .v8_2, directory: try life.scene.folder.makeDirectory("primary"),
      options: ["port": port, "repl-diskless-sync": "no"])
    defer { primary.kill() }
    try primary.fill("synced:", 1...300)
    try life.server.command("REPLICAOF", "127.0.0.1", port)
    try await eventually(deadline: 60, "the full sync") {
      try life.server.info("master_link_status") == "up"
        && life.server.info("aof_rewrite_in_progress") == "0"
    }
    try life.server.command("REPLICAOF", "NO", "ONE")
    try await life.ships("a full sync")
    try await life.end()
  }

  /// Many writes to few keys, then a clean restart with a small AOF.
  @Test func `a log that was rewritten between two single ships is as good as it was`() async throws
  {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    let counters: [[any RESPArgument]] = (1...3000).map { ["INCR", "counter:\($0 % 50)"] }
    _ = try server.connect().pipeline(counters)
    try await scene.ship()
    try await server.rewriteAOF()
    _ = try await server.shutdown()
    try await scene.ship()
    let target = try await scene.restored("target")
    #expect(try await scene.loaded(.v7_4, target).keyCount == 50)
  }
}
