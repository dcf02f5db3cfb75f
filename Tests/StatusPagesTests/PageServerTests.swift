import BackupTypes
import HTTPTransport
import StatusPages
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct PageServerTests {
  private let client: HTTPClient

  init() throws {
    client = try HTTPClient(
      connectionsMax: 4, limits: HTTPLimits(), trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "test/1")
  }

  private func start(_ handler: @escaping PageServer.Handler) async throws -> PageServer {
    try await PageServer.start(try ListenAddress("127.0.0.1:0"), handler)
  }

  private func ask(
    _ server: PageServer, _ method: HTTPRequest.Method, _ path: String
  ) async throws -> HTTPResponse {
    try await client.send(
      HTTPRequest(method, "http://127.0.0.1:\(server.port)\(path)", route: .direct))
  }

  @Test func `answers with what the handler gives, again and again`() async throws {
    let server = try await start { .text(200, "\($0.method) \($0.path)") }
    for number in 0..<20 {
      let reply = try await ask(server, .get, "/page\(number)?query#fragment")
      #expect(reply.status == 200)
      #expect(String(decoding: reply.body, as: UTF8.self) == "GET /page\(number)\n")
      #expect(reply.headers["Content-Type"] == "text/plain; charset=utf-8")
    }
    let head = try await ask(server, .head, "/x")
    #expect(head.status == 200 && head.body.isEmpty)
    #expect(head.headers["Content-Length"] == "8")
    await server.stop()
    await #expect(throws: LifeboatError.self) { try await ask(server, .get, "/") }
  }

  @Test func `the handler is told whose page asks`() async throws {
    let server = try await start { .text(200, $0.origin ?? "nobody's") }
    let address = "127.0.0.1:\(server.port)"
    for (headers, expected) in [
      ([], "nobody's"), ([("Origin", "http://a")], "http://a"), ([("origin", "null")], "null"),
      ([("Origin", "http://\(address)"), ("Origin", "http://b")], "http://\(address), http://b"),
    ] as [([(String, String)], String)] {
      let socket = try RawSocket(port: server.port)
      let lines = headers.map { "\($0): \($1)\r\n" }.joined()
      try socket.send(
        Array("GET / HTTP/1.1\r\nHost: \(address)\r\n\(lines)Connection: close\r\n\r\n".utf8))
      let reply = String(decoding: socket.receiveAll(), as: UTF8.self)
      #expect(reply.hasSuffix("\r\n\r\n\(expected)\n"), "\(reply)")
    }
    await server.stop()
  }

  @Test func `a port in use is an error that says so`() async throws {
    let server = try await start { _ in .text(200, "") }
    let error = await #expect(throws: LifeboatError.self) {
      try await PageServer.start(try ListenAddress("127.0.0.1:\(server.port)")) { _ in
        .text(200, "")
      }
    }
    #expect(error?.message == "can't listen on 127.0.0.1:\(server.port)")
    await server.stop()
  }

  @Test func `what is no HTTP is cut off and the next one served`() async throws {
    let server = try await start { _ in .text(200, "fine") }
    for garbage in ["\u{1}\u{2}\u{3}\r\n\r\n", "GET\r\n\r\n", "PING\r\n"] {
      let socket = try RawSocket(port: server.port)
      try socket.send(Array(garbage.utf8))
      _ = socket.receiveAll()
    }
    #expect(try await ask(server, .get, "/").status == 200)
    await server.stop()
  }

  @Test func `idle connections keep no probe out, and are so many and no more`() async throws {
    let server = try await start { _ in .text(200, "fine") }
    var sockets: [RawSocket] = []
    for _ in 0..<80 { sockets.append(try RawSocket(port: server.port)) }
    // All open connections are idle. A new request is answered every time.
    for _ in 0..<5 {
      let socket = try RawSocket(port: server.port)
      try socket.send(Array("GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".utf8))
      let reply = String(decoding: socket.receiveAll(), as: UTF8.self)
      #expect(reply.hasPrefix("HTTP/1.1 200 OK"), "\(reply)")
    }
    // The oldest connections were closed.
    for socket in sockets.prefix(16) { #expect(socket.receiveAll().isEmpty) }
    await server.stop()
  }
}
