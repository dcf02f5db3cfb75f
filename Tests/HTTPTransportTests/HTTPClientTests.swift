import BackupTypes
import Glibc
import HTTPTransport
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(15))) struct HTTPClientTests {
  static func client(
    connections: Int = 4, limits: HTTPLimits = HTTPLimits(connect: .seconds(5)),
    trust: TrustStore = TrustStore(file: nil, origin: "a test")
  ) throws -> HTTPClient {
    try HTTPClient(connectionsMax: connections, limits: limits, trust: trust, userAgent: "test/1")
  }

  private func get(_ url: String) -> HTTPRequest { HTTPRequest(.get, url, route: .direct) }

  private func failure(_ body: () async throws -> Void) async throws -> LifeboatError {
    do {
      try await body()
    } catch let error as LifeboatError {
      return error
    }
    throw HarnessError("it succeeded")
  }

  @Test func sendsWhatItWasGivenAndNothingElse() async throws {
    let server = try LoopbackServer { _ in
      .reply(LoopbackReply(418, headers: [("X-One", " a "), ("x-two", "b")], text: "pot"))
    }
    var request = HTTPRequest(
      .put, server.url + "/a%20b/../c?x=%2F", body: [1, 2, 3], route: .direct)
    request.headers.append("X-Test", "v")
    request.headers.append("X-Empty", "")
    let reply = try await Self.client().send(request)
    #expect(reply.status == 418)
    #expect(reply.headers["x-one"] == "a" && reply.headers["X-TWO"] == "b")
    #expect(reply.body == Array("pot".utf8) && reply.isDelimited)
    let seen = try #require(server.requests.first)
    #expect(seen.method == "PUT" && seen.target == "/a%20b/../c?x=%2F" && seen.body == [1, 2, 3])
    #expect(seen["x-test"] == "v" && seen["x-empty"] == "" && seen["Content-Length"] == "3")
    #expect(seen["Expect"] == nil && seen["Content-Type"] == nil)
    #expect(seen["Transfer-Encoding"] == nil)
  }

  @Test(arguments: [HTTPRequest.Method.get, .head, .put, .post, .delete])
  func everyMethod(_ method: HTTPRequest.Method) async throws {
    let server = try LoopbackServer { _ in .reply(LoopbackReply(200, text: "body")) }
    let reply = try await Self.client().send(HTTPRequest(method, server.url + "/", route: .direct))
    #expect(server.requests.first?.method == method.rawValue)
    #expect(reply.body == (method == .head ? [] : Array("body".utf8)))
    let length = server.requests.first?["Content-Length"]
    #expect(length == (method == .put || method == .post ? "0" : nil))
  }

  @Test func carriesLargeBodiesBothWays() async throws {
    let server = try LoopbackServer { .reply(LoopbackReply(200, body: $0.body)) }
    let body = (0..<(9 << 20) + 7).map { UInt8(truncatingIfNeeded: $0 &* 2_654_435_761 >> 9) }
    let client = try Self.client()
    let reply = try await client.send(
      HTTPRequest(.put, server.url, body: body, route: .direct, responseBytesMax: 10 << 20))
    #expect(reply.body == body)
  }

  @Test func keepsConnectionsAlive() async throws {
    let server = try LoopbackServer { _ in .reply(LoopbackReply(200, text: "x")) }
    let client = try Self.client()
    for _ in 0..<20 { _ = try await client.send(get(server.url)) }
    #expect(server.connections == 1)
  }

  @Test func hasNoMoreConnectionsThanThreads() async throws {
    let server = try LoopbackServer { _ in
      .delay(milliseconds: 20, .reply(LoopbackReply(200, text: "x")))
    }
    let client = try Self.client(connections: 3)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<24 { group.addTask { _ = try await client.send(get(server.url)) } }
      try await group.waitForAll()
    }
    #expect(server.connections <= 3)
  }

  /// libcurl itself retries if the server has closed a kept-alive connection.
  @Test func survivesAClosedKeptConnection() async throws {
    let server = try LoopbackServer { .reply(LoopbackReply(200, body: $0.body)) }
    let client = try Self.client()
    let body = [UInt8](repeating: 7, count: 1 << 20)
    for _ in 0..<5 {
      let request = HTTPRequest(
        .put, server.url, body: body, route: .direct, responseBytesMax: 2 << 20)
      #expect(try await client.send(request).body == body)
      server.closeConnections()
    }
  }

  @Test func followsNoRedirect() async throws {
    let server = try LoopbackServer { _ in
      .reply(LoopbackReply(301, headers: [("Location", "http://127.0.0.1:1/elsewhere")]))
    }
    #expect(try await Self.client().send(get(server.url)).status == 301)
    #expect(server.requests.count == 1)
  }

  @Test func refusesAReplyThatIsTooLarge() async throws {
    let server = try LoopbackServer { _ in
      .reply(LoopbackReply(200, body: [UInt8](repeating: 1, count: 2000)))
    }
    let error = try await failure {
      var request = get(server.url)
      request.responseBytesMax = 1999
      _ = try await Self.client().send(request)
    }
    #expect(error.code == .corrupt && !error.isRetryable)
    var enough = get(server.url)
    enough.responseBytesMax = 2000
    #expect(try await Self.client().send(enough).body.count == 2000)
  }

  @Test func tellsWhetherTheEndWasSaid() async throws {
    let server = try LoopbackServer { _ in .undelimited(LoopbackReply(200, text: "half")) }
    #expect(try await Self.client().send(get(server.url)).isDelimited == false)
  }

  @Test(arguments: ["truncate", "reset", "hang up"])
  func aBrokenConnectionIsRetryable(_ fault: String) async throws {
    let server = try LoopbackServer { _ in
      switch fault {
      case "truncate": .truncate(LoopbackReply(200, text: "0123456789"), bytes: 4)
      case "reset": .reset
      default: .hangUp
      }
    }
    let error = try await failure { _ = try await Self.client().send(get(server.url)) }
    #expect(error.code == .storeUnavailable && error.isRetryable, "\(error)")
    #expect(error.message.contains("127.0.0.1:\(server.port)"))
  }

  @Test func givesUpOnSilence() async throws {
    let server = try LoopbackServer { _ in .stall }
    let limits = HTTPLimits(firstByte: .milliseconds(300))
    let error = try await failure {
      _ = try await Self.client(limits: limits).send(get(server.url))
    }
    #expect(error.isRetryable && error.message.contains("does not answer"), "\(error)")
  }

  @Test func givesUpOnAStandstill() async throws {
    let server = try LoopbackServer { _ in
      .trickle(LoopbackReply(200, text: String(repeating: "x", count: 100)), milliseconds: 200)
    }
    let limits = HTTPLimits(bytesPerSecondMin: 1000, slowAfter: .milliseconds(600))
    let error = try await failure {
      _ = try await Self.client(limits: limits).send(get(server.url))
    }
    #expect(error.isRetryable && error.message.contains("stalled"), "\(error)")
  }

  @Test func refusedAndUnresolvable() async throws {
    let port = try freePorts(1)[0]
    let refused = try await failure {
      _ = try await Self.client().send(get("http://127.0.0.1:\(port)/secret/path?q"))
    }
    #expect(refused.isRetryable && refused.message == "can't connect to http://127.0.0.1:\(port)")
    #expect(refused.hint?.contains("firewall") == true)
    let unknown = try await failure {
      _ = try await Self.client().send(get("http://no-such-host.invalid/"))
    }
    #expect(unknown.isRetryable && unknown.message.contains("can't resolve the host"), "\(unknown)")
  }

  @Test func refusesOtherProtocolsAndLineEnds() async throws {
    for url in ["file:///etc/passwd", "ftp://127.0.0.1/", "http://127.0.0.1/\r\nX: y", "nonsense"] {
      let error = try await failure { _ = try await Self.client().send(get(url)) }
      #expect(!error.isRetryable || url == "nonsense", "\(url): \(error)")
    }
    var request = get("http://127.0.0.1/")
    request.headers.append("X", "a\nb")
    let error = try await failure { _ = try await Self.client().send(request) }
    #expect(error.code == .usage)
  }

  @Test func aCancelledRequestEndsAtOnce() async throws {
    let server = try LoopbackServer { _ in .stall }
    // Only the cancellation ends the request.
    let client = try Self.client(connections: 2, limits: HTTPLimits(firstByte: .seconds(3600)))
    let task = Task { try await client.send(get(server.url)) }
    try await eventually("request at the server") { server.requests.count == 1 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    // The thread and the handle can be used again.
    server.handle { _ in .reply(LoopbackReply(200, text: "x")) }
    for _ in 0..<4 { #expect(try await client.send(get(server.url)).status == 200) }
  }

  @Test func manyCancelledRequestsLeaveTheClientUsable() async throws {
    let server = try LoopbackServer { _ in .stall }
    let client = try Self.client(connections: 3)
    let tasks = (0..<30).map { _ in Task { try await client.send(get(server.url)) } }
    try await eventually("requests at the server") { server.requests.count >= 3 }
    for task in tasks { task.cancel() }
    for task in tasks { _ = await task.result }
    server.handle { _ in .reply(LoopbackReply(200, text: "x")) }
    #expect(try await client.send(get(server.url)).status == 200)
  }

  /// The cooperative pool of a small machine has two threads, and none of them may wait for a server. Here no
  /// request is answered before all have been sent.
  @Test func leavesTheCooperativePoolFree() async throws {
    let asked = Mutex(0)
    let all = 16
    let server = try LoopbackServer { _ in
      asked.withLock { $0 += 1 }
      while asked.withLock({ $0 }) < all { usleep(1000) }
      return .reply(LoopbackReply(200, text: "x"))
    }
    let limits = HTTPLimits(firstByte: .seconds(3600))
    let client = try Self.client(connections: all, limits: limits)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<all { group.addTask { _ = try await client.send(get(server.url)) } }
      try await group.waitForAll()
    }
  }
}
