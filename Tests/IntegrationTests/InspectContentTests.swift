import FoundationEssentials
import HistoryLogic
import Recovery
import TestSupport
import Testing

/// Compares what `inspect` says about a real server's data with what that server says.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct InspectContentTests {
  private static let versions: [ServerVersion] = [.v6_2, .v7_0, .v8_2, .valkey9_1]

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
      expected["bytes"] = RayLike.strings(try client.run(["HVALS", "RAYblue-1@KV"])).reduce(0) {
        $0 + $1.utf8.count
      }
      expected["counter"] = try client.run(["GET", "RAYblue-1@JobCounter"]).string.flatMap {
        Int($0)
      }
      expected["green"] = try count("RAYgreen@KV")
      return expected
    }
    try RayLike.load(client, from: 1, to: 300)
    try await server.rewriteAOF()
    try RayLike.load(client, from: 250, to: 350)
    _ = try client.run(["HDEL", "RAYblue-1@ACTOR", "ACTOR-2", "ACTOR-340", "nobody"])
    _ = try client.run(["DEL", "RAYblue-1@WORKERS"])
    _ = try client.run(["HSET", "RAYblue-1@KV", "package", String(repeating: "p", count: 70_000)])
    let early = try expected()
    try await place.shipOnce()
    let point = try #require(try await place.run("inspect", ["--json"]).jsonText("point"))
    for index in 1...40 { _ = try client.run(["HDEL", "RAYblue-1@JOB", "JOB-\(index * 7)"]) }
    try RayLike.load(client, from: 400, to: 420)
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
    // Twelve keys of every kind, each 1.5 times as large as the one before.
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

  /// The fields of the record of a full copy, as in the format.
  private static let recordFields: Set<String> = [
    "databases", "expires", "functions", "isValkey", "number", "rdbVersion", "server", "types",
    "hash", "string",
  ]

  @Test func `every field is documented`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    let client = try server.connect()
    try RayLike.load(client, from: 1, to: 100)
    _ = try client.run(["SET", "expires", "soon", "EX", "1000"])
    try await server.rewriteAOF()
    try RayLike.happen(.deleteEveryKey, client)
    _ = try await server.shutdown()
    try await place.shipOnce()
    let page = try TestFiles.text(Checkout.root + "/docs/scripting.md")
    let data = try await LifeboatCommand.run(["inspect", "--data", place.data, "--json"])
    for result in [try await place.run("inspect", ["--json"]), data] {
      let kind = result.arguments.contains("--data") ? "--data" : "--repo"
      let row = try #require(
        page.split(separator: "\n").first { $0.hasPrefix("| `inspect \(kind) --json`") })
      // The row does not repeat what the other row has.
      let shared = try #require(
        page.split(separator: "\n").first { $0.hasPrefix("| `inspect --repo --json`") })
      for match in result.outputText.matches(of: #/"(\w+)" :/#) {
        let field = String(match.output.1)
        guard !InspectContentTests.recordFields.contains(field) else { continue }
        #expect(
          row.contains("`\(field)`") || shared.contains("`\(field)`"),
          "\(kind): \(field) is not in docs/scripting.md")
      }
    }
  }
}
