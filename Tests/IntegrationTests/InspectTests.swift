import BackupLogic
import FoundationEssentials
import TestSupport
import Testing

/// What `inspect` says of a real server's data, against what that server said; and accidents with data
/// like Ray's: they are found, and the command that is printed, run by a shell, undoes them.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun))
struct InspectTests {
  private static let versions: [ServerVersion] = [.v6_2, .v7_0, .v8_2, .valkey9_1]

  enum Accident: String, CaseIterable, Sendable {
    case flushAll, flushDB, deleteEveryKey, unlinkOneByOne, deleteFields, deleteTheBigKey
  }

  /// Ray's tables of two clusters in database 0, some keys of someone else's in database 1.
  private func load(_ client: RESPClient, from: Int, to: Int) throws {
    for index in from...to {
      for (table, every) in [("ACTOR", 2), ("NODE", 9), ("JOB", 7), ("WORKERS", 3), ("KV", 1)]
      where index % every == 0 {
        _ = try client.run([
          "HSET", "RAYblue-1@\(table)", "\(table)-\(index)",
          String(repeating: "\(index)\0\r\n", count: index % 40),
        ])
      }
      if index % 5 == 0 {
        _ = try client.run(["HSETNX", "RAYgreen@KV", "session\(index)", "v\(index)"])
        _ = try client.run(["INCRBY", "RAYblue-1@JobCounter", "1"])
      }
    }
    _ = try client.run(["SELECT", "1"])
    for index in from...to where index % 20 == 0 {
      _ = try client.run(["SET", "other:\(index)", "value"])
    }
    _ = try client.run(["SELECT", "0"])
  }

  private func strings(_ value: RESPValue) -> [String] {
    guard case .array(let items) = value else { return [] }
    return items.compactMap(\.string)
  }

  private func happen(_ accident: Accident, _ client: RESPClient) throws {
    func run(_ arguments: String...) throws { _ = try client.run(arguments) }
    let keys = strings(try client.run(["KEYS", "*"])).sorted()
    switch accident {
    case .flushAll: try run("FLUSHALL")
    case .flushDB: try run("FLUSHDB")
    case .deleteEveryKey:
      for database in ["0", "1"] {
        try run("SELECT", database)
        for key in strings(try client.run(["KEYS", "*"])) { try run("DEL", key) }
      }
    case .unlinkOneByOne: for key in keys { try run("UNLINK", key) }
    case .deleteFields:
      for key in keys where !key.hasSuffix("JobCounter") {
        for field in strings(try client.run(["HKEYS", key])) { try run("HDEL", key, field) }
      }
    case .deleteTheBigKey: try run("DEL", "RAYblue-1@KV")
    }
  }

  @Test(arguments: versions, Accident.allCases)
  func `what inspect prints undoes it, run by a shell`(version: ServerVersion, accident: Accident)
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    let client = try server.connect()
    // In the full copy, written again behind it, and new behind it.
    try load(client, from: 1, to: 200)
    try await server.rewriteAOF()
    try load(client, from: 180, to: 240)
    // The one key that most of it is in.
    if accident == .deleteTheBigKey {
      for index in 0..<500 { _ = try client.run(["HSET", "RAYblue-1@KV", "more\(index)", "v"]) }
    }
    let before = try await server.dataset()
    try happen(accident, client)
    #expect(try await server.dataset() != before)
    try server.command("SET", "life", "goes on")
    _ = try await server.shutdown()
    try await place.shipOnce()

