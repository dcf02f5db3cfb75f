import BackupTypes
import HTTPTransport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(5))) struct LinkConnectionTests {
  private static func address(_ port: UInt16, host: String = "127.0.0.1") throws -> LinkAddress {
    try #require(LinkAddress(host: host, port: Int(port)))
  }

  private static func connect(_ port: UInt16, tls: LinkTLS? = nil) throws -> LinkConnection {
    try LinkConnection(to: address(port), tls: tls, timeoutMilliseconds: 10_000)
  }

  /// Reads `count` bytes, or everything until the other side closes.
  private static func read(
    _ link: LinkConnection, count: Int = .max, chunk: Int = 64 << 10
  ) throws -> [UInt8] {
    var all: [UInt8] = []
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 1)
    defer { buffer.deallocate() }
    while all.count < count {
      switch try link.receive(into: buffer, waitingMilliseconds: 30_000) {
      case .bytes(let got): all += buffer[..<got]
      case .nothing: throw HarnessError("nothing came for 30 s")
      case .closed: return all
      }
    }
    return all
  }

  private static func refusal(_ body: () throws -> Void) throws -> LifeboatError {
    try #require(throws: LifeboatError.self) { try body() }
  }

  private static func tls(_ file: String?) -> LinkTLS {
    LinkTLS(trust: TrustStore(file: file, origin: "the test's file"))
  }

  /// A server that sends back what it receives.
  private static func echo() throws -> ByteServer {
    try ByteServer { connection in
      while let bytes = connection.receive(), connection.send(bytes) {}
    }
  }

  private static func pattern(_ count: Int) -> [UInt8] {
    (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 ^ $0 >> 8) }
  }

  @Test func bytesGoThereAndBack() async throws {
    let server = try Self.echo()
    let sent = Self.pattern(100_000)
    try await onOwnThread {
      let link = try Self.connect(server.port)
      try link.send(sent, timeoutMilliseconds: 10_000)
      #expect(try Self.read(link, count: sent.count) == sent)
      link.close()
      #expect(try Self.read(link) == [])
      let error = try Self.refusal { try link.send([1], timeoutMilliseconds: 1000) }
      #expect(error.isRetryable)
    }
  }

  /// A TLS record has 16 KiB. With a buffer of 1,000 bytes, the rest is decrypted inside OpenSSL and nothing
  /// more arrives on the socket. A reader that waits for the socket first would never get the rest.
  @Test func whatTLSHasDecryptedIsNotWaitedFor() async throws {
    let sent = Self.pattern(16_000)
    let server = try ByteServer { connection in
      connection.send(sent)
      connection.waitForClose()
    }
    let front = try await TLSFront(of: server.port)
    try await onOwnThread {
      let link = try Self.connect(front.port, tls: Self.tls(front.certificate))
      #expect(link.isTLS)
      #expect(try Self.read(link, count: sent.count, chunk: 1000) == sent)
    }
  }

  @Test func aMegabyteOverTLS() async throws {
    let server = try Self.echo()
    let front = try await TLSFront(of: server.port)
    let sent = Self.pattern(1 << 20)
    try await onOwnThread {
      let link = try Self.connect(front.port, tls: Self.tls(front.certificate))
      for part in 0..<16 {
        let bytes = Array(sent[(part << 16)..<((part + 1) << 16)])
        try link.send(bytes, timeoutMilliseconds: 10_000)
        #expect(try Self.read(link, count: bytes.count) == bytes)
      }
    }
  }

  @Test func itWaitsAsLongAsItIsTold() async throws {
    let server = try ByteServer { $0.waitForClose() }
    try await onOwnThread {
      let link = try Self.connect(server.port)
      var buffer = [UInt8](repeating: 0, count: 10)
      for milliseconds: Int32 in [0, 30] {
        let got = try buffer.withUnsafeMutableBytes {
          try link.receive(into: $0, waitingMilliseconds: milliseconds)
        }
        #expect(got == .nothing)
      }
    }
  }

  /// From another thread, both during the wait and before it.
  @Test func wakingEndsTheWait() async throws {
    let server = try ByteServer { $0.waitForClose() }
    try await onOwnThread {
      let link = try Self.connect(server.port)
      var buffer = [UInt8](repeating: 0, count: 10)
      for _ in 0..<20 {
        startThread { link.wake() }
        // Far longer than the suite may take, so only the wake can end the wait.
        let got = try buffer.withUnsafeMutableBytes {
          try link.receive(into: $0, waitingMilliseconds: 3_600_000)
        }
        #expect(got == .nothing)
      }
    }
  }

  /// A wake arrives, and then bytes. The bytes are delivered at once, and the wake is not lost.
  @Test func bytesComeBeforeAWake() async throws {
    let server = try Self.echo()
    try await onOwnThread {
      let link = try Self.connect(server.port)
      link.wake()
      try link.send([7], timeoutMilliseconds: 10_000)
      var buffer = [UInt8](repeating: 0, count: 10)
      var woken = 0
      var bytes = 0
      while woken + bytes < 2 {
        switch try buffer.withUnsafeMutableBytes({
          try link.receive(into: $0, waitingMilliseconds: 60_000)
        }) {
        case .bytes(let count): bytes += count
        case .nothing: woken += 1
        case .closed: throw HarnessError("closed")
        }
      }
      #expect(bytes == 1 && woken == 1 && buffer[0] == 7)
    }
  }

  @Test func theEndOfTheOtherSideIsSaid() async throws {
    let server = try ByteServer { $0.send([1, 2, 3]) }
    let reset = try ByteServer { connection in
      _ = connection.receive()
      connection.resetWhenClosed()
    }
    try await onOwnThread {
      let link = try Self.connect(server.port)
      #expect(try Self.read(link) == [1, 2, 3])
      #expect(try Self.read(link) == [])

      let broken = try Self.connect(reset.port)
      try broken.send([1], timeoutMilliseconds: 1000)
      let error = try Self.refusal { _ = try Self.read(broken) }
      #expect(error.isRetryable && error.message.contains("broke"), "\(error)")
    }
  }

  /// If the peer does not read, its buffers and ours fill up. Sending then ends in time.
  @Test func sendingToSomebodyWhoDoesNotReadEnds() async throws {
    let server = try ByteServer { $0.waitForClose() }
    try await onOwnThread {
      let link = try Self.connect(server.port)
      let error = try Self.refusal {
        try link.send([UInt8](repeating: 0, count: 64 << 20), timeoutMilliseconds: 200)
      }
      #expect(error.isRetryable && error.cause?.contains("accepted no data") == true, "\(error)")
    }
  }

  @Test func whyAConnectionFailedIsSaid() async throws {
    let free = try freePorts(1)[0]
    let silent = try ByteServer { $0.waitForClose() }
    try await onOwnThread {
      let refused = try Self.refusal { _ = try Self.connect(free) }
      #expect(refused.isRetryable && refused.code == .failure)
      #expect(refused.message == "can't connect to the Redis server 127.0.0.1:\(free)")
      #expect(refused.cause == "Connection refused" && refused.hint?.contains("bind") == true)

      let unknown = try Self.refusal {
        _ = try LinkConnection(
          to: Self.address(1, host: "no-such-host.invalid"), tls: nil, timeoutMilliseconds: 20_000)
      }
      #expect(unknown.isRetryable && unknown.message.contains("resolve"), "\(unknown)")

      // The server never answers the handshake.
      let trust = TrustStore(file: "/etc/ssl/certs/ca-certificates.crt", origin: "a test")
      let mute = try Self.refusal {
        _ = try LinkConnection(
          to: Self.address(silent.port), tls: LinkTLS(trust: trust), timeoutMilliseconds: 300)
      }
      #expect(mute.isRetryable && mute.cause?.contains("not within 0.3 s") == true, "\(mute)")
      #expect(mute.hint?.contains("redis://") == true, "\(mute)")
    }
  }

  @Test func onlyATrustedCertificateOfTheRightNameIsTaken() async throws {
    let server = try Self.echo()
    let other = try await TLSFront(of: server.port, name: "DNS:other.example")
    let own = try await TLSFront(of: server.port)
    let plain = try ByteServer { connection in
      if connection.receive() != nil { connection.send(Array("-ERR unknown command\r\n".utf8)) }
    }
    let empty = try TemporaryDirectory("tls")
    try TestFiles.write("no certificate", to: empty("ca.pem"))
    try await onOwnThread {
      let unknown = try Self.refusal {
        _ = try Self.connect(own.port, tls: Self.tls("/etc/ssl/certs/ca-certificates.crt"))
      }
      #expect(!unknown.isRetryable && unknown.message.contains("is not trusted"), "\(unknown)")
      #expect(unknown.hint?.contains("the test's file") == true, "\(unknown)")

      let name = try Self.refusal {
        _ = try Self.connect(other.port, tls: Self.tls(other.certificate))
      }
      #expect(!name.isRetryable && name.hint?.contains("another name") == true, "\(name)")

      let handshake = try Self.refusal {
        _ = try Self.connect(plain.port, tls: Self.tls(own.certificate))
      }
      #expect(handshake.hint?.contains("write redis://") == true, "\(handshake)")

      let bad = try Self.refusal { _ = try Self.connect(own.port, tls: Self.tls(empty("ca.pem"))) }
      #expect(!bad.isRetryable && bad.message.contains("CA certificates"), "\(bad)")

      let none = try Self.refusal { _ = try Self.connect(own.port, tls: Self.tls(nil)) }
      #expect(!none.isRetryable && none.hint?.contains("ca-certificates") == true, "\(none)")

      var absent = Self.tls(own.certificate)
      absent.certificate = empty("absent.pem")
      let missing = try Self.refusal { _ = try Self.connect(own.port, tls: absent) }
      #expect(missing.message.contains("client certificate"), "\(missing)")

      absent.certificate = empty("ca.pem")
      let useless = try Self.refusal { _ = try Self.connect(own.port, tls: absent) }
      #expect(!useless.isRetryable && useless.message.contains("client certificate"), "\(useless)")

      absent = LinkTLS(trust: absent.trust, key: empty("ca.pem"))
      #expect(try Self.refusal { _ = try Self.connect(own.port, tls: absent) }.code == .usage)
    }
  }
}
