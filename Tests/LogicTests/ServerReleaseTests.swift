import BackupFormat
import HistoryLogic
import Testing

@Suite struct ServerReleaseTests {
  @Test(
    arguments: [
      ("redis 7.4.1", "redis 7.4.0", true), ("redis 7.4.1", "redis 7.2.4", false),
      ("redis 6.2.6", "redis 8.2.1", true), ("redis 7.2.4", "valkey 9.1.0", true),
      ("redis 7.4.0", "valkey 9.1.0", false), ("valkey 8.0.1", "valkey 9.1.0", true),
      ("valkey 8.0.1", "redis 8.2.1", false), ("valkey 9.1.0", "valkey 8.1.0", false),
    ])
  func `a server of the recorded line or newer may load it`(
    _ recorded: String, _ server: String, _ loads: Bool
  ) throws {
    let one = try #require(ServerRelease(recorded: recorded))
    let other = try #require(ServerRelease(recorded: server))
    #expect(other.canLoad(one) == loads)
  }

  @Test(
    arguments: [
      ("redis-7.4", "redis 7.4"), ("valkey-9.1", "valkey 9.1"), ("Valkey 8.0", "valkey 8.0"),
      ("7.4", "redis 7.4"), ("6.2.14", "redis 6.2.14"), ("8.2", "redis 8.2"),
      ("8.10", "redis 8.10"),
      // Redis or Valkey.
      ("7.2", nil), ("8.0", nil), ("8.1.3", nil), ("9.0", nil), ("9.2", nil),
      ("", nil), ("7", nil), ("keydb-6.3", nil), ("redis-7.x", nil), ("redis-", nil),
      ("7.4-rc1", nil),
      ("redis-7.4 ", nil), ("-7.4", nil), ("0.1", nil),
    ] as [(String, String?)])
  func `a server is named by product and line`(_ text: String, _ expected: String?) {
    #expect(ServerRelease(said: text)?.description == expected)
  }

  @Test(
    arguments: [
      (9, "redis-6.2", true), (10, "redis-6.2", false), (10, "redis-7.0", true),
      (11, "redis-7.0", false), (11, "redis-7.2", true), (11, "valkey-7.2", true),
      (12, "redis-7.2", false), (12, "redis-8.2", true), (12, "valkey-9.1", false),
      (13, "redis-8.4", false), (13, "redis-8.6", true), (15, "redis-8.8", false),
      (15, "redis-8.10", true), (80, "redis-8.10", false), (80, "valkey-8.1", false),
      (80, "valkey-9.0", true), (81, "valkey-9.1", false), (81, "valkey-9.2", true),
      (16, "redis-8.10", nil), (99, "valkey-9.2", nil), (0, "redis-8.10", nil),
    ] as [(Int, String, Bool?)])
  func `the version of a file says which servers load it`(
    _ version: Int, _ server: String, _ loads: Bool?
  ) throws {
    let record = DatasetRecord(
      server: nil, rdbVersion: version, isValkey: version >= 80, databases: [], functions: 0)
    #expect(record.loads(in: try #require(ServerRelease(said: server))) == loads)
  }

  @Test func `the first line of --version is understood, and nothing else`() {
    let redis = ServerRelease(
      versionLine: "Redis server v=7.4.1 sha=00000000:0 malloc=libc bits=64 build=1\n")
    #expect(redis?.description == "redis 7.4.1")
    #expect(
      ServerRelease(versionLine: "Valkey server v=9.1.2 sha=0:0")?.description == "valkey 9.1.2")
    for text in ["", "bash, version 5", "Redis server", "Redis server v=x", "KeyDB server v=6.3.4"]
    {
      #expect(ServerRelease(versionLine: text) == nil, "\(text)")
    }
  }
}
