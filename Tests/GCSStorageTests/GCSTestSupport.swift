import BackupTypes
import CloudAuth
import GCSStorage
import HTTPTransport
import ObjectStorage
import SystemIO
import TestSupport
import Testing

/// Stores for tests. They take nothing from this machine's environment.
enum Given {
  static func settings(_ environment: [String: String]) -> GoogleSettings {
    GoogleSettings(environment: environment) { path in
      path.hasPrefix("/tmp/") ? try GoogleSettings.read(path) : nil
    }
  }

  static func repository(
    url: String, environment: [String: String] = [:], limits: HTTPLimits = .forTests,
    clockOffset: Int64 = 0, observe: @escaping @Sendable (RequestObservation) -> Void = { _ in }
  ) throws -> GCSRepository {
    try GCSRepository(
      url: url, settings: settings(environment), client: .forTests(limits: limits),
      now: { SystemClock.now().advanced(byMilliseconds: clockOffset) }, observe: observe)
  }
}

/// A small Cloud Storage with a metadata server that issues tokens for it.
struct Cloud {
  let gcs: FakeGCSServer
  let google: GoogleServer

  init(_ change: (inout FakeGCSServer.Setup) -> Void = { _ in }) throws {
    gcs = try FakeGCSServer(change)
    google = try GoogleServer.rotating(for: gcs)
  }

  var environment: [String: String] {
    ["GCE_METADATA_HOST": String(google.url.dropFirst("http://".count))]
  }

  func repository(
    path: String = "bucket/some/prefix", options: String = "",
    environment: [String: String]? = nil, limits: HTTPLimits = .forTests,
    clockOffset: Int64 = 0, observe: @escaping @Sendable (RequestObservation) -> Void = { _ in }
  ) throws -> GCSRepository {
    try Given.repository(
      url: "gs://\(path)?endpoint=\(gcs.url)\(options)",
      environment: environment ?? self.environment, limits: limits, clockOffset: clockOffset,
      // The servers live as long as the store that uses them.
      observe: { [self] observed in withExtendedLifetime(self) { observe(observed) } })
  }

  func store(
    path: String = "bucket/some/prefix", options: String = "",
    environment: [String: String]? = nil, limits: HTTPLimits = .forTests,
    clockOffset: Int64 = 0
  ) throws -> GCSStore {
    try repository(
      path: path, options: options, environment: environment, limits: limits,
      clockOffset: clockOffset
    ).store
  }
}

extension ObjectStoreConformance.Check: CustomTestStringConvertible {
  public var testDescription: String { description }
}
