import BackupTypes
import HTTPTransport
import RedisFormats
import ReplicationLink
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct ReplicaResponderTests {
  private static let facts = ResponderFacts(
    upstream: LinkAddress(host: "10.0.0.1", port: 6379), isLinkUp: true, offset: 7,
    runID: String(repeating: "0", count: 40))

  private static func start(
    port: Int = 0, hint: @escaping ReplicaResponder.Hint = { _ in }
  ) async throws -> ReplicaResponder {
    try await ReplicaResponder.start(
      host: "127.0.0.1", port: port, credentials: nil, facts: { facts }, hint: hint)
  }

  private static func connect(_ responder: ReplicaResponder) throws -> RedisSession {
    let address = try #require(LinkAddress(host: "127.0.0.1", port: responder.port))
    return try RedisSession(
      with: address, tls: nil, credentials: nil, limits: LinkLimits(connect: 10_000, reply: 10_000))
  }

  @Test func itAnswersOnItsPort() async throws {
    let hints = Mutex<[LinkAddress]>([])
    let responder = try await Self.start { address in hints.withLock { $0.append(address) } }
    try await onOwnThread {
      let session = try Self.connect(responder)
      #expect(try session.command("PING") == .status("PONG"))
      #expect(try session.info().role == .replica)
      #expect(try session.command("SLAVEOF", "10.0.0.2", "6380") == .status("OK"))
      // An inline command, which a primary falls back to, in one packet with the next one.
      let (connection, _) = session.handOver()
      try connection.send(Array("SYNC\r\nPING\r\n".utf8), timeoutMilliseconds: 10_000)
    }
    #expect(hints.withLock { $0 } == [try #require(LinkAddress(host: "10.0.0.2", port: 6380))])
    await responder.stop()
    let error = try await onOwnThread {
      try #require(throws: LifeboatError.self) { try Self.connect(responder) }
    }
    #expect(error.cause == "Connection refused")
  }

  @Test func whatOnePublishesTheOthersHear() async throws {
    let responder = try await Self.start()
    try await onOwnThread {
      let listener = try Self.connect(responder)
      #expect(try listener.command("SUBSCRIBE", "c").elements?.count == 3)
      let speaker = try Self.connect(responder)
      #expect(try speaker.command("PUBLISH", "c", "news") == .integer(1))
      #expect(try speaker.command("PUBLISH", "other", "news") == .integer(0))
      let message = try listener.reply(waitingMilliseconds: 10_000)
      #expect(message.elements?.map(\.text) == ["message", "c", "news"])
      _ = try listener.command("UNSUBSCRIBE")
      #expect(try speaker.command("PUBLISH", "c", "news") == .integer(0))
    }
    await responder.stop()
  }

  /// Idle connections do not block others: the least recently used one is closed.
  @Test func connectionsAreBounded() async throws {
    let responder = try await Self.start()
    try await onOwnThread {
      let sessions = try (0..<16).map { _ in try Self.connect(responder) }
      for session in sessions { #expect(try session.command("PING") == .status("PONG")) }
      _ = try sessions[0].command("PING")
      #expect(try Self.connect(responder).command("PING") == .status("PONG"))
      #expect(try sessions[0].command("PING") == .status("PONG"))
      let error = try #require(throws: LifeboatError.self) { try sessions[1].command("PING") }
      #expect(error.isRetryable)
    }
    await responder.stop()
  }

  @Test func aCommandThatIsTooLongEndsTheConnection() async throws {
    let responder = try await Self.start()
    try await onOwnThread {
      for bytes in ["*1\r\n$20000\r\n", "*1\r\n:1\r\n", String(repeating: "a", count: 20_000)] {
        let session = try Self.connect(responder)
        let (connection, _) = session.handOver()
        try connection.send(Array(bytes.utf8), timeoutMilliseconds: 10_000)
        guard case .error(let words) = try session.reply(waitingMilliseconds: 10_000) else {
          throw HarnessError("it was taken")
        }
        #expect(words.contains("Protocol error"))
        _ = try #require(throws: LifeboatError.self) {
          try session.reply(waitingMilliseconds: 10_000)
        }
      }
    }
    await responder.stop()
  }

  /// A client that sends commands but does not read replies is disconnected. The event loop serves the
  /// others.
  @Test func aClientThatDoesNotReadIsEnded() async throws {
    let responder = try await Self.start()
    try await onOwnThread {
      let (connection, _) = try Self.connect(responder).handOver()
      let many = Array(repeatElement("INFO\r\n".utf8, count: 10_000).joined())
      let error = try #require(throws: LifeboatError.self) {
        while true { try connection.send(many, timeoutMilliseconds: 30_000) }
      }
      #expect(error.message.contains("broke"), "\(error)")
      #expect(try Self.connect(responder).command("PING") == .status("PONG"))
    }
    await responder.stop()
  }

  @Test func aTakenPortIsSaid() async throws {
    let first = try await Self.start()
    let error = await #expect(throws: LifeboatError.self) {
      _ = try await Self.start(port: first.port)
    }
    #expect(error?.code == .failure && error?.cause == "Address already in use")
    await first.stop()
  }
}
