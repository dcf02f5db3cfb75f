import BackupTypes
import Codec
import HTTPTransport
import Synchronization
import SystemIO

/// A small Google Cloud Storage on loopback: the JSON API, in memory. It is as strict as Google about tokens,
/// permissions, preconditions and checksums. A test can make it fail in many ways.
package final class FakeGCSServer: FakeCloudServer {
  package typealias Fault = FaultS3Server.Fault

  /// What a test may set. The server reads it for every request.
  package struct Setup: Sendable, FakeCloudSetup {
    package var buckets: Set<String> = ["bucket"]
    /// The accepted tokens. Any other gets a 401.
    package var tokens: Set<String> = [FakeGCSServer.token]
    package var allowsAnonymous = false
    /// Permissions, such as `storage.objects.get`, that nobody has.
    package var denied: Set<String> = []
    /// The offset of the server's clock.
    package var clockOffset: Int64 = 0
    /// Whether each upload loses its first byte in transit.
    package var damagesUploads = false
    package var checksUploads = true
    /// Whether creating an existing object is refused because there is no permission to replace it, before
    /// the precondition is checked.
    package var replacingIsDenied = false
    package var pageMax = 1000
    /// The properties of the bucket.
    package var bucketRules = "{}"
    /// Decides the fault for each request. The first request is number 1.
    package var fault: @Sendable (LoopbackRequest) -> Fault? = { _ in nil }
    package init() {}
  }

  struct Object: Sendable {
    var bytes: [UInt8]
    var generation: Int
    var created: Instant
  }

  final class Shared: Sendable {
    struct State {
      var setup = Setup()
      /// By "bucket/key".
      var objects: [String: Object] = [:]
      var creations = 0
      /// All objects that were ever stored, including deleted ones.
      var made: Set<String> = []
    }
    let state = Mutex(State())
  }

  package static let token = "planted-token-0"

  package let server: LoopbackServer
  private let shared: Shared

  package init(_ change: (inout Setup) -> Void = { _ in }) throws {
    let shared = Shared()
    self.shared = shared
    shared.state.withLock { change(&$0.setup) }
    server = try LoopbackServer { FakeGCSExchange(shared: shared, request: $0).action() }
  }

  package var url: String { server.url }
  package func change(_ change: (inout Setup) -> Void) {
    shared.state.withLock { change(&$0.setup) }
  }
  /// The sorted names of all objects, with their buckets.
  package var names: [String] { shared.state.withLock { $0.objects.keys.sorted() } }
  package func content(_ name: String) -> [UInt8]? {
    shared.state.withLock { $0.objects[name]?.bytes }
  }
  /// How often an object was stored again under the same name.
  package var repetitions: Int { shared.state.withLock { $0.creations - $0.made.count } }
  /// How often an object was stored.
  package var creations: Int { shared.state.withLock { $0.creations } }

  package static func busy(_ status: Int, headers: [(String, String)]) -> LoopbackReply {
    error(status, status == 429 ? "rateLimitExceeded" : "backendError", headers: headers)
  }

  /// An error reply of the JSON API.
  package static func error(
    _ status: Int, _ reason: String, _ message: String = "for a test",
    headers: [(String, String)] = []
  ) -> LoopbackReply {
    LoopbackReply(
      status,
      headers: headers + [
        ("Content-Type", "application/json; charset=UTF-8"), ("X-GUploader-UploadID", "ABPtcTest"),
      ],
      text: """
        {"error":{"code":\(status),"message":"\(message)",
        "errors":[{"message":"\(message)","domain":"global","reason":"\(reason)"}]}}
        """)
  }
}
