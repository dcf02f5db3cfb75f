import RedisFormats
import TestSupport
import Testing

/// The texts are from real servers: a primary with a key, its replica, and the replica after REPLICAOF NO
/// ONE.
@Suite struct ReplicationInfoTests {
  private static let servers = [
    "redis-6.2.5", "redis-7.0.15", "redis-7.4.1", "redis-8.2.3", "valkey-9.1.2",
  ]

  private static func bytes(_ server: String, _ kind: String) throws -> [UInt8] {
    // With CRLF, as a server sends it.
    try fixture("info-\(server)-\(kind).txt").flatMap { $0 == 10 ? [13, 10] : [$0] }
  }

  private static func info(_ server: String, _ kind: String) throws -> ReplicationInfo {
    ReplicationInfo(parsing: try bytes(server, kind))
  }

  @Test(arguments: servers) func aPrimary(server: String) throws {
    let info = try Self.info(server, "primary")
    let parts = server.split(separator: "-")
    #expect(info.product == (parts[0] == "valkey" ? .valkey : .redis))
    #expect(info.version == String(parts[1]))
    #expect(info.role == .primary && info.upstream == nil)
    #expect(info.historyID?.count == 40 && info.runID?.count == 40)
    #expect(info.historyID != info.runID)
    #expect(info.formerHistoryID == nil && info.formerHistoryEnd == nil)
    #expect(info.offset ?? 0 > 0 && info.backlogStart == 1)
    #expect(info.backlogBytesMax == (parts[0] == "valkey" ? 10 << 20 : 1 << 20))
    #expect(info.hasData == true && info.usedMemory ?? 0 > 500_000)
    #expect(info.hasAppendOnlyFile == false)
    #expect(!info.isLoading && !info.isSaving && !info.isRewriting && !info.isFailingOver)
    #expect(!info.isCluster && !info.isSentinel)
  }

  @Test(arguments: servers) func itsReplica(server: String) throws {
    let primary = try Self.info(server, "primary")
    let info = try Self.info(server, "replica")
    #expect(info.role == .replica && info.historyID == primary.historyID)
    #expect(info.runID != primary.runID && info.offset == primary.offset)
    let upstream = try #require(info.upstream)
    #expect(upstream.host == "127.0.0.1" && upstream.port > 17_000)
    #expect(upstream.isUp && !upstream.isSyncing)
  }

  @Test(arguments: servers) func thePromotedReplica(server: String) throws {
    let before = try Self.info(server, "replica")
    let info = try Self.info(server, "promoted")
    #expect(info.role == .primary && info.upstream == nil && info.runID == before.runID)
    #expect(info.formerHistoryID == before.historyID && info.historyID != before.historyID)
    // The first byte that the former history does not share.
    #expect(info.formerHistoryEnd == (before.offset ?? 0) + 1)
  }

  @Test func whatIsUnderWay() {
    func info(_ lines: String...) -> ReplicationInfo {
      ReplicationInfo(parsing: lines.joined(separator: "\r\n").utf8)
    }
    #expect(info("loading:1").isLoading)
    #expect(info("rdb_bgsave_in_progress:1").isSaving)
    #expect(info("aof_rewrite_in_progress:1", "aof_enabled:1").isRewriting)
    #expect(info("aof_enabled:1").hasAppendOnlyFile == true)
    #expect(info("master_failover_state:failover-in-progress").isFailingOver)
    #expect(info("redis_mode:sentinel").isSentinel)
    #expect(info("redis_mode:cluster").isCluster && info("cluster_enabled:1").isCluster)
    #expect(info("server_mode:cluster").isCluster)
    let down = info(
      "role:slave", "master_host:::1", "master_port:6379", "master_link_status:down",
      "master_sync_in_progress:1")
    #expect(
      down.upstream
        == ReplicationInfo.Upstream(host: "::1", port: 6379, isUp: false, isSyncing: true))
    // Without a backlog, the number of its first byte has no meaning.
    #expect(
      info("repl_backlog_active:0", "repl_backlog_first_byte_offset:0").backlogStart == nil)
  }

  /// A database is listed as long as it has keys. If it is not certain that a database is empty, it counts as
  /// having keys.
  @Test func keys() {
    func hasData(_ text: String) -> Bool? { ReplicationInfo(parsing: text.utf8).hasData }
    #expect(hasData("# Keyspace\r\n") == false)
    #expect(hasData("# Keyspace\r\ndb15:keys=1,expires=0,avg_ttl=0\r\n") == true)
    #expect(hasData("# Keyspace\r\ndb0:keys=0,expires=0\r\ndb1:keys=2,expires=0") == true)
    #expect(hasData("# Keyspace\r\ndb0:keys=0,expires=0") == false)
    // A server may have nothing but functions.
    #expect(hasData("number_of_libraries:1\r\n# Keyspace\r\n") == true)
    #expect(hasData("number_of_libraries:0\r\n# Keyspace\r\n") == false)
    #expect(hasData("# Replication\r\nrole:master\r\ndbx:keys=1") == nil)
  }

  @Test func valuesOfTheWrongKindAreNil() {
    let text =
      "role:king\nmaster_replid:xyz\nmaster_repl_offset:-1\nrun_id:\nmaster_host:a\nmaster_port:b\n"
      + "used_memory:1e9\nsecond_repl_offset:5\nrepl_backlog_size:\nredis_version\n:x\n#\n# \n"
    #expect(ReplicationInfo(parsing: text.utf8) == ReplicationInfo())
    let zeros = String(repeating: "0", count: 40)
    let none = ReplicationInfo(
      parsing: "master_replid2:\(zeros)\r\nsecond_repl_offset:-1\r\n".utf8)
    #expect(none == ReplicationInfo())
    #expect(ReplicationInfo(parsing: []) == ReplicationInfo())
  }

  /// Cut anywhere, or with any byte changed, the text is read without a trap.
  @Test(arguments: ["redis-6.2.5", "valkey-9.1.2"]) func anyTextIsRead(server: String) throws {
    let bytes = try Self.bytes(server, "promoted")
    let whole = ReplicationInfo(parsing: bytes)
    for end in stride(from: 0, to: bytes.count, by: 7) {
      let cut = ReplicationInfo(parsing: bytes[..<end])
      #expect(cut.role == nil || cut.role == whole.role)
    }
    var random = SeededRandom(seed: 11)
    for _ in 0..<300 {
      var changed = bytes
      for _ in 0..<20 {
        changed[Int(random.next() % UInt64(changed.count))] = UInt8(
          truncatingIfNeeded: random.next())
      }
      let info = ReplicationInfo(parsing: changed)
      let ids = [info.historyID, info.formerHistoryID, info.runID].compactMap { $0 }
      #expect(ids.allSatisfy { $0.utf8.count == 40 && $0.allSatisfy(\.isHexDigit) })
      #expect(info.formerHistoryID != nil || info.formerHistoryEnd == nil)
    }
  }
}