    let inspected = try await place.run("inspect", [])
    let lines = inspected.outputText.split(separator: "\n").map(String.init)
    let printed = lines.filter { $0.hasPrefix("  lifeboat restore") }
    try #require(printed.count == 1, "\(inspected)")
    let target = try place.folder.makeDirectory("restored")
    try await shell(printed[0], place, target)
    let restored = try await RedisServer.start(
      version, directory: target, options: ["appendonly": "yes"])
    defer { _ = restored.kill() }
    #expect(try await before.difference(to: restored.dataset(), limit: 5) == [])
  }

  /// As it was printed, pasted into a shell.
  private func shell(_ line: String, _ place: Place, _ target: String) async throws {
    let folder = LifeboatCommand.path.split(separator: "/", omittingEmptySubsequences: false)
      .dropLast().joined(separator: "/")
    let process = try ChildProcess(
      "/bin/sh",
      [
        "-c", "PATH='\(folder)':$PATH; " + line.replacing("--data DIR", with: "--data '\(target)'"),
      ],
      directory: place.folder.path, output: .file(place.folder("out")),
      errors: .file(place.folder("err")))
    let end = try await process.wait(deadline: 120)
    let said = try TestFiles.text(place.folder("out")) + TestFiles.text(place.folder("err"))
    #expect(end == .exited(0), "\(line): \(end)\n\(said)")
  }

  private struct Shown: Decodable {
    struct Key: Decodable {
      var name: String
      var database: Int
      var type: String
      var elements: UInt64
      var bytes: UInt64
    }
    struct Prefix: Decodable {
      var prefix: String?
      var keys: UInt64
      var elements: UInt64
    }
    struct Keys: Decodable {
      var largest: [Key]
      var prefixes: [Prefix]
      var prefixErrorBytes: UInt64?
    }
    struct Cluster: Decodable {
      var namespace: String
      var database: Int
      var jobs: Int
      var jobCounter: Int?
      var actors: Int
      var nodes: Int
      var workers: Int
      var entries: Int
      var entryBytes: Int
      var isEstimate: Bool
    }
    struct File: Decodable {
      var keys: Keys?
    }
    var keys: Keys?
    var ray: [Cluster]?
    var files: [File]?
  }

  private func shown(_ result: CommandResult) throws -> Shown {
    try #require(result.exitCode == 0, "\(result)")
    return try JSONDecoder().decode(Shown.self, from: Data(result.outputText.utf8))
  }

  @Test(arguments: versions)
  func `the clusters of a point are what the server counted then`(version: ServerVersion)
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    let client = try server.connect()
    func count(_ key: String) throws -> Int { try client.run(["HLEN", key]).integer ?? -1 }
    func check(_ clusters: [Shown.Cluster]?, _ expected: [String: Int], _ where: String) {
      let blue = clusters?.first { $0.namespace == "blue-1" }
      let green = clusters?.first { $0.namespace == "green" }
      #expect(clusters?.count == 2 && clusters?.contains { $0.isEstimate } == false, "\(`where`)")
      #expect(blue?.jobs == expected["JOB"] && blue?.actors == expected["ACTOR"], "\(`where`)")
      #expect(blue?.nodes == expected["NODE"] && blue?.workers == expected["WORKERS"], "\(`where`)")
      #expect(
        blue?.entries == expected["KV"] && blue?.entryBytes == expected["bytes"], "\(`where`)")
      #expect(blue?.jobCounter == expected["counter"], "\(`where`)")
      #expect(green?.entries == expected["green"] && green?.jobs == 0, "\(`where`)")
    }
    func expected() throws -> [String: Int] {
      var expected: [String: Int] = [:]
      for table in ["JOB", "ACTOR", "NODE", "WORKERS", "KV"] {
        expected[table] = try count("RAYblue-1@\(table)")
      }
      expected["bytes"] = strings(try client.run(["HVALS", "RAYblue-1@KV"])).reduce(0) {
        $0 + $1.utf8.count
      }
      expected["counter"] = try client.run(["GET", "RAYblue-1@JobCounter"]).string.flatMap {
        Int($0)
      }
      expected["green"] = try count("RAYgreen@KV")
      return expected
    }
    try load(client, from: 1, to: 300)
    try await server.rewriteAOF()
    try load(client, from: 250, to: 350)
    _ = try client.run(["HDEL", "RAYblue-1@ACTOR", "ACTOR-2", "ACTOR-340", "nobody"])
    _ = try client.run(["DEL", "RAYblue-1@WORKERS"])
    _ = try client.run(["HSET", "RAYblue-1@KV", "package", String(repeating: "p", count: 70_000)])
    let early = try expected()
    try await place.shipOnce()
    let point = try #require(try await place.run("inspect", ["--json"]).jsonText("point"))
    for index in 1...40 { _ = try client.run(["HDEL", "RAYblue-1@JOB", "JOB-\(index * 7)"]) }
    try load(client, from: 400, to: 420)
    let late = try expected()
    #expect(late != early)
    _ = try await server.shutdown()
    try await place.shipOnce()
    check(try shown(await place.run("inspect", ["--json"])).ray, late, "newest")
    check(
      try shown(await place.run("inspect", ["--json", "--point", point])).ray, early, "at \(point)")
    let data = try await LifeboatCommand.run(["inspect", "--data", place.data, "--json"])
    check(try shown(data).ray, late, "in the directory")
    let text = try await place.run("inspect", []).outputText
    #expect(text.contains("namespace blue-1: ") && text.contains("externalStorageNamespace"))
  }

  @Test(arguments: versions)
  func `the largest keys and prefixes are those of the load`(version: ServerVersion) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "rdbcompression": "no"])
    let client = try server.connect()
    // Twelve keys of every kind, each half as large again as the one before.
    var expected: [(name: String, type: String, elements: UInt64)] = []
    var count = 100
    for index in 0..<12 {
      let (add, type) =
        [
          (["RPUSH"], "list"), (["SADD"], "set"), (["HSET"], "hash"), (["ZADD"], "zset"),
          (["SET"], "string"), (["XADD"], "stream"),
        ][index % 6]
      let name = "large\(index % 3):\(index)\u{1}é"
      let item = { (number: Int) in "item-\(number)-0123456789012345678901234567890123456789" }
      if type == "string" {
        _ = try client.run(add + [name, String(repeating: "0123456789", count: count * 5)])
      } else {
        for number in 0..<count {
          switch type {
          case "hash": _ = try client.run(add + [name, item(number), "v"])
          case "zset": _ = try client.run(add + [name, "\(number)", item(number)])
          case "stream": _ = try client.run(add + [name, "*", "f", item(number)])
          default: _ = try client.run(add + [name, item(number)])
          }
        }
      }
      expected.append((name, type, type == "string" ? 0 : UInt64(count)))
      count += count / 2
    }
    for index in 0..<300 { _ = try client.run(["SET", "small:\(index)", "v"]) }
    for index in 0..<30 { _ = try client.run(["SET", "plain\(index)", "v"]) }
    try await server.rewriteAOF()
    _ = try await server.shutdown()
    try await place.shipOnce()
    let repository = try #require(try shown(await place.run("inspect", ["--json"])).keys)
    let data = try await LifeboatCommand.run(["inspect", "--data", place.data, "--json"])
    let directory = try #require(try shown(data).files?.compactMap(\.keys).last)
    for keys in [repository, directory] {
      #expect(keys.largest.count == 10 && keys.prefixErrorBytes == nil)
      #expect(keys.largest.map(\.bytes) == keys.largest.map(\.bytes).sorted(by: >))
      for key in keys.largest {
        let known = expected.first {
          $0.name.replacing("\u{1}", with: "\\u{1}").replacing("é", with: "\\u{e9}") == key.name
        }
        #expect(known?.type == key.type && known?.elements == key.elements, "\(key)")
      }
      // The two smallest of twelve are not among them.
      #expect(!keys.largest.contains { $0.name.hasPrefix("large0:0\\") })
      var prefixes: [String: UInt64] = [:]
      for prefix in keys.prefixes { prefixes[prefix.prefix ?? ""] = prefix.keys }
      #expect(
        prefixes == ["large0:": 4, "large1:": 4, "large2:": 4, "small:": 300, "": 30])
    }
  }

  /// Whoever has no log, only dumps, sees between which of them it went.
  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `between two dumps half is gone`(version: ServerVersion) async throws {
    let place = try Place()
    let server = try await RedisServer.start(version, directory: place.data)
    try load(try server.connect(), from: 1, to: 200)
    let before = try await server.dataset()
    try await server.save()
    try await place.shipOnce()
    try server.command("FLUSHALL")
    try server.command("SET", "life", "goes on")
    try await nextSecond()
    try await server.save()
    _ = server.kill()
    try await place.shipOnce()
    let inspected = try await place.run("inspect", [])
    #expect(inspected.outputText.contains("between the full copies of "), "\(inspected)")
    let lines = inspected.outputText.split(separator: "\n").map(String.init)
    let line = try #require(lines.last { $0.hasPrefix("  lifeboat restore") }, "\(inspected)")
    let target = try place.folder.makeDirectory("restored")
    try await shell(line, place, target)
    let restored = try await RedisServer.start(version, directory: target)
    defer { _ = restored.kill() }
    #expect(try await before.difference(to: restored.dataset(), limit: 5) == [])
  }
}
