import BackupTypes
import HTTPTransport
import TestSupport
import Testing

/// Uses `openssl s_server` with new certificates.
@Suite(.timeLimit(.minutes(15))) struct TLSTests {
  private final class Server: Sendable {
    let port: UInt16
    let directory: TemporaryDirectory
    let process: ChildProcess
    var certificate: String { directory("cert.pem") }

    init(name: String, days: String = "2") async throws {
      directory = try TemporaryDirectory("tls")
      let openssl = "/usr/bin/openssl"
      let made = try ChildProcess(
        openssl,
        [
          "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", directory("key.pem"), "-out",
          directory("cert.pem"), "-days", days, "-subj", "/CN=test", "-addext",
          "subjectAltName=\(name)",
        ])
      guard try await made.wait() == .exited(0) else { throw HarnessError("openssl req failed") }
      port = try freePorts(1)[0]
      process = try ChildProcess(
        openssl,
        [
          "s_server", "-accept", "127.0.0.1:\(port)", "-cert", directory("cert.pem"), "-key",
          directory("key.pem"), "-www", "-quiet",
        ])
      let plain = try HTTPClientTests.client(limits: HTTPLimits(firstByte: .milliseconds(100)))
      // It is up when it no longer refuses connections.
      try await eventually("openssl s_server") {
        do {
          _ = try await plain.send(HTTPRequest(.get, "http://127.0.0.1:\(port)/", route: .direct))
          return true
        } catch let error as LifeboatError {
          return !error.message.hasPrefix("can't connect")
        }
      }
    }
  }

  private func get(_ server: Server, _ trust: TrustStore) async throws -> HTTPResponse {
    try await HTTPClientTests.client(trust: trust).send(
      HTTPRequest(.get, "https://127.0.0.1:\(server.port)/", route: .direct))
  }

  @Test func trustsTheNamedAuthorityAndNoOther() async throws {
    let server = try await Server(name: "IP:127.0.0.1")
    let named = try TrustStore.resolve(caFile: server.certificate, environment: [:])
    #expect(try await get(server, named).status == 200)

    let system = try TrustStore.resolve(caFile: nil, environment: [:])
    do {
      _ = try await get(server, system)
      Issue.record("an unknown authority was trusted")
    } catch let error as LifeboatError {
      #expect(error.code == .storeUnavailable && !error.isRetryable)
      #expect(error.message.contains("is not trusted"), "\(error)")
      #expect(error.hint?.contains("--ca-file") == true, "\(error)")
    }
  }

  @Test func aCertificateForAnotherNameIsRefused() async throws {
    let server = try await Server(name: "DNS:other.example")
    do {
      _ = try await get(server, TrustStore(file: server.certificate, origin: "a test"))
      Issue.record("a certificate for another name was taken")
    } catch let error as LifeboatError {
      #expect(!error.isRetryable && error.hint?.contains("another name") == true, "\(error)")
    }
  }

  @Test func plainHTTPOnATLSPortAndViceVersa() async throws {
    let plain = try LoopbackServer { _ in .reply(LoopbackReply(200)) }
    do {
      _ = try await HTTPClientTests.client(
        trust: TrustStore(file: "/etc/ssl/certs/ca-certificates.crt", origin: "x")
      )
      .send(HTTPRequest(.get, "https://127.0.0.1:\(plain.port)/", route: .direct))
      Issue.record("TLS with a plain server")
    } catch let error as LifeboatError {
      #expect(error.hint?.contains("http://") == true, "\(error)")
    }
  }

  @Test func theEnvironmentNamesTheStore() async throws {
    let directory = try TemporaryDirectory()
    for name in ["a", "b", "c", "d"] { try TestFiles.write("x", to: directory(name)) }
    let all = [
      "AWS_CA_BUNDLE": directory("a"), "SSL_CERT_FILE": directory("b"),
      "CURL_CA_BUNDLE": directory("c"),
    ]
    #expect(try TrustStore.resolve(caFile: directory("d"), environment: all).file == directory("d"))
    #expect(try TrustStore.resolve(caFile: nil, environment: all).origin == "AWS_CA_BUNDLE")
    let two = all.filter { $0.key != "AWS_CA_BUNDLE" }
    #expect(try TrustStore.resolve(caFile: nil, environment: two).origin == "SSL_CERT_FILE")
    let error = #expect(throws: LifeboatError.self) {
      try TrustStore.resolve(caFile: directory("absent"), environment: [:])
    }
    #expect(error?.code == .usage && error?.cause?.contains("--ca-file") == true)
    #expect(throws: LifeboatError.self) {
      try TrustStore.resolve(caFile: nil, environment: ["SSL_CERT_FILE": "/no/such/file"])
    }
  }

  @Test func withoutAnyAuthorityTLSIsRefused() async throws {
    let client = try HTTPClientTests.client(trust: TrustStore(file: nil, origin: "none"))
    let error = await #expect(throws: LifeboatError.self) {
      _ = try await client.send(HTTPRequest(.get, "https://127.0.0.1:1/", route: .direct))
    }
    #expect(error?.hint?.contains("ca-certificates") == true)
  }
}
