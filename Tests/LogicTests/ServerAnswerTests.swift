import BackupFormat
import HistoryLogic
import Testing

@Suite struct ServerAnswerTests {
  @Test(arguments: [
    "Internal error in RDB reading offset 0, function at rdb.c:3107 -> The RDB file contains module data I can't "
      + "load: no matching module type 'vectorset'",
    "RDB load key metadata failed: Class 'KMT1' not registered or missing rdb_load()",
    "Can't handle RDB format version 14",
    "Can't handle foreign type or opcode 25 in RDB with version 12",
    "Unknown command 'XNACK' reading the append only file appendonly.aof.1.incr.aof",
    "Wrong signature trying to load DB from file",
  ])
  func `a server that does not fit says so`(words: String) {
    #expect(ServerAnswer.misfit("1:M # \(words) | exiting") != nil)
  }

  @Test(arguments: [
    "Wrong RDB checksum expected: (1) but got (2). Aborting now.",
    "Bad file format reading the append only file appendonly.aof.1.incr.aof: make a backup",
    "Short read or OOM loading DB. Unrecoverable error, aborting now.", "",
  ])
  func `a server that speaks of damage does not`(words: String) {
    #expect(ServerAnswer.misfit(words) == nil)
  }

  @Test func `the version of a file tells which servers load it`() {
    func oldest(_ version: Int) -> String? {
      DatasetRecord(
        server: nil, rdbVersion: version, isValkey: false, databases: [], functions: 0
      ).oldestServer
    }
    #expect(oldest(11) == "Redis 7.2, Valkey 7.2" && oldest(12) == "Redis 7.4")
    #expect(oldest(15) == "Redis 8.10" && oldest(81) == "Valkey 9.2")
    #expect(oldest(0) == nil && oldest(16) == nil && oldest(79) == nil)
  }

  @Test func `the keyspace is compared by keys`() throws {
    let text =
      "# Keyspace\r\ndb0:keys=45,expires=4,avg_ttl=0,subexpiry=2\r\ndb3:keys=2,expires=0,avg_ttl=0\r\n"
    let found = try #require(ServerAnswer.keyspace(text))
    let recorded = DatasetRecord(
      server: nil, rdbVersion: 14, isValkey: false,
      databases: [
        .init(number: 0, keys: 45, expires: 4, types: [:]),
        .init(number: 3, keys: 2, expires: 0, types: [:]),
      ], functions: 0)
    #expect(ServerAnswer.differences(recorded: recorded, keyspace: found).isEmpty)
    var fewer = found
    fewer[3] = nil
    fewer[0] = (45, 3)
    #expect(
      ServerAnswer.differences(recorded: recorded, keyspace: fewer) == [
        "db 0, keys with an expiry: recorded 4, found 3", "db 3, keys: recorded 2, found 0",
      ])
    #expect(ServerAnswer.keyspace("db0:keys=x,expires=1") == nil)
    #expect(ServerAnswer.keyspace("# Keyspace\r\n")?.isEmpty == true)
  }
}
