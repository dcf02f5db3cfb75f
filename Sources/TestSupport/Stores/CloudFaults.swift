import BackupTypes
package import HTTPTransport
package import ObjectStorage
import Synchronization

/// What the tests' own stores have in common.
package protocol TestStoreServer: Sendable {
  var server: LoopbackServer { get }
  /// The sorted names of all objects, beginning with their bucket.
  var names: [String] { get }
  /// How often an object was stored again under the same name.
  var repetitions: Int { get }
}

/// What the tests' own Azure and Google Cloud Storage have in common.
package protocol FakeCloudServer: TestStoreServer {
  associatedtype Setup: FakeCloudSetup
  /// How often an object was stored.
  var creations: Int { get }
  func content(_ name: String) -> [UInt8]?
  func change(_ change: (inout Setup) -> Void)
  /// The service's own reply with status 429, 500 or 503.
  static func busy(_ status: Int, headers: [(String, String)]) -> LoopbackReply
}

package protocol FakeCloudSetup {
  var fault: @Sendable (LoopbackRequest) -> FaultS3Server.Fault? { get set }
  var damagesUploads: Bool { get set }
  var checksUploads: Bool { get set }
}

/// Faults in the network and in the service, which every store in a cloud handles in the same way. Each
/// function throws an `ObjectStoreConformance.Violation` if the store does not.
package struct CloudFaults<Server: FakeCloudServer>: Sendable {
  package typealias Open = @Sendable (HTTPLimits?) throws -> any ObjectStore
  package typealias Fault = FaultS3Server.Fault

  /// `gs://bucket/some/prefix`.
  private let place: String
  private let make: @Sendable ((inout Server.Setup) -> Void) throws -> (Server, Open)

  /// - Parameters:
  ///   - place: the location of the stores.
  ///   - make: starts a server, and returns a function that opens a store in it. Without limits, that
  ///     function uses those of most tests.
  package init(
    _ place: String,
    make: @escaping @Sendable ((inout Server.Setup) -> Void) throws -> (Server, Open)
  ) {
    self.place = place
    self.make = make
  }

  package static var all: [(name: String, fault: Fault)] {
    [
      ("500", .instead(.reply(Server.busy(500, headers: [])))),
      ("503", .instead(.reply(Server.busy(503, headers: [])))),
      ("503 of a proxy", .instead(.reply(LoopbackReply(503, text: "<html>busy</html>")))),
      ("429", .instead(.reply(Server.busy(429, headers: [])))),
      ("408", .instead(.reply(LoopbackReply(408)))),
      ("reset", .instead(.reset)), ("hang up", .instead(.hangUp)), ("stall", .instead(.stall)),
      ("lost reply", .afterwards { _ in .reset }),
      ("truncated reply", .afterwards { .truncate($0, bytes: $0.body.count / 2) }),
      ("closed after the reply", .afterwards { .replyAndClose($0) }),
      ("late reply", .afterwards { .delay(milliseconds: 30, .reply($0)) }),
    ]
  }
  package static var names: [String] { all.map(\.name) }

  private var limits: HTTPLimits {
    HTTPLimits(
      connect: .seconds(5), firstByte: .milliseconds(500), bytesPerSecondMin: 1,
      slowAfter: .seconds(5))
  }
  private func require(_ condition: Bool, _ message: @autoclosure () -> String) throws {
    try ObjectStoreConformance.require(condition, message())
  }
  /// The name of an object in the server, beginning with its bucket.
  private func full(_ name: String) -> String {
    String(place[place.firstRange(of: "://")!.upperBound...]) + "/" + name
  }

  // MARK: Faults

  /// Invariant 3: nothing is stored twice, and a client that lost a reply finds its own object.
  package func comesThrough(_ name: String) async throws {
    let fault = Self.all.first { $0.name == name }!.fault
    let (server, open) = try make { _ in }
    let store = retrying(try open(limits))
    // Each request fails the first time it is made.
    let seen = Mutex<Set<String>>([])
    server.change {
      $0.fault = { request in
        seen.withLock { $0.insert(request.method + request.target).inserted } ? fault : nil
      }
    }
    let bytes = [UInt8](repeating: 9, count: 70_000)
    let outcome = try await store.create("a/b", bytes)
    try require(
      outcome == .created || server.content(full("a/b")) == bytes, "the creation: \(outcome)")
    try require(server.creations == 1, "it was stored \(server.creations) times")
    try require(try await store.read("a/b") == bytes, "it is another object")
    try require(try await store.read("absent") == nil, "an absent object is there")
    let listed = try await store.list(prefix: "a", continuing: nil).entries.map(\.name)
    try require(listed == ["a/b"], "listed: \(listed)")
    let failures = try await store.delete(["a/b"])
    try require(failures.isEmpty && server.names.isEmpty, "the deletion: \(failures)")
  }

  /// Without retries, every fault is a retryable error that names the object.
  ///
  /// - Parameter creationHasBody: whether the reply to a creation has a body that can be truncated.
  package func areNamed(creationHasBody: Bool) async throws {
    for (name, fault) in Self.all where !["closed after the reply", "late reply"].contains(name) {
      let (_, open) = try make { $0.fault = { _ in fault } }
      let store = try open(limits)
      var works: [() async throws -> Void] = [
        { _ = try await store.read("x/y") },
        { _ = try await store.list(prefix: "x/y", continuing: nil) },
      ]
      if creationHasBody || name != "truncated reply" {
        works.append { _ = try await store.create("x/y", [1]) }
      }
      for work in works {
        let error = try await failure(work)
        try require(error.code == .storeUnavailable && error.isRetryable, "\(name): \(error)")
        try require(error.message.contains("\(place)/x/y"), "\(name): \(error)")
      }
    }
  }

  package func waitsAsLongAsTheServerSays() async throws {
    let isFirst = Mutex(true)
    let (_, open) = try make {
      $0.fault = { _ in
        let now = isFirst.withLock { first in
          defer { first = false }
          return first
        }
        return now
          ? .instead(.reply(Server.busy(503, headers: [("Retry-After", "2")]))) : nil
      }
    }
    let store = try open(nil)
    let start = ContinuousClock.now
    let error = try await failure { _ = try await store.read("x") }
    try require(error.isRetryable, "\(error)")
    try require(try await store.read("x") == nil, "it is there")
    let waited = ContinuousClock.now - start
    try require(waited >= .milliseconds(1950), "sooner than the server said: \(waited)")
  }

  package func cancelledCallEnds() async throws {
    let (server, open) = try make { $0.fault = { _ in .instead(.stall) } }
    let store = try open(HTTPLimits())
    let task = Task { try await store.read("x") }
    try await eventually(deadline: 120, "the request") { server.server.requests.count == 1 }
    task.cancel()
    do {
      _ = try await task.value
      try require(false, "it succeeded")
    } catch is CancellationError {}
  }

  // MARK: Damage

  /// - Parameter words: a part of the error's cause.
  package func refusesBytesDamagedOnTheWayThere(_ words: String) async throws {
    let (server, open) = try make { $0.damagesUploads = true }
    let error = try await failure { _ = try await open(nil).create("x", [1, 2, 3]) }
    try require(error.isRetryable && error.cause?.contains(words) == true, "\(error)")
    try require(server.names.isEmpty, "\(server.names)")
  }

  package func removesWhatIsNotWhatWasSent() async throws {
    let (server, open) = try make {
      $0.damagesUploads = true
      $0.checksUploads = false
    }
    let store = try open(nil)
    let error = try await failure { _ = try await store.create("x", [1, 2, 3]) }
    try require(
      error.isRetryable && error.cause?.contains("changed in transit") == true, "\(error)")
    try require(server.names.isEmpty, "\(server.names)")
    server.change { $0.damagesUploads = false }
    try require(try await store.create("x", [1, 2, 3]) == .created, "it is still there")
  }

  /// - Parameter words: a part of the error's cause.
  package func refusesBytesDamagedOnTheWayBack(_ words: String) async throws {
    try await refuses(words) { reply in
      var reply = reply
      reply.body[0] ^= 1
      return .reply(reply)
    }
  }

  package func refusesReplyThatMayBeCut() async throws {
    try await refuses("has no length") { .undelimited($0) }
  }

  private func refuses(
    _ words: String, _ change: @escaping @Sendable (LoopbackReply) -> LoopbackAction
  ) async throws {
    let (server, open) = try make { _ in }
    let store = try open(nil)
    _ = try await store.create("x", [1, 2, 3])
    server.change { $0.fault = { _ in .afterwards(change) } }
    let error = try await failure { _ = try await store.read("x") }
    try require(error.isRetryable && error.cause?.contains(words) == true, "\(error)")
  }

  // MARK: Deletions

  /// - Parameters:
  ///   - refusal: the reply to the deletion of a protected object.
  ///   - words: a part of the error's hint.
  package func namesWhatIsNotDeleted(_ refusal: LoopbackReply, _ words: String) async throws {
    let (server, open) = try make { _ in }
    let store = try open(nil)
    for name in ["a", "b", "c"] { _ = try await store.create(name, [1]) }
    server.change {
      $0.fault = {
        $0.method == "DELETE" && $0.path.hasSuffix("b") ? .instead(.reply(refusal)) : nil
      }
    }
    let failures = try await store.delete(["a", "b", "c", "bad//name"])
    try require(failures.keys.sorted() == ["b", "bad//name"], "\(failures)")
    try require(failures["b"]?.hint?.contains(words) == true, "\(failures)")
    try require(server.names == [full("b")], "\(server.names)")
  }

  /// - Parameters:
  ///   - width: the maximum number of requests at a time.
  ///   - further: the number of requests in addition to one for each object.
  package func deletesInParallel(width: Int, further: Int) async throws {
    let (server, open) = try make { _ in }
    let most = Mutex((now: 0, max: 0))
    server.change {
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
    let failures = try await open(nil).delete((0..<200).map { "n/\($0)" })
    let (requests, found) = (server.server.requests.count, most.withLock { $0.max })
    try require(failures.isEmpty && requests == 200 + further, "\(requests): \(failures)")
    try require(found <= width, "\(found) at a time")
  }

  /// There is no retry. A network that loses every fifth request never lets all of them through at once.
  package func deletesOnAWayThatLosesSome() async throws {
    let (server, open) = try make { _ in }
    let store = try open(nil)
    for number in 0..<60 { _ = try await store.create("n/\(number)", [1]) }
    server.change {
      $0.fault = { request in
        guard request.method == "DELETE", request.number % 5 == 0 else { return nil }
        return request.number % 10 == 0
          ? .afterwards { _ in .reset } : .instead(.reply(Server.busy(503, headers: [])))
      }
    }
    let failures = try await store.delete((0..<60).map { "n/\($0)" })
    try require(failures.isEmpty && server.names.isEmpty, "\(failures), left: \(server.names)")
  }

  package func givesUpOnAStoreThatDoesNothing() async throws {
    let (server, open) = try make { $0.fault = { _ in .instead(.reply(LoopbackReply(500))) } }
    let error = try await failure {
      _ = try await open(nil).delete((0..<500).map { "n/\($0)" })
    }
    try require(error.isRetryable && server.server.requests.count < 20, "\(error)")
  }
}
