import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import Testing

/// A run of removals that removes half of the keys or of the elements is a drop. What an application removes
/// in normal operation is not.
@Suite struct LogSearchDropTests {
  /// The drops in these commands. Each command is a second after the previous one, and `@60` lets a minute
  /// pass.
  private func drops(
    _ lines: [String], copy: DatasetRecord? = nil, census: EntryCensus? = nil
  ) -> [LogSearch.Occurrence] {
    var search = LogSearch(.drops, copy: copy, census: census)
    var reader = AOFCommandReader(argumentBytesMax: 1024)
    var seconds: Int64 = 1000
    for line in lines {
      if line.hasPrefix("@") {
        seconds += Int64(line.dropFirst())!
        continue
      }
      let words = line.split(separator: " ").map { Array($0.utf8) }
      var bytes = Array("*\(words.count)\r\n".utf8)
      for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
      bytes.withUnsafeBytes {
        reader.consume($0) { event in
          guard case .command(let command) = event else { return }
          let place = LogPosition(timeline: .first, ordinal: 1, offset: command.start)
          search.take(event, at: place, seenAt: Instant(seconds: seconds))
        }
      }
    }
    search.finish()
    return search.occurrences
  }

  @Test func `what newer servers remove by name is a drop, too`() {
    let copy = record(keys: 1, elements: 100)
    let fields = (0..<60).map { "f\($0)" }.joined(separator: " ")
    #expect(drops(["HGETDEL h FIELDS 60 \(fields)"], copy: copy).map(\.command) == ["HGETDEL"])
    #expect(drops(["VREM h a", "SET x 1"], copy: copy).isEmpty)
    let keys = record(keys: 4, elements: 4)
    #expect(
      drops(["DELEX a", "DELIFEQ b v", "DELEX c"], copy: keys).map(\.keysRemoved) == [3])
    #expect(
      drops(["SET a 1", "CLUSTER FLUSHSLOT 7 SYNC"]).map(\.command) == ["CLUSTER FLUSHSLOT"])
    #expect(drops(["SET a 1", "TRIMSLOTS RANGES 1 0 9"]).isEmpty, "a migration is no accident")
  }

  /// `--before GETDEL` finds it, although a server logs it as DEL.
  @Test func `a command is found as what it becomes in the log`() {
    func found(_ wanted: String, _ words: [String]) -> Int {
      var search = LogSearch(.command(wanted), copy: nil)
      var reader = AOFCommandReader()
      var bytes = Array("*\(words.count)\r\n".utf8)
      for word in words { bytes += Array("$\(word.utf8.count)\r\n\(word)\r\n".utf8) }
      bytes.withUnsafeBytes {
        reader.consume($0) {
          search.take(
            $0, at: LogPosition(timeline: .first, ordinal: 1, offset: 0),
            seenAt: Instant(seconds: 1))
        }
      }
      return search.occurrences.count
    }
    #expect(found("GETDEL", ["DEL", "a"]) == 1)
    #expect(found("HGETDEL", ["HDEL", "a", "f"]) == 1)
    #expect(found("HGETDEL", ["HGETDEL", "a", "FIELDS", "1", "f"]) == 1)
    #expect(found("DELEX", ["DELEX", "a"]) == 1 && found("DELEX", ["DEL", "a"]) == 1)
    #expect(found("UNLINK", ["DEL", "a"]) == 0 && found("DEL", ["UNLINK", "a"]) == 0)
  }

  private func record(keys: UInt64, elements: UInt64, type: String = "hash") -> DatasetRecord {
    DatasetRecord(
      server: nil, rdbVersion: 10, isValkey: false,
      databases: [
        .init(
          number: 0, keys: keys, expires: 0,
          types: [type: .init(keys: keys, elements: elements, bytes: 0)])
      ], functions: 0)
  }

  /// A census of hashes with this many fields each: `field0` and so on.
  private func census(_ hashes: [String: Int]) -> EntryCensus {
    var census = EntryCensus()
    for (name, count) in hashes {
      _ = census.begin(Array(name.utf8), database: 0, type: "hash")
      for index in 0..<count { census.take(element: Array("field\(index)".utf8)) }
      census.end(
        RDBKeyFacts(
          name: Array(name.utf8), database: 0, type: "hash", elements: UInt64(count), bytes: 1,
          expiresAt: nil))
    }
    return census
  }

  private let fill = (0..<200).map { "HSET ray:\($0 % 4) field\($0) value" }

  @Test func `fields, members and scores that are removed one by one`() {
    let rows = [
      "HDEL": (fill, (0..<200).map { "HDEL ray:\($0 % 4) field\($0)" }),
      "SREM": (
        (0..<200).map { "SADD s\($0 % 4) m\($0)" }, (0..<200).map { "SREM s\($0 % 4) m\($0)" }
      ),
      "ZREM": (
        (0..<200).map { "ZADD z\($0 % 4) NX CH \($0).5 m\($0)" },
        (0..<200).map { "ZREM z\($0 % 4) m\($0)" }
      ),
    ]
    for (name, (before, removal)) in rows {
      let found = drops(before + removal + ["SET life on"])
      #expect(found.count == 1 && found[0].command == name && found[0].isRow, "\(name)")
      #expect(found.first?.entriesBefore == 200 && found.first?.entriesRemoved == 200, "\(name)")
      #expect(found.first?.keysRemoved == nil && found.first?.keysBefore == 4, "\(name)")
      #expect(drops(before + removal.prefix(99)).isEmpty, "\(name): less than half")
      #expect(drops(before + removal.prefix(100)).count == 1, "\(name): half")
    }
    // In one command and in a transaction.
    let many = (0..<200).map { "field\($0)" }.joined(separator: " ")
    let one = drops(fill + ["MULTI"] + (0..<4).map { "HDEL ray:\($0) \(many)" } + ["EXEC"])
    #expect(one.count == 1)
  }

  @Test func `one key that held nearly everything`() {
    let strings = (0..<20).map { "SET s\($0) v" }
    let big = (0..<300).map { "HSET big field\($0) v" }
    let found = drops(strings + big + ["DEL big"])
    #expect(found.count == 1 && found[0].entriesBefore == 320 && found[0].entriesRemoved == 300)
    #expect(found.first?.keysRemoved == 1)
    #expect(drops(strings + big + ["DEL s1"]).isEmpty)
    // The key is in the full copy, so its size is only known from the census.
    let copy = record(keys: 20, elements: 300)
    let known = drops(
      ["SET x 1", "UNLINK big"], copy: copy, census: census(["big": 280, "o": 20]))
    #expect(known.count == 1 && known[0].entriesRemoved == 280 && known[0].keysRemoved == 1)
    #expect(
      drops(["SET x 1", "UNLINK o"], copy: copy, census: census(["big": 280, "o": 20])) == [])
    #expect(drops(["UNLINK big"], copy: copy).isEmpty, "nothing is known of it")
  }

  @Test func `a small copy is known field by field: what is written again counts once`() {
    let copy = record(keys: 2, elements: 100)
    let again = (0..<3).flatMap { round in (0..<100).map { "HSET a field\($0) \(round)" } }
    let removal = (0..<60).map { "HDEL a field\($0)" }
    let known = drops(again + removal, copy: copy, census: census(["a": 100]))
    #expect(known.count == 1 && known[0].entriesBefore == 100)
    // Without the census, the fields count twice. This can hide a drop, but never makes a false one.
    #expect(drops(again + removal, copy: copy).isEmpty)
    let all = (0..<100).map { "HDEL a field\($0)" }
    #expect(drops(again + all, copy: copy).count == 1)
  }

  @Test func `what comes and goes is no drop`() {
    let locks = (0..<500).flatMap { ["SET lock:\($0 % 3) 1", "DEL lock:\($0 % 3)"] }
    let keys = (0..<10).map { "SET key\($0) v" }
    #expect(drops(keys + locks).isEmpty)
    let registry = (0..<500).flatMap { ["HSET jobs job\($0) v", "HDEL jobs job\($0)"] }
    #expect(drops(fill + registry).isEmpty)
    let queue = (0..<100).map { "RPUSH queue a\($0) b" } + (0..<200).map { _ in "LPOP queue" }
    #expect(drops(queue + queue).isEmpty)
    let capped =
      (0..<500).map { "XADD stream MAXLEN ~ 10 * f v\($0)" } + ["XTRIM stream MAXLEN = 0"]
    #expect(drops(capped).isEmpty)
    // Almost no data.
    #expect(drops(["HSET h a 1 b 2", "HDEL h a b", "SET s 1", "DEL s"]).isEmpty)
  }

  @Test func `a row begins where the removal does`() {
    let removal = (0..<200).map { "HDEL ray:\($0 % 4) field\($0)" }
    let before = fill + ["HDEL ray:0 field0"]
    func start(_ between: [String]) -> UInt64? {
      drops(before + between + removal).first?.before.offset
    }
    let first = start([])
    // A field that was removed a while ago or before other work does not belong to the drop.
    #expect(start(["@61"]) != first)
    #expect(start(["SET a 1", "SET b 2"]) != first)
    // A lock that is set and deleted does not move the start of the drop.
    let locks = (0..<50).flatMap { ["SET lock:\($0) 1", "DEL lock:\($0)"] }
    let found = drops(fill + locks + removal)
    #expect(found.count == 1)
    #expect((found.first?.entriesBefore ?? 0) >= 200)
    let plain = drops(fill + locks)
    #expect(plain.isEmpty)
  }

  @Test func `a flush tells what it took`() {
    let two = ["SELECT 0"] + fill + ["SELECT 1"] + (0..<50).map { "SET s\($0) v" }
    let one = drops(two + ["FLUSHDB"])
    #expect(one.count == 1 && one[0].keysBefore == 54 && one[0].entriesBefore == 250)
    #expect(one.first?.entriesRemoved == 50)
    let all = drops(two + ["FLUSHALL", "SET a 1"])
    #expect(all.first?.entriesRemoved == 250 && all.first?.keysRemoved == 54)
  }

  /// Hostile counts and database numbers only change the estimate.
  @Test func `nothing overflows`() {
    let lines =
      (0..<9000).map { "SELECT \($0 * 1_000_003)" }.flatMap { [$0, "SET a 1", "HDEL a f g"] } + [
        "LPOP l 18446744073709551615", "LTRIM l 0 18446744073709551615", "SELECT -5",
        "XTRIM s MAXLEN 99999999999999999999", "LTRIM l 5 2", "SWAPDB 1 1", "ZADD z", "HSET h",
        "SPOP s -1", "MOVE a -9223372036854775808", "RENAME a",
      ]
    let copy = record(keys: .max, elements: .max)
    var huge = copy
    for number in 1..<5000 {
      huge.databases.append(
        .init(
          number: number, keys: .max / 2, expires: 0,
          types: ["set": .init(keys: 1, elements: .max, bytes: 0)]))
    }
    for one in [copy, huge] {
      #expect(drops(lines + ["FLUSHALL"], copy: one).last?.command == "FLUSHALL")
    }
  }
}
