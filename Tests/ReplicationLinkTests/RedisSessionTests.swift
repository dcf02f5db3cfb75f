import BackupTypes
import HTTPTransport
import RedisFormats
import ReplicationLink
import Synchronization
import TestSupport
import Testing

/// With servers that are a few lines of code. `LinkServerTests` uses real ones.
@Suite(.timeLimit(.minutes(5))) struct RedisSessionTests {
  private static let limits = LinkLimits(connect: 10_000, reply: 10_000)

  private static func address(_ port: UInt16) throws -> LinkAddress {
    try #require(LinkAddress(host: "127.0.0.1", port: Int(port)))
  }

  private static func session(
    _ server: ByteServer, _ credentials: LinkCredentials? = nil, limits: LinkLimits = limits
  ) throws -> RedisSession {
    try RedisSession(
      with: address(server.port), tls: nil, credentials: credentials, limits: limits)
  }

  private static func refusal(_ body: () throws -> Void) throws -> LifeboatError {
    try #require(throws: LifeboatError.self) { try body() }
  }

  /// A server that answers each command with the closure's reply; nil closes the connection.
  private static func server(
    _ answer: @escaping @Sendable ([String]) -> String?
  ) throws -> ByteServer {
    try ByteServer { connection in
      var reader = RESPRequestReader(bytesMax: 10_000)
      while let bytes = connection.receive() {
        reader.append(bytes)
        while let command = try? reader.next() {
          let words = command.map { String(decoding: $0, as: UTF8.self) }
          guard let reply = answer(words), connection.send(Array(reply.utf8)) else { return }
        }
      }
    }
  }

  @Test func commandsAndReplies() async throws {
    let server = try Self.server { words in
      switch words {
      case ["INFO"]: "$30\r\nrole:master\r\nredis_version:7\r\n\r\n"
      case ["PSYNC", "?", "-1"]: "\n\n+CONTINUE abc\r\n*1\r\n"
      default: "-ERR what is \(words)\r\n"
      }
    }
    try await onOwnThread {
      let session = try Self.session(server)
      #expect(try session.info().role == .primary)
      #expect(try session.command("X", "a b") == .error("ERR what is [\"X\", \"a b\"]"))
      #expect(try Self.refusal { _ = try session.require("X") }.message.contains("refused X"))
      #expect(try session.command("PSYNC", "?", "-1") == .status("CONTINUE abc"))
      let (_, rest) = session.handOver()
      // The bytes came with the reply or come later.
      #expect(Array("*1\r\n".utf8).starts(with: rest))
    }
  }

  @Test func theUserAndThePasswordAreSent() async throws {
    let seen = Mutex<[[String]]>([])
    let server = try Self.server { words in
      seen.withLock { $0.append(words) }
      return words.last == "right" ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n"
    }
    try await onOwnThread {
      _ = try Self.session(server, LinkCredentials(user: nil, password: Redacted("right")))
      _ = try Self.session(server, LinkCredentials(user: "u", password: Redacted("right")))
      let error = try Self.refusal {
        _ = try Self.session(server, LinkCredentials(user: "u", password: Redacted("wr0ng")))
      }
      #expect(error.message.contains("rejects this user") && !error.isRetryable)
      #expect(!"\(error)".contains("wr0ng"))
    }
    #expect(
      seen.withLock { $0 } == [
        ["AUTH", "right"], ["AUTH", "u", "right"], ["AUTH", "u", "wr0ng"],
      ])
  }

  /// A server repeats the arguments of an unknown command, and AUTH can be renamed.
  @Test func aPasswordThatAServerRepeatsIsNotShown() async throws {
    let server = try Self.server { words in
      let list = words.dropFirst().map { "`\($0)`, " }.joined()
      return "-ERR unknown command `AUTH`, with args beginning with: \(list)\r\n"
    }
    try await onOwnThread {
      let error = try Self.refusal {
        _ = try Self.session(server, LinkCredentials(user: "u", password: Redacted("s3cret")))
      }
      #expect(error.message.contains("does not know AUTH") && !"\(error)".contains("s3cret"))
      #expect(error.cause == "ERR unknown command `AUTH`" && !error.isRetryable)
    }
  }

  @Test(arguments: [
    ("NOAUTH Authentication required.", false, "requires a password", "--redis-password-file"),
    (
      "WRONGPASS invalid username-password pair or user is disabled.", false, "rejects this user",
      "ACL LIST"
    ),
    (
      "NOPERM this user has no permissions to run the 'psync' command", false, "may not run PSYNC",
      "+psync +replconf +info"
    ),
    ("DENIED Redis is running in protected mode because", false, "other machines", "requirepass"),
    ("LOADING Redis is loading the dataset in memory", true, "is loading", "Lifeboat retries"),
    (
      "NOMASTERLINK Can't SYNC while not connected with my master", true, "without a link",
      "master_host"
    ),
    ("BUSY Redis is busy running a script.", true, "busy with a script", "SCRIPT KILL"),
    ("ERR max number of clients reached", true, "too many clients", "maxclients"),
    (
      "ERR unknown command `PSYNC`, with args beginning with: `?`", false, "does not know PSYNC",
      "rename-command"
    ),
  ])
  func whatAServerRefusesIsExplained(
    words: String, retryable: Bool, message: String, hint: String
  ) async throws {
    let server = try Self.server { _ in "-\(words)\r\n" }
    try await onOwnThread {
      let session = try Self.session(server)
      let error = try Self.refusal { _ = try session.require("PSYNC", "?", "-1") }
      #expect(error.isRetryable == retryable && error.message.contains(message), "\(error)")
      #expect(error.hint?.contains(hint) == true && error.cause != nil, "\(error)")
    }
  }

  @Test func aServerWithoutAPasswordSaysSo() async throws {
    let words =
      "-ERR AUTH <password> called without any password configured for the default user. Are you"
      + " sure your configuration is correct?\r\n"
    let server = try Self.server { _ in words }
    try await onOwnThread {
      let error = try Self.refusal {
        _ = try Self.session(server, LinkCredentials(user: nil, password: Redacted("x")))
      }
      #expect(error.message.contains("has no password"), "\(error)")
    }
  }

  @Test func noReplyIsAnErrorInTime() async throws {
    let silent = try Self.server { _ in "" }
    let closing = try Self.server { _ in nil }
    let other = try Self.server { _ in "HTTP/1.1 400 Bad Request\r\n" }
    let endless = try Self.server { _ in "+" + String(repeating: "x", count: 2 << 20) }
    try await onOwnThread {
      let quick = LinkLimits(connect: 10_000, reply: 200)
      let none = try Self.refusal { _ = try Self.session(silent, limits: quick).command("PING") }
      #expect(none.isRetryable && none.cause?.contains("within 0.2 s") == true, "\(none)")

      let closed = try Self.refusal { _ = try Self.session(closing).command("PING") }
      #expect(closed.isRetryable && closed.hint?.contains("rediss://") == true, "\(closed)")

      let foreign = try Self.refusal { _ = try Self.session(other).command("PING") }
      #expect(foreign.message.contains("does not use the Redis protocol"), "\(foreign)")

      let long = try Self.refusal { _ = try Self.session(endless).command("PING") }
      #expect(long.cause?.contains("more than 1.0 MiB") == true, "\(long)")
    }
  }

  @Test func aWakeEndsTheWaitForAReply() async throws {
    let silent = try Self.server { _ in "" }
    try await onOwnThread {
      let session = try Self.session(silent, limits: LinkLimits(connect: 10_000, reply: 3_600_000))
      startThread { session.wake() }
      let error = try Self.refusal { _ = try session.command("PING") }
      #expect(error.isRetryable && error.message.contains("was cancelled"), "\(error)")
    }
  }

  // MARK: Sentinels

  private static func dialer(
    _ sentinels: [ByteServer], password: String? = nil
  ) throws -> LinkDialer {
    let list = sentinels.map { "127.0.0.1:\($0.port)" }.joined(separator: ",")
    return LinkDialer(
      url: try LinkURL("redis-sentinel://\(list)/mymaster"),
      tls: LinkTLS(trust: TrustStore(file: nil, origin: "a test")),
      password: password.map { Redacted($0) }, limits: limits)
  }

  private static func sentinel(naming server: ByteServer) throws -> ByteServer {
    let port = "\(server.port)"
    return try Self.server { words in
      words == ["SENTINEL", "get-master-addr-by-name", "mymaster"]
        ? "*2\r\n$9\r\n127.0.0.1\r\n$\(port.count)\r\n\(port)\r\n" : "-ERR \(words)\r\n"
    }
  }

  @Test func theFirstSentinelThatLeadsToAPrimaryIsTaken() async throws {
    let primary = try Self.server { _ in "$13\r\nrole:master\r\n\r\n" }
    let replica = try Self.server { _ in "$12\r\nrole:slave\r\n\r\n" }
    let gone = try ByteServer { _ in }
    gone.stop()
    let strange = try Self.server { _ in "*-1\r\n" }
    let behind = try Self.sentinel(naming: replica)
    let right = try Self.sentinel(naming: primary)
    try await onOwnThread {
      let session = try Self.dialer([gone, strange, behind, right]).open()
      #expect(session.address.port == Int(primary.port))

      let stale = try Self.refusal { _ = try Self.dialer([gone, strange, behind]).open() }
      #expect(stale.isRetryable && stale.message.contains("no Sentinel gives"), "\(stale)")
      for words in ["refused", "does not know mymaster", "which is not a primary"] {
        #expect(stale.cause?.contains(words) == true, "\(stale)")
      }
      let unknown = try Self.refusal { _ = try Self.dialer([strange]).open() }
      #expect(!unknown.isRetryable && unknown.hint?.contains("sentinel monitor") == true)
    }
  }

  @Test func aSentinelThatWantsAPasswordGetsThePrimarys() async throws {
    let primary = try Self.server { words in
      words.first == "AUTH" ? "+OK\r\n" : "$13\r\nrole:master\r\n\r\n"
    }
    let port = "\(primary.port)"
    let sentinel = try ByteServer { connection in
      var isIn = false
      var reader = RESPRequestReader(bytesMax: 1000)
      while let bytes = connection.receive() {
        reader.append(bytes)
        while let command = try? reader.next() {
          let words = command.map { String(decoding: $0, as: UTF8.self) }
          if words == ["AUTH", "pw"] { isIn = true }
          let reply =
            words.first == "AUTH"
            ? (isIn ? "+OK\r\n" : "-WRONGPASS invalid username-password pair\r\n")
            : isIn
              ? "*2\r\n$9\r\n127.0.0.1\r\n$\(port.count)\r\n\(port)\r\n"
              : "-NOAUTH Authentication required.\r\n"
          connection.send(Array(reply.utf8))
        }
      }
    }
    try await onOwnThread {
      #expect(try Self.dialer([sentinel], password: "pw").open().address.port == Int(primary.port))
      let error = try Self.refusal { _ = try Self.dialer([sentinel]).open() }
      #expect(error.cause?.contains("requires a password") == true, "\(error)")
      let wrong = try Self.refusal { _ = try Self.dialer([sentinel], password: "other").open() }
      #expect(wrong.cause?.contains("rejects the user and the password of the server") == true)
      #expect(wrong.hint?.contains("+sentinel|get-master-addr-by-name") == true, "\(wrong)")
    }
  }

  @Test func aSentinelThatDoesNotAllowTheQuestionSaysWhichRuleIsMissing() async throws {
    let sentinel = try Self.server { _ in
      "-NOPERM this user has no permissions to run the 'sentinel' command\r\n"
    }
    try await onOwnThread {
      let error = try Self.refusal { _ = try Self.dialer([sentinel]).open() }
      #expect(error.cause?.contains("may not ask for the primary") == true, "\(error)")
      #expect(error.hint?.contains("+sentinel|get-master-addr-by-name") == true, "\(error)")
    }
  }
}
