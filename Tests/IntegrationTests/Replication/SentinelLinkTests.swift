import BackupTypes
import HTTPTransport
import ReplicationLink
import TestSupport
import Testing

/// A link through Sentinels that require a password, users with rules, or TLS. The primary fails, the Sentinel
/// promotes the real replica, and the history continues with it, without a second full copy.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct SentinelLinkTests {
  enum Login: String, CaseIterable {
    /// One password for all: servers, Sentinels and Lifeboat.
    case password
    /// Lifeboat has a user of its own in the servers and in the Sentinel, with no more rights than it needs.
    case ownUser
    /// Servers and Sentinel have ports with TLS only, and require client certificates.
    case tls
  }

  private static let cases: [(ServerVersion, Login)] = [
    (.v6_2, .password), (.valkey9_1, .password), (.v6_2, .ownUser), (.v8_2, .ownUser),
    // These servers have TLS.
    (.v7_0, .tls), (.v7_4, .tls),
  ].filter { ServerVersion.available.contains($0.0) }

  /// The settings of the servers and of the Sentinel, and the arguments of `ship`.
  private struct Settings {
    var server: [String: String] = [:]
    var sentinel: [String] = []
    var ship: [String] = []
    var environment: [String: String] = [:]
    var user = ""
    var tls: LinkTLS?
    /// The credentials with which this test asks the Sentinel.
    var administrator: LinkCredentials?

    /// Its folder ends with it.
    let certificates: Certificates

    init(_ login: Login, _ certificates: Certificates) {
      self.certificates = certificates
      switch login {
      case .password, .ownUser:
        server = ["requirepass": "all-pw", "masterauth": "all-pw"]
        sentinel = ["sentinel auth-pass mymaster all-pw", "requirepass all-pw"]
        administrator = LinkCredentials(user: nil, password: Redacted("all-pw"))
        environment = ["LIFEBOAT_REDIS_PASSWORD": "all-pw"]
        guard login == .ownUser else { return }
        server["user"] = "backup on >own-pw \(LinkCredentials.minimalRules)"
        sentinel.append("user backup on >own-pw \(LinkCredentials.sentinelRules)")
        environment = ["LIFEBOAT_REDIS_PASSWORD": "own-pw"]
        user = "backup@"
      case .tls:
        let files = [
          "tls-cert-file": certificates.file("server.pem"),
          "tls-key-file": certificates.file("server.key"),
          "tls-ca-cert-file": certificates.file("ca.pem"), "tls-auth-clients": "yes",
          "tls-replication": "yes",
        ]
        server = files
        sentinel = files.map { "\($0) \($1)" }
        let (ca, client) = (certificates.file("ca.pem"), certificates.file("client.pem"))
        ship = [
          "--redis-ca-file", ca, "--redis-cert-file", client, "--redis-key-file",
          certificates.file("client.key"),
        ]
        tls = LinkTLS(
          trust: TrustStore(file: ca, origin: "a test"), certificate: client,
          key: certificates.file("client.key"))
      }
    }

    func port(_ port: UInt16) -> [String: String] {
      server.merging(tls == nil ? ["port": "\(port)"] : ["port": "0", "tls-port": "\(port)"]) { $1 }
    }
  }

  @Test(arguments: cases)
  func theHistoryContinuesWithWhoIsPromoted(version: ServerVersion, login: Login) async throws {
    let settings = Settings(login, try await Certificates())
    let place = try LinkPlace(version, environment: settings.environment)
    let ports = try freePorts(2)
    let first = try await place.server(port: ports[0], settings.port(ports[0]))
    let second = try await place.server(
      port: ports[1],
      settings.port(ports[1]).merging(["replicaof": "127.0.0.1 \(ports[0])"]) { $1 })
    let address = try #require(LinkAddress(host: "127.0.0.1", port: Int(ports[0])))
    let promoted = try #require(LinkAddress(host: "127.0.0.1", port: Int(ports[1])))
    let sentinel = try await Sentinel(
      version, of: address, settings: settings.sentinel, tls: settings.tls,
      credentials: settings.administrator)
    let scheme = settings.tls == nil ? "redis-sentinel" : "rediss-sentinel"
    _ = try place.ship(
      url: "\(scheme)://\(settings.user)127.0.0.1:\(sentinel.port)/mymaster", settings.ship)
    try await place.write(first, replicas: 2)
    try await eventually(
      deadline: 120, "the Sentinel lists the replica",
      condition: { try await sentinel.replicaPorts().contains("\(ports[1])") },
      state: { sentinel.log })

    first.kill()
    try await eventually(
      deadline: 120, "the Sentinel promoted the real replica",
      condition: { try await sentinel.primary() == promoted && second.info("role") == "master" },
      state: { sentinel.log + place.said })
    try await place.write(second)
    try await place.expectRestored(second.dataset(), "after the failover")
    #expect(try second.info("sync_full") == "0", "\(place.said)")
    for secret in ["all-pw", "own-pw"] { #expect(!place.said.contains(secret)) }
    withExtendedLifetime(settings.certificates) {}
  }
}
