import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import S3Storage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Faults in the network and in the service.
@Suite(.timeLimit(.minutes(15))) struct S3FaultTests {
  static let faults: [(String, FaultS3Server.Fault)] = [
    ("500", .instead(.reply(FaultS3Server.error(500, "InternalError")))),
    ("503 SlowDown", .instead(.reply(FaultS3Server.error(503, "SlowDown")))),
    ("503 of a proxy", .instead(.reply(LoopbackReply(503, text: "<html>busy</html>")))),
    ("429", .instead(.reply(LoopbackReply(429)))),
    ("400 RequestTimeout", .instead(.reply(FaultS3Server.error(400, "RequestTimeout")))),
    ("reset", .instead(.reset)), ("hang up", .instead(.hangUp)), ("stall", .instead(.stall)),
    ("lost reply", .afterwards { _ in .reset }),
    ("truncated reply", .afterwards { .truncate($0, bytes: $0.body.count / 2) }),
    ("closed after the reply", .afterwards { .replyAndClose($0) }),
    ("late reply", .afterwards { .delay(milliseconds: 30, .reply($0)) }),
  ]

  private let limits = HTTPLimits(
    connect: .seconds(5), firstByte: .milliseconds(500), bytesPerSecondMin: 1,
    slowAfter: .seconds(5))

  /// Each operation gives the right result in spite of each fault, and nothing is stored twice.
  @Test(arguments: faults.map(\.0)) func everyOperationComesThrough(_ name: String) async throws {
    let fault = Self.faults.first { $0.0 == name }!.1
    let server = try FaultS3Server()
    let store = retrying(try Given.store(server, limits: limits))
    // Each request fails the first time it is made: the 1st, the 3rd, …
    let seen = Mutex<[String: Int]>([:])
    server.change {
      $0.fault = { request in
        let count = seen.withLock { seen in
          seen[request.method + request.target, default: 0] += 1
          return seen[request.method + request.target]!
        }
        return count == 1 ? fault : nil
      }
    }
    let bytes = [UInt8](repeating: 9, count: 70_000)
    let outcome = try await store.create("a/b", bytes)
    // Invariant 3: a client that lost a reply finds its own object and reads it back.
    #expect(
      outcome == .created
        || (outcome == .exists && server.content("bucket/some/prefix/a/b") == bytes))
    #expect(server.puts == 1)
    #expect(try await store.read("a/b") == bytes)
    #expect(try await store.read("absent") == nil)
    #expect(try await store.list(prefix: "a", continuing: nil).entries.map(\.name) == ["a/b"])
    #expect(try await store.delete(["a/b"]).isEmpty)
    #expect(server.names.isEmpty)
  }

  @Test func withoutRetriesEveryFaultIsARetryableErrorThatNamesTheObject() async throws {
    for (name, fault) in Self.faults where !["closed after the reply", "late reply"].contains(name)
    {
      let server = try FaultS3Server { $0.fault = { _ in fault } }
      let store = try Given.store(server, limits: limits)
      for work in [
        { _ = try await store.read("x/y") }, { _ = try await store.create("x/y", [1]) },
        { _ = try await store.list(prefix: "x/y", continuing: nil) },
      ] as [() async throws -> Void] {
        // For a PUT, a reply of which only the body is truncated may be complete.
        do {
          try await work()
          #expect(name == "truncated reply")
        } catch let error as LifeboatError {
          #expect(error.code == .storeUnavailable && error.isRetryable, "\(name): \(error)")
          #expect(error.message.contains("s3://bucket/some/prefix/x/y"), "\(name): \(error)")
        }
      }
    }
  }

  @Test func retryAfterIsHonoured() async throws {
    let count = Mutex(0)
    let server = try FaultS3Server {
      $0.fault = { _ in
        let number = count.withLock { count in
          count += 1
          return count
        }
        guard number == 1 else { return nil }
        return .instead(
          .reply(FaultS3Server.error(503, "SlowDown", headers: [("Retry-After", "3")])))
      }
    }
    let store = try Given.store(server)
    let start = ContinuousClock.now
    _ = try await failure { _ = try await store.read("x") }
    #expect(try await store.read("x") == nil)
    #expect(ContinuousClock.now - start >= .milliseconds(2950))
  }

  @Test func aReadThatMayBeCutIsRefused() async throws {
    let server = try FaultS3Server()
    let store = try Given.store(server)
    _ = try await store.create("x", [1, 2, 3])
    server.change { $0.fault = { _ in .afterwards { .undelimited($0) } } }
    let error = try await failure { _ = try await store.read("x") }
    #expect(error.isRetryable && error.cause?.contains("has no length") == true)
  }

  /// Only S3's own reply proves that an object does not exist.
  @Test func absenceIsProved() async throws {
    for reply in [
      LoopbackReply(404), LoopbackReply(404, text: "<html>not found</html>"),
      FaultS3Server.error(404, "NoSuchBucket"), FaultS3Server.error(404, "SomethingElse"),
      FaultS3Server.error(403, "AccessDenied"), LoopbackReply(204),
    ] {
      let server = try FaultS3Server { $0.fault = { _ in .instead(.reply(reply)) } }
      let store = try Given.store(server)
      let error = try await failure { _ = try await store.read("x") }
      #expect(error.code == .storeUnavailable, "\(reply): \(error)")
      let listing = try await failure { _ = try await store.list(prefix: "", continuing: nil) }
      #expect(listing.code == .storeUnavailable, "\(reply): \(listing)")
    }
  }

  @Test func anEmptyReplyIsNoEmptyListing() async throws {
    for body in ["", "<ListBucketResult/>", "<Error><Code>InternalError</Code></Error>"] {
      let server = try FaultS3Server {
        $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: body))) }
      }
      let store = try Given.store(server)
      let error = try await failure { _ = try await store.list(prefix: "", continuing: nil) }
      #expect(error.isRetryable && error.message.contains("can't list"))
    }
  }

  @Test func aListingOfSomethingElseIsRefused() async throws {
    let body = """
      <ListBucketResult><Contents><Key>other/x</Key><Size>1</Size>
      <LastModified>2026-11-22T14:02:07Z</LastModified></Contents>
      <IsTruncated>false</IsTruncated></ListBucketResult>
      """
    let server = try FaultS3Server {
      $0.fault = { _ in .instead(.reply(LoopbackReply(200, text: body))) }
    }
    let error = try await failure {
      _ = try await Given.store(server).list(prefix: "", continuing: nil)
    }
    #expect(error.message.contains("not requested"))
  }

  @Test func errorsOfSingleKeysAreRead() async throws {
    let server = try FaultS3Server { $0.undeletable = ["some/prefix/b"] }
    let store = try Given.store(server)
    for name in ["a", "b", "c"] { _ = try await store.create(name, [1]) }
    let failures = try await store.delete(["a", "b", "c", "bad//name"])
    #expect(failures.keys.sorted() == ["b", "bad//name"])
    #expect(failures["b"]?.isRetryable == true && failures["bad//name"]?.code == .corrupt)
    #expect(server.names == ["bucket/some/prefix/b"])
  }

  @Test func manyAreDeletedInBatches() async throws {
    let server = try FaultS3Server()
    let store = try Given.store(server)
    #expect(try await store.delete((0..<2500).map { "n/\($0)" }).isEmpty)
    #expect(server.server.requests.count == 3)
  }

  @Test func aCancelledCallEndsSoon() async throws {
    let server = try FaultS3Server { $0.fault = { _ in .instead(.stall) } }
    let store = try Given.store(server, limits: HTTPLimits(firstByte: .seconds(3600)))
    let task = Task { try await store.read("x") }
    try await eventually("the request") { server.server.requests.count == 1 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
  }

  /// A long run with random faults. Everything that was acknowledged is there exactly once, byte for byte.
  @Test func aLongRunWithFaults() async throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    let random = Mutex(SeededRandom(seed: seed))
    let faults = Self.faults.filter { $0.0 != "stall" }.map(\.1)
    let server = try FaultS3Server {
      $0.fault = { _ in
        random.withLock { random in
          Int.random(in: 0..<4, using: &random) == 0 ? faults.randomElement(using: &random) : nil
        }
      }
    }
    let base = try Given.store(server, limits: limits)
    let store = retrying(base)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for writer in 0..<6 {
        group.addTask {
          for number in 0..<40 {
            let name = "w\(writer)/\(number)"
            let bytes = Array(repeating: UInt8(writer), count: number * 137)
            let outcome = try await store.create(name, bytes)
            if outcome == .exists { #expect(try await store.read(name) == bytes, "seed \(seed)") }
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(server.puts == 240, "seed \(seed)")
    var names: [String] = []
    var next: String?
    repeat {
      let page = try await store.list(prefix: "", continuing: next)
      names += page.entries.map(\.name)
      next = page.next
    } while next != nil
    #expect(names.count == 240, "seed \(seed)")
    for writer in 0..<6 {
      for number in 0..<40 {
        let bytes = try await store.read("w\(writer)/\(number)")
        #expect(bytes == Array(repeating: UInt8(writer), count: number * 137), "seed \(seed)")
      }
    }
  }
}
