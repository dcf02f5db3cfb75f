import BackupTypes
import Glibc
import Replication
import TestSupport
import Testing

/// A random history on a real server that annotates its log: writes, deletions, flushes, restarts of the
/// server and of the shipper, kills of both, and a restore to an earlier time from which another
/// timeline goes on. For any second a restore gives what a server holds that was given the same commands
/// up to then.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct RandomHistoryTests {
  /// A command, and the seconds of the server's clock that it lies between.
  private struct Step {
    var command: [String]
    var notBefore: Int
    var notAfter: Int
  }

  /// What a branch of the history was made of, from the beginning.
  private struct Branch {
    var steps: [Step] = []
    var began = 0
    /// The seconds for which it is certain what had been executed.
    func isCertain(_ second: Int) -> Bool {
      !steps.contains { $0.notBefore <= second && second < $0.notAfter }
    }
    func commands(upTo second: Int) -> [[String]] {
      steps.filter { $0.notAfter <= second }.map(\.command)
    }
  }

  private final class Run {
    var place: Place
    let version: ServerVersion
    var random: SeededRandom
    var server: RedisServer
    var ship: RunningCommand
    var branch = Branch()
    /// What the last restore printed.
    var said = ""

    init(_ version: ServerVersion, seed: UInt64) async throws {
      place = try Place()
      self.version = version
      random = SeededRandom(seed: seed)
      server = try await Run.start(version, place.data)
      ship = try place.ship("--ship-interval", "200ms")
      branch.began = try now()
    }

    private static func start(_ version: ServerVersion, _ data: String) async throws -> RedisServer
    {
      try await RedisServer.start(
        version, directory: data,
        options: ["appendonly": "yes", "appendfsync": "always", "aof-timestamp-enabled": "yes"])
    }

    func now() throws -> Int {
      guard case .array(let parts) = try server.command("TIME"),
        let second = parts.first?.string.flatMap({ Int($0) })
      else { throw HarnessError("TIME did not answer") }
      return second
    }

    func step() async throws {
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<2: try execute(["FLUSHALL"])
      case 2..<10: try execute(["DEL", key(), key()])
      case 10..<12:
        ship.kill()
        ship = try place.ship("--ship-interval", "200ms")
      case 12..<13:
        _ = try await ship.terminate()
        ship = try place.ship("--ship-interval", "200ms")
      case 13..<14:
        _ = try await server.shutdown()
        server = try await Run.start(version, place.data)
      case 14..<15:
        // With `appendfsync always` everything that was answered is on disk.
        server.kill()
        server = try await Run.start(version, place.data)
      case 15..<18:
        let client = try server.connect()
        let commands = [
          ["SET", key(), "m\(Int.random(in: 0..<9, using: &random))"], ["INCR", "n"],
        ]
        let before = try now()
        for command in [["MULTI"]] + commands + [["EXEC"]] { _ = try client.run(command) }
        let after = try now()
        for command in commands {
          branch.steps.append(Step(command: command, notBefore: before, notAfter: after))
        }
      default:
        try execute([
          "SET", key(), "v\(Int.random(in: 0..<1_000_000, using: &random))\r\n*1\r\n#TS:1\r\n\0",
        ])
      }
    }

    private func key() -> String { "key:\(Int.random(in: 0..<12, using: &random))" }

    private func execute(_ command: [String]) throws {
      let before = try now()
      _ = try server.connect().run(command)
      branch.steps.append(Step(command: command, notBefore: before, notAfter: try now()))
    }

    /// Everything that was answered is restorable when this returns.
    func settle() async throws {
      _ = try await ship.terminate()
      _ = try await server.shutdown()
      try await place.shipOnce()
    }

    /// Goes on from the state of `second`, on a new volume, in a timeline of its own.
    func fork(at second: Int) async throws {
      let target = try await place.restore(into: "fork-\(second)", "--at", "\(second)")
      TestFiles.remove(place.data)
      try TestFiles.copyTree(target, to: place.data)
      branch.steps = branch.steps.filter { $0.notAfter <= second }
      server = try await Run.start(version, place.data)
      ship = try place.ship("--ship-interval", "200ms", "--take-over")
      // A time before the claim is one of the branch that was left.
      let left = try await newestTimeline()
      try await eventually(
        deadline: 60, "the next timeline",
        condition: {
          try await step()
          return try await newestTimeline() > left
        }, state: { self.ship.errorText })
      branch.began = try now()
    }

    func newestTimeline() async throws -> Int {
      try await place.listing().timelines.map(\.number.value).max() ?? 0
    }

    /// What a server holds that was given just these commands.
    func model(_ commands: [[String]]) async throws -> Dataset {
      let folder = try TemporaryDirectory("model")
      let model = try await RedisServer.start(
        version, directory: try folder.makeDirectory("data"), options: ["appendonly": "no"])
      defer { model.kill() }
      let client = try model.connect()
      for command in commands { _ = try client.run(command) }
      return try await model.dataset()
    }

    func restored(_ second: Int, _ number: Int, _ arguments: String...) async throws -> Dataset {
      let target = try place.folder.makeDirectory("at-\(number)-\(second)")
      let result = try await place.run(
        "restore", ["--data", target, "--at", "\(second)"] + arguments)
      guard result.exitCode == 0 else { throw HarnessError("\(result)") }
      said = result.outputText
      let loaded = try await RedisServer.start(
        version, directory: target, options: ["appendonly": "yes", "aof-load-truncated": "no"])
      defer { loaded.kill() }
      return try await loaded.dataset()
    }

    /// Steps for so many seconds of the server's clock.
    func go(seconds: Int) async throws {
      let end = try now() + seconds
      try await eventually(
        deadline: 120, "\(seconds) seconds of history",
        condition: {
          try await step()
          return try now() >= end
        }, state: { "\(self.branch.steps.count) steps" })
    }
  }

  @Test(arguments: [ServerVersion.v7_0, .v7_4, .v8_2, .valkey9_1])
  func `any second of a random history`(version: ServerVersion) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    let run = try await Run(version, seed: seed)
    try await eventually(
      deadline: 60, "a restore point",
      condition: {
        try await run.step()
        return await run.place.newest() != nil
      }, state: { run.ship.errorText })
    let first = try run.now() + 1
    try await run.go(seconds: 8)
    let last = try run.now()
    try await run.settle()
    try await check(run, Array(first..<last), 1, seed)

    // Back to the middle, and on from there.
    let certain = (first + 1..<last - 2).filter { run.branch.isCertain($0) }
    guard let fork = certain.randomElement(using: &run.random) else { return }
    let before = run.branch
    let left = try await run.newestTimeline()
    try await run.fork(at: fork)
    try await run.go(seconds: 5)
    let began = run.branch.began
    let end = try run.now()
    try await run.settle()
    try await check(run, Array(began + 1..<end), 2, seed)
    // What lies before it is there as it was, and so is what was left behind.
    try await check(run, [fork], 3, seed)
    let abandoned = (fork + 1..<last).filter { before.isCertain($0) }
    for second in abandoned.shuffled(using: &run.random).prefix(2) {
      let found = try await run.restored(second, 4, "--timeline", "\(left)")
      let expected = try await run.model(before.commands(upTo: second))
      #expect(
        expected.difference(to: found, limit: 3) == [], "seed \(seed), abandoned, second \(second)")
    }
  }

  private func check(_ run: Run, _ seconds: [Int], _ number: Int, _ seed: UInt64) async throws {
    let certain = seconds.filter { run.branch.isCertain($0) }
    #expect(!certain.isEmpty, "seed \(seed)")
    for second in certain.shuffled(using: &run.random).prefix(5) {
      let found = try await run.restored(second, number)
      let expected = try await run.model(run.branch.commands(upTo: second))
      let listed = try await run.place.run("list", []).outputText
      #expect(
        expected.difference(to: found, limit: 3) == [],
        "seed \(seed), branch \(number), second \(second) (from \(seconds.first!)); \(run.said)\n\(listed)"
      )
    }
  }
}
