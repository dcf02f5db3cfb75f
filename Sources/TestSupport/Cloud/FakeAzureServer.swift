package import BackupTypes
import CloudAuth
import Codec
import FoundationEssentials
import HTTPTransport
import Synchronization
import SystemIO

/// A small Azure Blob Storage on loopback: the REST API, in memory. It is as strict as Azure about
/// signatures, dates, permissions, conditions and checksums. A test can make it fail in many ways, and can
/// give it a hierarchical namespace.
///
/// The account is in the path, as with emulators, or in the host.
package final class FakeAzureServer: FakeCloudServer {
  package typealias Fault = FaultS3Server.Fault

  /// What a test may set. The server reads it for every request.
  package struct Setup: Sendable, FakeCloudSetup {
    package var containers: Set<String> = ["container"]
    /// The valid keys of the account, in base64.
    package var keys: Set<String> = [FakeAzureServer.key]
    /// Whether requests that are authorized by keys, or by signatures made with keys, are answered at all.
    package var allowsKeys = true
    /// The accepted bearer tokens, each with its expiry.
    package var tokens: [String: Instant?] = [FakeAzureServer.token: nil]
    /// What no token permits: `write`, `read`, `list`, `delete`.
    package var denied: Set<String> = []
    /// The offset of the server's clock.
    package var clockOffset: Int64 = 0
    package var isHierarchical = false
    package var keepsVersions = false
    /// Whether each upload loses its first byte in transit.
    package var damagesUploads = false
    package var checksUploads = true
    package var pageMax = 1000
    /// Whether every other page of a listing has no entries.
    package var hasEmptyPages = false
    /// The status and code when the object to create already exists, if they are not the usual ones.
    package var conflict: (status: Int, code: String)?
    /// By "container/name": the reason why an object can't be deleted.
    package var undeletable: [String: String] = [:]
    /// The properties of the container, the account and the service.
    package var containerHeaders: [(String, String)] = []
    package var serviceProperties = "<StorageServiceProperties/>"
    /// Changes a request in transit, before anything is checked.
    package var tamper: @Sendable (inout LoopbackRequest) -> Void = { _ in }
    /// Decides the fault for each request. The first request is number 1.
    package var fault: @Sendable (LoopbackRequest) -> Fault? = { _ in nil }
    package init() {}
  }

  struct Object: Sendable {
    var bytes: [UInt8]
    var tag: String
    var created: Instant
  }

  final class Shared: Sendable {
    struct State {
      var setup = Setup()
      /// By "container/name".
      var objects: [String: Object] = [:]
      /// By "container/name", without "/" at the end. They stay when their contents are deleted.
      var directories: Set<String> = []
      var creations = 0
      /// All objects that were ever stored, including deleted ones.
      var made: Set<String> = []
    }
    let state = Mutex(State())
  }

  package static let account = "lifeboatacct"
  /// The bytes 0 to 63.
  package static let key = Data((0..<64).map { UInt8($0) }).base64EncodedString()
  package static let token = "planted-token-0"

  package let server: LoopbackServer
  private let shared: Shared

  package init(
    remembers: Bool = true, _ change: (inout Setup) -> Void = { _ in }
  ) throws {
    let shared = Shared()
    self.shared = shared
    shared.state.withLock { change(&$0.setup) }
    server = try LoopbackServer(remembers: remembers) { request in
      var request = request
      shared.state.withLock { $0.setup.tamper }(&request)
      return FakeAzureExchange(shared: shared, request: request).action()
    }
  }

  /// The address with the account in the path.
  package var url: String { server.url + "/" + FakeAzureServer.account }
  package func change(_ change: (inout Setup) -> Void) {
    shared.state.withLock { change(&$0.setup) }
  }
  /// The sorted names of all objects, with their containers.
  package var names: [String] { shared.state.withLock { $0.objects.keys.sorted() } }
  package func content(_ name: String) -> [UInt8]? {
    shared.state.withLock { $0.objects[name]?.bytes }
  }
  /// Removes an object without its directories: damage, or a lifecycle rule.
  package func lose(_ name: String) { shared.state.withLock { $0.objects[name] = nil } }
  /// How often an object was stored again under the same name.
  package var repetitions: Int { shared.state.withLock { $0.creations - $0.made.count } }
  /// How often an object was stored.
  package var creations: Int { shared.state.withLock { $0.creations } }

  package var connectionString: String {
    "DefaultEndpointsProtocol=http;AccountName=\(Self.account);AccountKey=\(Self.key);BlobEndpoint=\(url)/"
  }

  /// A shared access signature for a container, in the form that the portal makes.
  ///
  /// - Parameter permissions: as in `sp=`, for example `rcwdl`.
  package func signature(
    _ permissions: String, container: String = "container", lifetimeSeconds: Int = 3600
  ) -> String {
    let end =
      String(
        SystemClock.now().advanced(byMilliseconds: Int64(lifetimeSeconds) * 1000).description
          .prefix(19)
      ) + "Z"
    var fields = [("sv", "2023-11-03"), ("sr", "c"), ("se", end), ("sp", permissions)]
    let text = AzureVerification.signatureText(
      Dictionary(uniqueKeysWithValues: fields), resource: "/blob/\(Self.account)/\(container)")
    fields.append(("sig", AzureVerification.code(of: text, key: Self.key)))
    return URIEncoding.form(fields)
  }

  package static func busy(_ status: Int, headers: [(String, String)]) -> LoopbackReply {
    let codes = [429: "TooManyRequests", 500: "InternalError", 503: "ServerBusy"]
    return error(status, codes[status]!, headers: headers)
  }

  /// An error reply of the service.
  package static func error(
    _ status: Int, _ code: String, _ message: String = "for a test", detail: String? = nil,
    headers: [(String, String)] = []
  ) -> LoopbackReply {
    let detail = detail.map {
      "<AuthenticationErrorDetail>\(escaped($0))</AuthenticationErrorDetail>"
    }
    return LoopbackReply(
      status,
      headers: headers + [
        ("x-ms-error-code", code), ("x-ms-request-id", "0a1b2c-test"),
        ("Content-Type", "application/xml"),
      ],
      text: """
        \u{feff}<?xml version="1.0" encoding="utf-8"?><Error><Code>\(code)</Code><Message>\(message)
        RequestId:0a1b2c-test
        Time:2026-11-28T04:00:00.0000000Z</Message>\(detail ?? "")</Error>
        """)
  }

  static func escaped(_ text: String) -> String {
    var result = ""
    for character in text.unicodeScalars {
      switch character {
      case "&": result += "&amp;"
      case "<": result += "&lt;"
      case ">": result += "&gt;"
      case "\r": result += "&#13;"
      case "\n": result += "&#10;"
      case "\t": result += "&#9;"
      default: result.unicodeScalars.append(character)
      }
    }
    return result
  }
}
