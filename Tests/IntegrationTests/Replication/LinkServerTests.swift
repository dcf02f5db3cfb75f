import BackupTypes
import HTTPTransport
import RedisFormats
import ReplicationLink
import TestSupport
import Testing

enum LinkFixture {
  static let limits = LinkLimits(connect: 10_000, reply: 60_000)

  static func session(
    _ address: LinkAddress, tls: LinkTLS? = nil, _ credentials: LinkCredentials? = nil
  ) throws -> RedisSession {
    try RedisSession(with: address, tls: tls, credentials: credentials, limits: limits)
  }

  static func dialer(_ url: LinkURL) -> LinkDialer {
    LinkDialer(
      url: url, tls: LinkTLS(trust: TrustStore(file: nil, origin: "a test")), password: nil,
      limits: limits)
  }
}

/// Sessions with real servers: INFO, users with ACL rules, and TLS.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct LinkServerTests {
  private static func start(
    _ version: ServerVersion, _ directory: TemporaryDirectory, options: [String: String] = [:]
  ) async throws -> (RedisServer, LinkAddress) {
    let port = try freePorts(1)[0]
    let server = try await RedisServer.start(
      version, directory: directory("data"),
      options: ["port": "\(port)", "bind": "127.0.0.1", "repl-diskless-sync-delay": "0"]
        .merging(options) { $1 })
    return (server, try #require(LinkAddress(host: "127.0.0.1", port: Int(port))))
  }

  private static func refusal(_ body: () throws -> Void) throws -> LifeboatError {
    try #require(throws: LifeboatError.self) { try body() }
  }

  @Test(arguments: ServerVersion.available)
  func infoIsUnderstood(version: ServerVersion) async throws {
    let directory = try TemporaryDirectory()
    let (server, address) = try await Self.start(version, directory)
    try await onOwnThread {
      let session = try LinkFixture.session(address)
      let empty = try session.info()
      #expect(empty.role == .primary && empty.hasData == false && empty.upstream == nil)
      #expect(empty.product == (version == .valkey9_1 ? .valkey : .redis))
      let number = version == .valkey9_1 ? "9.1" : version.label
      #expect(empty.version?.hasPrefix(number + ".") == true, "\(empty)")
      #expect(empty.historyID?.count == 40 && empty.runID?.count == 40)
      #expect(empty.formerHistoryID == nil && empty.formerHistoryEnd == nil)
      #expect(empty.offset != nil && empty.usedMemory ?? 0 > 100_000)
      #expect(empty.backlogBytesMax ?? 0 >= 1 << 20 && empty.hasAppendOnlyFile == false)
      #expect(!empty.isLoading && !empty.isSaving && !empty.isRewriting && !empty.isFailingOver)
      #expect(!empty.isSentinel && !empty.isCluster)
      _ = try session.require("SELECT", "7")
      _ = try session.require("SET", "k", "v")
      #expect(try session.info().hasData == true)
    }

    let port = try freePorts(1)[0]
    let replica = try await RedisServer.start(
      version, directory: directory("replica"),
      options: ["port": "\(port)", "bind": "127.0.0.1", "replicaof": "127.0.0.1 \(address.port)"])
    try await eventually(deadline: 120, "the replica is synced") {
      try replica.info("master_link_status") == "up"
    }
    let own = try #require(LinkAddress(host: "127.0.0.1", port: Int(port)))
    try await onOwnThread {
      let primary = try LinkFixture.session(address).info()
      let info = try LinkFixture.session(own).info()
      #expect(info.role == .replica && info.historyID == primary.historyID)
      #expect(primary.backlogStart != nil)
      #expect(
        info.upstream
          == ReplicationInfo.Upstream(
            host: "127.0.0.1", port: address.port, isUp: true, isSyncing: false))
    }
    // After its promotion, its history continues the former one.
    let former = try server.info("master_replid")
    try replica.command("REPLICAOF", "NO", "ONE")
    try await onOwnThread {
      let info = try LinkFixture.session(own).info()
      #expect(info.role == .primary && info.formerHistoryID == former)
      #expect(info.formerHistoryEnd != nil && info.historyID != former)
    }
  }

  /// The error and the documents name the smallest set of rules that a link needs.
  @Test(arguments: ServerVersion.available)
  func aUserWithTheSmallestRightsSuffices(version: ServerVersion) async throws {
    let directory = try TemporaryDirectory()
    let (server, address) = try await Self.start(version, directory)
    let socket = try server.connect()
    // This connection stays authenticated.
    try socket.command("CONFIG", "SET", "requirepass", "default-pw")
    let rules = LinkCredentials.minimalRules.split(separator: " ").map { String($0) }
    try socket.run(["ACL", "SETUSER", "backup", "on", ">pw"] + rules)
    try socket.command("ACL", "SETUSER", "weak", "on", ">pw", "+info")
    func login(_ user: String?, _ password: String) -> LinkCredentials {
      LinkCredentials(user: user, password: Redacted(password))
    }
    let (backup, weak, wrong) = (login("backup", "pw"), login("weak", "pw"), login("backup", "x"))
    let standard = login(nil, "default-pw")
    try await onOwnThread {
      #expect(try LinkFixture.session(address, standard).info().role == .primary)
      let session = try LinkFixture.session(address, backup)
      #expect(try session.info().role == .primary)
      #expect(try session.require("REPLCONF", "capa", "psync2") == .status("OK"))
      let reply = try session.require("PSYNC", "?", "-1")
      #expect(reply.text?.hasPrefix("FULLRESYNC ") == true, "\(reply)")

      let denied = try Self.refusal {
        _ = try LinkFixture.session(address, weak).require("PSYNC", "?", "-1")
      }
      #expect(denied.hint?.contains(LinkCredentials.minimalRules) == true, "\(denied)")
      #expect(denied.message.contains("may not run PSYNC") && !denied.isRetryable)
      let refused = try Self.refusal { _ = try LinkFixture.session(address, wrong) }
      #expect(refused.message.contains("rejects this user and password"), "\(refused)")
      let none = try Self.refusal { _ = try LinkFixture.session(address).info() }
      #expect(none.message.contains("requires a password"), "\(none)")
    }
    // doctor checks the rule without taking a copy.
    func copies() throws -> String {
      let lines = try socket.command("INFO", "stats").string?.split { $0.isNewline } ?? []
      return String(try #require(lines.first { $0.hasPrefix("sync_full:") }))
    }
    let before = try copies()
    try TestFiles.makeDirectory(directory("repository"))
    for (user, password, exit) in [
      ("backup", "pw", ExitCode.success), ("weak", "pw", .failure), ("backup", "x", .failure),
    ] {
      let doctor = try await LifeboatCommand.run(
        [
          "doctor", "--repo", directory("repository"), "--replica-of",
          "redis://\(user)@127.0.0.1:\(address.port)",
        ], environment: ["LIFEBOAT_REDIS_PASSWORD": password])
      #expect(doctor.exit == exit, "\(doctor)")
      let wanted =
        exit == .success ? "the user may replicate" : password == "x" ? "WRONGPASS" : "+psync"
      #expect(doctor.outputText.contains(wanted), "\(doctor)")
    }
    #expect(try copies() == before)
    try socket.command("CONFIG", "SET", "requirepass", "")
    try await onOwnThread {
      let needless = try Self.refusal { _ = try LinkFixture.session(address, standard) }
      #expect(needless.message.contains("has no password"), "\(needless)")
    }
  }

  /// The servers of these versions have TLS.
  @Test(arguments: [ServerVersion.v7_0, .v7_4].filter { ServerVersion.available.contains($0) })
  func overTLSWithAndWithoutAClientCertificate(version: ServerVersion) async throws {
    let directory = try TemporaryDirectory()
    let certificates = try await Certificates()
    let tlsPort = try freePorts(1)[0]
    let (server, plain) = try await Self.start(
      version, directory,
      options: [
        "tls-port": "\(tlsPort)", "tls-cert-file": certificates.file("server.pem"),
        "tls-key-file": certificates.file("server.key"),
        "tls-ca-cert-file": certificates.file("ca.pem"), "tls-auth-clients": "no",
      ])
    let address = try #require(LinkAddress(host: "127.0.0.1", port: Int(tlsPort)))
    // This makes the copy many TLS records long.
    try server.command("SET", "long", String(repeating: "0123456789abcdef", count: 1 << 16))
    try server.command("CONFIG", "SET", "rdbcompression", "no")
    let trust = TrustStore(file: certificates.file("ca.pem"), origin: "a test")
    let anonymous = LinkTLS(trust: trust)
    let known = LinkTLS(
      trust: trust, certificate: certificates.file("client.pem"),
      key: certificates.file("client.key"))
    let stranger = LinkTLS(
      trust: trust, certificate: certificates.file("stranger.pem"),
      key: certificates.file("stranger.key"))
    let mixed = LinkTLS(
      trust: trust, certificate: certificates.file("client.pem"),
      key: certificates.file("stranger.key"))
    try await onOwnThread {
      try Self.readsACopy(address, anonymous)
      let plainly = try Self.refusal { _ = try LinkFixture.session(address).info() }
      #expect(plainly.hint?.contains("rediss://") == true, "\(plainly)")
      let wrongly = try Self.refusal { _ = try LinkFixture.session(plain, tls: anonymous) }
      #expect(wrongly.hint?.contains("redis:// for rediss://") == true, "\(wrongly)")
    }
    try server.command("CONFIG", "SET", "tls-auth-clients", "yes")
    try await onOwnThread {
      try Self.readsACopy(address, known)
      for tls in [anonymous, stranger] {
        let error = try Self.refusal { _ = try LinkFixture.session(address, tls: tls).info() }
        // The server sends the reason in an alert and closes the connection. If the reset overtakes the
        // alert, the client only sees that the connection ended before any reply.
        let isSaid = error.message.contains("refused the client certificate")
        let isLost = error.message.contains("closed the connection")
        #expect(isSaid ? !error.isRetryable : isLost, "\(error)")
        #expect(error.hint?.contains("tls-ca-cert-file") == true, "\(error)")
      }
      let unfit = try Self.refusal { _ = try LinkFixture.session(address, tls: mixed).info() }
      #expect(unfit.message.contains("can't use the client certificate"), "\(unfit)")
    }
  }

  /// The complete full copy is longer than 1 MiB, and ends with its mark.
  private static func readsACopy(_ address: LinkAddress, _ tls: LinkTLS) throws {
    let session = try LinkFixture.session(address, tls: tls)
    _ = try session.require("REPLCONF", "capa", "eof", "capa", "psync2")
    #expect(try session.require("PSYNC", "?", "-1").text?.hasPrefix("FULLRESYNC ") == true)
    let (connection, rest) = session.handOver()
    var bytes = rest
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 100_000, alignment: 16)
    defer { buffer.deallocate() }
    var mark: [UInt8]?
    while mark == nil || bytes.count < 1 << 20 || !bytes.suffix(40).elementsEqual(mark ?? []) {
      guard
        case .bytes(let count) = try connection.receive(into: buffer, waitingMilliseconds: 60_000)
      else { throw HarnessError("the copy ended after \(bytes.count) bytes") }
      bytes += buffer[..<count]
      let head = bytes.drop { $0 == 10 }
      if mark == nil, head.count > 47 {
        #expect(head.starts(with: "$EOF:".utf8))
        mark = Array(head.dropFirst(5).prefix(40))
      }
    }
    connection.close()
  }
}
