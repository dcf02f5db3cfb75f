import HistoryLogic
import RedisFormats
import TestSupport
import Testing

@Suite struct RayTablesTests {
  private func commands(_ lines: [String]) -> [AOFCommandReader.Command] {
    var reader = AOFCommandReader(argumentBytesMax: 1024)
    var found: [AOFCommandReader.Command] = []
    for line in lines {
      let words = line.split(separator: " ").map { Array($0.utf8) }
      var bytes = Array("*\(words.count)\r\n".utf8)
      for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
      bytes.withUnsafeBytes {
        reader.consume($0) { if case .command(let command) = $0 { found.append(command) } }
      }
    }
    return found
  }

  private func tables(_ lines: [String]) -> RayTables {
    var tables = RayTables()
    for command in commands(lines) { tables.apply(command) }
    return tables
  }

  @Test func `clusters are told apart and counted by the tables of their namespace`() {
    let value = String(repeating: "x", count: 5000)
    let found = tables([
      "HSET RAYblue@JOB 01 a 02 b", "HSET RAYblue@ACTOR a1 x", "HSETNX RAYblue@KV session \(value)",
      "HSET RAYblue@KV id 1234", "INCRBY RAYblue@JobCounter 1", "INCR RAYblue@JobCounter",
      "HSET RAYblue@NODE n1 x n2 y n3 z", "HDEL RAYblue@NODE n2 n9", "HSET RAYblue@WORKERS w x",
      "HSET RAYblue@PLACEMENT_GROUP p x", "HSET RAYblue@ACTOR_TASK_SPEC a1 x",
      "HSET RAYb@d@NODE n x", "SELECT 3", "HSET RAYblue@NODE other x", "SELECT 0",
      // Not Ray's.
      "HSET RAY@JOB f v", "HSET blue@JOB f v", "HSET RAYblue@OTHER f v", "SET RAYblue v",
      "HSET RAYblue f v",
    ]).namespaces
    #expect(found.map(\.namespace) == ["b@d", "blue", "blue"])
    #expect(found.map(\.database) == [0, 0, 3])
    #expect(found.allSatisfy { !$0.isEstimate })
    let blue = found[1]
    #expect(blue.jobs == 2 && blue.jobCounter == 2 && blue.actors == 1 && blue.nodes == 2)
    #expect(blue.workers == 1 && blue.placementGroups == 1)
    #expect(blue.entries == 2 && blue.entryBytes == 5004)
    #expect(found[0].nodes == 1 && found[2].nodes == 1)
  }

  @Test func `what removes keys removes tables`() {
    let fill = ["HSET RAYa@JOB 1 x", "INCR RAYa@JobCounter", "SELECT 1", "HSET RAYb@JOB 1 x"]
    func left(_ lines: String...) -> [String] {
      tables(fill + lines).namespaces.map { "\($0.database)/\($0.namespace)" }
    }
    #expect(left() == ["0/a", "1/b"])
    #expect(left("FLUSHALL") == [])
    #expect(left("FLUSHDB") == ["0/a"])
    #expect(left("SWAPDB 0 1") == ["0/b", "1/a"])
    #expect(left("DEL RAYb@JOB") == ["0/a"])
    #expect(left("SELECT 0", "UNLINK RAYa@JOB RAYa@JobCounter") == ["1/b"])
    #expect(left("HDEL RAYb@JOB 1") == ["0/a"])
  }

  @Test func `what is not followed leaves an estimate`() {
    for command in [
      "RENAME RAYa@JOB x", "COPY x RAYa@JOB", "HPEXPIRE RAYa@JOB 1 FIELDS 1 f", "EVAL s 0",
      "RPUSH RAYa@JOB x", "HDEL RAYa@JOB \(String(repeating: "x", count: 2000))",
    ] {
      let found = tables(["HSET RAYa@JOB 1 x 2 y", command]).namespaces
      #expect(found.first?.isEstimate == true, "\(command)")
    }
    #expect(
      tables(["HSET RAYa@JOB 1 x", "RENAME y z", "SET s RAYx@JOB"]).namespaces == [
        tables(["HSET RAYa@JOB 1 x"]).namespaces[0]
      ])
  }

  /// Beyond the number of names that are kept, the counts continue and are marked as estimates.
  @Test func `more fields than are kept are counted`() {
    var made = RayTables()
    for index in 0..<140_000 {
      for command in commands(["HSET RAYa@ACTOR actor\(index) x"]) { made.apply(command) }
    }
    let one = made.namespaces[0]
    #expect(one.actors == 140_000 && one.isEstimate)
    for command in commands(["HSET RAYb@JOB 1 x", "DEL RAYa@ACTOR", "HSET RAYc@JOB 1 x"]) {
      made.apply(command)
    }
    let after = made.namespaces
    #expect(after.map(\.namespace) == ["b", "c"] && after.map(\.isEstimate) == [true, false])
  }

  /// Random commands, compared with dictionaries.
  @Test(arguments: 0..<20) func `counts are those of a model`(_ round: Int) {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SeededRandom(seed: seed)
    var made = RayTables()
    var model: [Int: [String: [String: Int]]] = [:]
    var database = 0
    func random(_ items: [String]) -> String { items[generator.int(0...(items.count - 1))] }
    for _ in 0..<2000 {
      let key = "RAY\(random(["a", "b", "@"]))@\(random(["JOB", "ACTOR", "NODE", "KV"]))"
      let field = "f\(generator.int(0...20))"
      let size = generator.int(1...30)
      var line: String
      switch generator.int(0...99) {
      case 0:
        line = "FLUSHALL"
        model = [:]
      case 1...2:
        line = "FLUSHDB"
        model[database] = nil
      case 3...4:
        line = "SWAPDB 0 1"
        (model[0], model[1]) = (model[1], model[0])
      case 5...9:
        database = generator.int(0...2)
        line = "SELECT \(database)"
      case 10...14:
        line = "UNLINK \(key)"
        model[database]?[key] = nil
      case 15...40:
        line = "HDEL \(key) \(field)"
        model[database]?[key]?[field] = nil
      default:
        line = "HSET \(key) \(field) \(String(repeating: "v", count: size))"
        model[database, default: [:]][key, default: [:]][field] = size
      }
      for command in commands([line]) { made.apply(command) }
    }
    for one in made.namespaces {
      let tables = model[one.database] ?? [:]
      func count(_ table: String) -> UInt64 {
        UInt64(tables["RAY\(one.namespace)@\(table)"]?.count ?? 0)
      }
      #expect(!one.isEstimate && one.jobs == count("JOB"), "seed \(seed)")
      #expect(one.actors == count("ACTOR") && one.nodes == count("NODE"), "seed \(seed)")
      #expect(one.entries == count("KV"), "seed \(seed)")
      let bytes = tables["RAY\(one.namespace)@KV"]?.values.reduce(0, +) ?? 0
      #expect(one.entryBytes == UInt64(bytes), "seed \(seed)")
    }
    let expected = model.flatMap { number, tables in
      tables.filter { !$0.value.isEmpty }.keys.map { key in
        "\(number)/" + key.dropFirst(3)[..<key.lastIndex(of: "@")!]
      }
    }
    #expect(
      Set(made.namespaces.map { "\($0.database)/\($0.namespace)" }) == Set(expected),
      "seed \(seed)")
  }
}
