import BackupTypes
import Glibc
import TestSupport
import Testing

/// A server's normal operations, while somebody polls the status. It is never anything but healthy for more
/// than 10 s. LIFEBOAT_QUIET_MINUTES sets the duration; the default is five minutes.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun))
struct QuietTests {
  private static var minutes: Int {
    getenv("LIFEBOAT_QUIET_MINUTES").flatMap { Int(String(cString: $0)) } ?? 5
  }
  private static let toleratedSeconds = 10.0

  enum Operation: String, CaseIterable, Sendable {
    case write, value = "a value of 8 MiB", transaction, expiry, flush, save, rewrite
    case turnOffAndOn = "appendonly off and on"
    case restart, kill
  }

  private func run(_ operation: Operation, _ server: inout RedisServer, _ step: Int) async throws {
    switch operation {
    case .write: try server.fill("step:\(step):", 1...50)
    case .value: try server.command("SET", "large", String(repeating: "x", count: 8 << 20))
    case .transaction:
      let commands: [[any RESPArgument]] =
        [["MULTI"]] + (0..<20).map { ["INCR", "counter:\($0)"] } + [["EXEC"]]
      _ = try server.connect().pipeline(commands)
    case .expiry:
      for index in 0..<50 { try server.command("SET", "short:\(index)", "v", "PX", "300") }
    case .flush: try server.command("FLUSHDB")
    case .save: try await server.save()
    case .rewrite: try await server.rewriteAOF()
    case .turnOffAndOn:
      try server.command("CONFIG", "SET", "appendonly", "no")
      try server.command("SET", "meanwhile", "\(step)")
      try server.command("CONFIG", "SET", "appendonly", "yes")
      try await eventually(deadline: 60, "no rewrite is under way") {
        try server.info("aof_rewrite_in_progress") == "0"
          && server.info("aof_rewrite_scheduled") == "0"
      }
    case .restart, .kill:
      if operation == .kill { _ = server.kill() } else { _ = try await server.shutdown() }
      server = try await RedisServer.start(
        server.version, directory: server.directory, options: ["appendonly": "yes"])
    }
  }

  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `an ordinary life is never said to be less than well`(version: ServerVersion) async throws {
    let place = try Place()
    var server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "first", "1")
    let shown = try Shown(place)
    try await eventually(
      deadline: 90, "all is well",
      condition: { try await shown.run("status").exitCode == 0 },
      state: { shown.command.errorText })

    let clock = ContinuousClock()
    let end = clock.now.advanced(by: .seconds(60 * QuietTests.minutes))
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    var (step, done) = (0, "")
    var (unwellSince, worst): (ContinuousClock.Instant?, (seconds: Double, words: String)) =
      (nil, (0, ""))
    while clock.now < end {
      let operation = Operation.allCases.randomElement(using: &random)!
      step += 1
      done = "step \(step) of seed \(seed), \(operation.rawValue)"
      try await run(operation, &server, step)
      // Poll a few times before the next operation.
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        // The interval of somebody who polls a few times a second. The test is about everything that they
        // see.
        try await Task.sleep(for: .milliseconds(200))
        let status = try await shown.run("status")
        if status.exitCode == 0 {
          unwellSince = nil
        } else {
          let since = unwellSince ?? clock.now
          unwellSince = since
          let seconds = Double((clock.now - since).components.seconds)
          if seconds > worst.seconds { worst = (seconds, "\(done): \(status.outputText)") }
        }
      }
      #expect(shown.command.end == nil, "\(done): \(shown.command.errorText)")
      guard shown.command.end == nil, worst.seconds <= QuietTests.toleratedSeconds else { break }
    }
    #expect(
      worst.seconds <= QuietTests.toleratedSeconds,
      "not well for \(worst.seconds) s, \(worst.words)\n\(shown.command.errorText.suffix(4000))")
    // In normal operation, only uploads, and flushes with their pins, are logged.
    let lines = shown.command.errorText.split(separator: "\n").filter { line in
      !["uploading ", "uploaded ", "FLUSHDB", "the oldest pin"].contains { line.contains($0) }
    }
    let isSteady = lines.count <= 20 && !lines.contains { $0.contains("can't confirm") }
    #expect(isSteady, "\(lines.joined(separator: "\n"))")
    try server.command("SET", "last", "\(step)")
    let sync = try await shown.run("sync", "--wait", "--timeout", "60s")
    #expect(sync.exitCode == 0, "\(sync)")
    let restored = try await RedisServer.start(
      version, directory: try await place.restore(into: "restored"),
      options: ["appendonly": "yes"])
    #expect(try restored.command("GET", "last").string == "\(step)")
  }
}
