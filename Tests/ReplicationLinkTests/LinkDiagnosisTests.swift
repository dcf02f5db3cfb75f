import BackupTypes
import RedisFormats
import ReplicationLink
import Testing

struct LinkDiagnosisTests {
  private static let id = String(repeating: "a", count: 40)
  private static func info(_ more: [String] = [], version: String = "redis_version:7.2.4")
    -> ReplicationInfo
  {
    let lines =
      [version, "role:master", "master_replid:\(id)", "master_repl_offset:7"] + more
    return ReplicationInfo(parsing: lines.joined(separator: "\r\n").utf8)
  }

  private static func findings(
    _ info: ReplicationInfo, announcement: RESPReply = .status("OK"),
    copy: RESPReply = .error("ERR SYNC and PSYNC are invalid with pending output")
  ) -> [Finding] {
    LinkDiagnosis.findings(
      .init(address: "redis:6379", info: info, announcement: announcement, copy: copy)
    ) { LifeboatError(.failure, "\($1) was refused", cause: $0, hint: "allow it") }
  }
  private static func finding(_ check: String, _ findings: [Finding]) throws -> Finding {
    try #require(findings.first { $0.check == check }, "\(findings)")
  }

  @Test func allIsWell() {
    let found = Self.findings(Self.info(["repl_backlog_size:67108864"]))
    #expect(found.allSatisfy { $0.verdict == .ok && $0.area == .link }, "\(found)")
    #expect(found.map(\.check) == ["server", "rights", "backlog"])
    #expect(found[0].detail == "Redis 7.2.4 at redis:6379, a primary")
  }

  @Test(arguments: ["5.0.14", "6.0.20"]) func anOldServerIsRefused(version: String) throws {
    let found = Self.findings(Self.info(version: "redis_version:\(version)"))
    let server = try Self.finding("server", found)
    #expect(server.verdict == .failed && server.detail.contains(version), "\(server)")
    #expect(server.remedy?.contains("6.2") == true)
  }

  @Test func aSentinelIsNoServer() throws {
    let server = try Self.finding("server", Self.findings(Self.info(["redis_mode:sentinel"])))
    #expect(server.verdict == .failed && server.remedy?.contains("redis-sentinel://") == true)
  }

  @Test func aReplicaWithoutItsLink() throws {
    let up = ["role:slave", "master_host:first", "master_port:6379", "master_link_status:up"]
    let server = try Self.finding("server", Self.findings(Self.info(up)))
    #expect(server.verdict == .ok && server.detail.contains("a replica of first:6379"))
    let down = try Self.finding(
      "server", Self.findings(Self.info(up.dropLast() + ["master_link_status:down"])))
    #expect(down.verdict == .warning && down.consequence != nil && down.remedy != nil)
  }

  @Test func rightsThatAreMissing() throws {
    let denied = RESPReply.error("NOPERM this user has no permissions")
    let announcement = try Self.finding("rights", Self.findings(Self.info(), announcement: denied))
    #expect(announcement.verdict == .failed && announcement.detail.contains("REPLCONF"))
    let copy = try Self.finding("rights", Self.findings(Self.info(), copy: denied))
    #expect(copy.verdict == .failed && copy.detail.contains("PSYNC"))
    let other = try Self.finding(
      "rights", Self.findings(Self.info(), copy: .error("NOMASTERLINK Can't SYNC")))
    #expect(other.verdict == .warning && other.detail.contains("NOMASTERLINK"))
  }

  @Test func circumstances() throws {
    let found = Self.findings(
      Self.info(["repl_backlog_size:1048576", "cluster_enabled:1", "aof_enabled:1"]))
    #expect(try Self.finding("backlog", found).verdict == .note)
    #expect(try Self.finding("backlog", found).detail.contains("1.0 MiB"))
    #expect(try Self.finding("cluster", found).verdict == .warning)
    #expect(try Self.finding("append-only-file", found).verdict == .note)
  }
}
