import BackupTypes
import TestSupport
import Testing

/// Someone removed everything. `inspect` finds it, and the command that it prints undoes it.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct RewindTests {
  enum Accident: String, CaseIterable, Sendable {
    case flushAll, flushDB, oneByOne, inTransaction
  }

  private func happen(_ accident: Accident, _ server: RedisServer, _ keys: [String]) throws {
    switch accident {
    case .flushAll: try server.command("FLUSHALL")
    case .flushDB: try server.command("FLUSHDB")
    case .oneByOne: for key in keys { try server.command("DEL", key) }
    case .inTransaction:
      let client = try server.connect()
      for command in [["MULTI"], ["SET", "late", "1"], ["FLUSHALL"], ["EXEC"]] {
        _ = try client.run(command)
      }
    }
  }

  @Test(arguments: ServerVersion.allCases, Accident.allCases)
  func `the command that inspect prints brings the data back`(
    version: ServerVersion, accident: Accident
  ) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    var keys: [String] = []
    for index in 1...40 {
      keys.append("key:\(index)\r\n*1\r\n$8\r\nFLUSHALL\r\n")
      try server.command("SET", keys.last!, "#TS:\(index)\r\n\0*1\r\n$8\r\nFLUSHALL\r\n")
    }
    // One part is read from a full copy, the other from the log.
    try await server.rewriteAOF()
    for index in 1...10 {
      keys.append("hash:\(index)")
      try server.command("HSET", keys.last!, "field", "value", "other", "\(index)")
    }
    let before = try await server.dataset()
    try happen(accident, server, keys)
    try server.command("SET", "life", "goes on")
    _ = try await server.shutdown()
    try await place.shipOnce()

    let inspected = try await place.run("inspect", [])
    let lines = inspected.outputText.split(separator: "\n").map(String.init)
    let line = try #require(
      lines.last { $0.hasPrefix("  lifeboat restore") }, "nothing was found: \(inspected)")
    var words = line.split(separator: " ").map { $0.filter { $0 != "'" } }
    #expect(words.removeFirst() == "lifeboat")
    let target = try place.folder.makeDirectory("restored")
    words[words.count - 1] = target
    let restored = try await LifeboatCommand.run(words)
    try #require(restored.exitCode == 0, "\(restored)")
    try await compare(before, version, target)

    if accident != .oneByOne {
      let name = accident == .flushDB ? "flushdb" : "flushall"
      let again = try await place.restore(into: "before", "--before", name)
      try await compare(before, version, again)
    }
  }

  private func compare(_ expected: Dataset, _ version: ServerVersion, _ directory: String)
    async throws
  {
    let server = try await RedisServer.start(
      version, directory: directory, options: ["appendonly": "yes"])
    defer { _ = server.kill() }
    #expect(try await expected.difference(to: server.dataset(), limit: 5) == [])
  }

  /// With annotations, `--at` is exact to the second of the server's clock, whenever the log was shipped.
  @Test(arguments: [ServerVersion.v7_0, .v7_4, .v8_2, .valkey9_1])
  func `to the second, with annotations`(version: ServerVersion) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data,
      options: ["appendonly": "yes", "appendfsync": "always", "aof-timestamp-enabled": "yes"])
    try server.command("SET", "before", "the log was shipped")
    let ship = try place.ship("--ship-interval", "200ms")
    try await eventually(
      deadline: 60, "a restore point", condition: { await place.newest() != nil },
      state: { ship.errorText })
    // The value at the end of each second of the server's clock.
    var last: [Int: String] = [:]
    var first: Int?
    try await eventually(
      deadline: 60, "six seconds passed",
      condition: {
        guard case .array(let parts) = try server.command("TIME"), let text = parts.first?.string,
          let second = Int(text)
        else { return false }
        first = first ?? second
        try server.command("SET", "second", "\(second)")
        guard case .array(let after) = try server.command("TIME"),
          after.first?.string == text
        else { return false }
        last[second] = "\(second)"
        return second >= first! + 6
      }, state: { "\(last)" })
    _ = try await server.shutdown()
    _ = try await ship.terminate()
    for second in (first! + 2)...(first! + 5) {
      let target = try await place.restore(into: "at-\(second)", "--at", "\(second)")
      let restored = try await RedisServer.start(
        version, directory: target, options: ["appendonly": "yes"])
      defer { _ = restored.kill() }
      #expect(try restored.command("GET", "second").string == "\(second)")
    }
  }
}
