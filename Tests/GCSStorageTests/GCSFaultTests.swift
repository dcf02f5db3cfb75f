import BackupTypes
import GCSStorage
import HTTPTransport
import ObjectStorage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Faults in the network and in the service.
@Suite(.timeLimit(.minutes(5))) struct GCSFaultTests {
  static let faults: [(String, FakeGCSServer.Fault)] = [
    ("500", .instead(.reply(FakeGCSServer.error(500, "backendError")))),
    ("503", .instead(.reply(FakeGCSServer.error(503, "backendError")))),
    ("503 of a proxy", .instead(.reply(LoopbackReply(503, text: "<html>busy</html>")))),
    ("429", .instead(.reply(FakeGCSServer.error(429, "rateLimitExceeded")))),
    ("408", .instead(.reply(LoopbackReply(408)))),
    ("reset", .instead(.reset)), ("hang up", .instead(.hangUp)), ("stall", .instead(.stall)),
    ("lost reply", .afterwards { _ in .reset }),
    ("truncated reply", .afterwards { .truncate($0, bytes: $0.body.count / 2) }),
    ("closed after the reply", .afterwards { .replyAndClose($0) }),
    ("late reply", .afterwards { .delay(milliseconds: 30, .reply($0)) }),
  ]

  private let limits = HTTPLimits(
    connect: .seconds(5), firstByte: .milliseconds(500), bytesPerSecondMin: 1,
    slowAfter: .seconds(5))

  /// Invariant 3: nothing is stored twice, and a client that lost a reply finds its own object.
  @Test(arguments: faults.map(\.0))
  func `every operation comes through`(_ name: String) async throws {
    let fault = Self.faults.first { $0.0 == name }!.1
    let cloud = try Cloud()
    let store = retrying(try cloud.store(limits: limits))
    // Each request fails the first time it is made.
    let seen = Mutex<Set<String>>([])
    cloud.gcs.change {
      $0.fault = { request in
        seen.withLock { $0.insert(request.method + request.target).inserted } ? fault : nil
      }
    }
    let bytes = [UInt8](repeating: 9, count: 70_000)
    let outcome = try await store.create("a/b", bytes)
    #expect(
      outcome == .created
        || (outcome == .exists && cloud.gcs.content("bucket/some/prefix/a/b") == bytes))
    #expect(cloud.gcs.creations == 1)
    #expect(try await store.read("a/b") == bytes)
    #expect(try await store.read("absent") == nil)
    #expect(try await store.list(prefix: "a", continuing: nil).entries.map(\.name) == ["a/b"])
    #expect(try await store.delete(["a/b"]).isEmpty)
    #expect(cloud.gcs.names.isEmpty)
  }

  @Test func `without retries every fault is a retryable error that names the object`()
    async throws
  {
    for (name, fault) in Self.faults where !["closed after the reply", "late reply"].contains(name)
    {
      let cloud = try Cloud { $0.fault = { _ in fault } }
      let store = try cloud.store(limits: limits)
      for work in [
        { _ = try await store.read("x/y") }, { _ = try await store.create("x/y", [1]) },
        { _ = try await store.list(prefix: "x/y", continuing: nil) },
      ] as [() async throws -> Void] {
        let error = try await failure(work)
        #expect(error.code == .storeUnavailable && error.isRetryable, "\(name): \(error)")
        #expect(error.message.contains("gs://bucket/some/prefix/x/y"), "\(name): \(error)")
      }
    }
  }

  @Test func `Retry-After holds every request back`() async throws {
    let isFirst = Mutex(true)
    let cloud = try Cloud {
      $0.fault = { _ in
        let now = isFirst.withLock { first in
          defer { first = false }
          return first
        }
        return now
          ? .instead(
            .reply(FakeGCSServer.error(503, "backendError", headers: [("Retry-After", "2")])))
          : nil
      }
    }
    let store = try cloud.store()
    let start = ContinuousClock.now
    let error = try await failure { _ = try await store.read("x") }
    #expect(error.isRetryable)
    #expect(try await store.read("x") == nil)
    // The server asked for this delay, so the retry does not come sooner.
    #expect(ContinuousClock.now - start >= .milliseconds(1950))
  }

  @Test func `only a complete listing proves that something is absent`() async throws {
    let replies = [
      LoopbackReply(404), LoopbackReply(404, text: "<html>not found</html>"),
      LoopbackReply(404, text: "No such object: bucket/some/prefix/x"),
      FakeGCSServer.error(404, "notFound"), FakeGCSServer.error(403, "forbidden"),
      LoopbackReply(204),
    ]
    for reply in replies {
      // A proxy or a missing bucket sends the same reply to everything.
      let cloud = try Cloud { $0.fault = { _ in .instead(.reply(reply)) } }
      let store = try cloud.store()
      for work in [
        { _ = try await store.read("x") },
        { _ = try await store.list(prefix: "", continuing: nil) },
        { _ = try await store.now() },
      ] as [() async throws -> Void] {
        let error = try await failure(work)
        #expect(error.code == .storeUnavailable, "\(reply): \(error)")
      }
    }
  }

  @Test func `a download that fails though its object is listed is no absence`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store()
    _ = try await store.create("x", [1])
    cloud.gcs.change {
      $0.fault = { $0.target.contains("alt=media") ? .instead(.reply(LoopbackReply(404))) : nil }
    }
    #expect(try await failure { _ = try await store.read("x") }.isRetryable)
  }

  @Test func `an unreadable page is no empty listing`() async throws {
    for body in [
      "", "{}", "[]", "null", "{\"items\":[]}", "{\"kind\":\"storage#bucket\"}", "<html></html>",
      "{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"some/prefix/x\"}]}",
      "{\"kind\":\"storage#objects\",\"items\":[",
    ] {
      let cloud = try Cloud { $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: body))) } }
      let error = try await failure {
        _ = try await cloud.store().list(prefix: "", continuing: nil)
      }
      #expect(error.isRetryable && error.message.contains("can't list"), "\(body): \(error)")
    }
  }

  @Test func `a listing of something else is refused`() async throws {
    let body = """
      {"kind":"storage#objects",
      "items":[{"name":"other/x","size":"1","timeCreated":"2026-11-22T14:02:07Z"}]}
      """
    let cloud = try Cloud { $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: body))) } }
    let error = try await failure {
      _ = try await cloud.store().list(prefix: "", continuing: nil)
    }
    #expect(error.message.contains("not requested"))
  }

  @Test func `an answer that is not Google's is no proof of a new object`() async throws {
    let cloud = try Cloud {
      $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: "<html>welcome</html>"))) }
    }
    #expect(try await failure { _ = try await cloud.store().create("x", [1]) }.isRetryable)
  }

  // MARK: Damage

  @Test func `bytes damaged on the way there are refused`() async throws {
    let cloud = try Cloud { $0.damagesUploads = true }
    let error = try await failure { _ = try await cloud.store().create("x", [1, 2, 3]) }
    #expect(error.isRetryable && error.cause?.contains("CRC32C") == true, "\(error)")
    #expect(cloud.gcs.names.isEmpty)
  }

  @Test func `an object that is not what was sent does not stay`() async throws {
    let cloud = try Cloud {
      $0.damagesUploads = true
      $0.checksUploads = false
    }
    let store = try cloud.store()
    let error = try await failure { _ = try await store.create("x", [1, 2, 3]) }
    #expect(error.isRetryable && error.cause?.contains("changed in transit") == true, "\(error)")
    #expect(cloud.gcs.names.isEmpty)
    cloud.gcs.change { $0.damagesUploads = false }
    #expect(try await store.create("x", [1, 2, 3]) == .created)
  }

  @Test func `bytes damaged on the way back are refused`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store()
    _ = try await store.create("x", [1, 2, 3])
    cloud.gcs.change {
      $0.fault = { _ in
        .afterwards { reply in
          var reply = reply
          reply.body[0] ^= 1
          return .reply(reply)
        }
      }
    }
    let error = try await failure { _ = try await store.read("x") }
    #expect(error.isRetryable && error.cause?.contains("CRC-32C") == true)
  }

  @Test func `a reply that may be cut is refused`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store()
    _ = try await store.create("x", [1, 2, 3])
    cloud.gcs.change { $0.fault = { _ in .afterwards { .undelimited($0) } } }
    let error = try await failure { _ = try await store.read("x") }
    #expect(error.isRetryable && error.cause?.contains("has no length") == true)
  }

  // MARK: Deleting

  @Test func `what can't be deleted is told by name`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store()
    for name in ["a", "b", "c"] { _ = try await store.create(name, [1]) }
    cloud.gcs.change {
      $0.fault = {
        $0.method == "DELETE" && $0.path.hasSuffix("b")
          ? .instead(.reply(FakeGCSServer.error(403, "retentionPolicyNotMet"))) : nil
      }
    }
    let failures = try await store.delete(["a", "b", "c", "bad//name"])
    #expect(failures.keys.sorted() == ["b", "bad//name"])
    #expect(failures["b"]?.hint?.contains("retention") == true)
    #expect(cloud.gcs.names == ["bucket/some/prefix/b"])
  }

  @Test func `deletions go in parallel, and not too many`() async throws {
    let cloud = try Cloud()
    let most = Mutex((now: 0, max: 0))
    cloud.gcs.change {
      $0.fault = { request in
        guard request.method == "DELETE" else { return nil }
        most.withLock {
          $0.now += 1
          $0.max = max($0.max, $0.now)
        }
        return .afterwards { reply in
          most.withLock { $0.now -= 1 }
          return .reply(reply)
        }
      }
    }
    #expect(try await cloud.store().delete((0..<200).map { "n/\($0)" }).isEmpty)
    #expect(cloud.gcs.server.requests.count == 201, "one for each, and one for the bucket")
    #expect(most.withLock { $0.max } <= 4)
  }

  /// There is no retry. A network that loses every fifth request never lets all of them through at once.
  @Test func `deletions come through a way that loses some`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store()
    for number in 0..<60 { _ = try await store.create("n/\(number)", [1]) }
    cloud.gcs.change {
      $0.fault = { request in
        guard request.method == "DELETE", request.number % 5 == 0 else { return nil }
        return request.number % 10 == 0
          ? .afterwards { _ in .reset } : .instead(.reply(FakeGCSServer.error(503, "backendError")))
      }
    }
    #expect(try await store.delete((0..<60).map { "n/\($0)" }).isEmpty)
    #expect(cloud.gcs.names.isEmpty)
  }

  @Test func `a store that does nothing is not asked for each deletion`() async throws {
    let cloud = try Cloud { $0.fault = { _ in .instead(.reply(LoopbackReply(500))) } }
    let error = try await failure {
      _ = try await cloud.store().delete((0..<500).map { "n/\($0)" })
    }
    #expect(error.isRetryable && cloud.gcs.server.requests.count < 20, "\(error)")
  }

  @Test func `a cancelled call ends`() async throws {
    let cloud = try Cloud { $0.fault = { _ in .instead(.stall) } }
    let store = try cloud.store(limits: HTTPLimits())
    let task = Task { try await store.read("x") }
    try await eventually(deadline: 120, "the request") { cloud.gcs.server.requests.count == 1 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }
}
