import AzureStorage
import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import SystemIO
import TestSupport
import Testing

/// Stores for tests. They take nothing from this machine's environment.
enum Given {
  static let limits = HTTPLimits(
    connect: .seconds(5), firstByte: .seconds(10), bytesPerSecondMin: 100, slowAfter: .seconds(10))

  static func client(limits: HTTPLimits = limits) throws -> HTTPClient {
    try HTTPClient(
      connectionsMax: 8, limits: limits, trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "lifeboat/test")
  }

  static func settings(_ environment: [String: String]) -> AzureSettings {
    AzureSettings(environment: environment) { path in
      path.hasPrefix("/tmp/") ? try AzureSettings.read(path) : nil
    }
  }

  static func repository(
    url: String, environment: [String: String] = [:], limits: HTTPLimits = limits,
    clockOffset: Int64 = 0, observe: @escaping @Sendable (RequestObservation) -> Void = { _ in }
  ) throws -> AzureRepository {
    try AzureRepository(
      url: url, settings: settings(environment), client: client(limits: limits),
      now: { SystemClock.now().advanced(byMilliseconds: clockOffset) }, observe: observe)
  }
}

/// A small Blob Storage, and the settings that a user needs to reach it.
struct Cloud {
  let azure: FakeAzureServer
  let entra: EntraServer?
  var environment: [String: String]

  /// With the account key.
  init(_ change: (inout FakeAzureServer.Setup) -> Void = { _ in }) throws {
    azure = try FakeAzureServer(change)
    entra = nil
    environment = ["AZURE_STORAGE_KEY": FakeAzureServer.key]
  }

  /// With tokens for a managed identity. Each new token invalidates the previous one.
  static func withTokens(
    _ change: (inout FakeAzureServer.Setup) -> Void = { _ in }
  ) throws -> Cloud {
    let azure = try FakeAzureServer(change)
    let entra = try EntraServer.serving(azure)
    return Cloud(azure: azure, entra: entra, environment: entra.imds)
  }

  /// With a shared access signature.
  static func withSignature(
    _ permissions: String, _ change: (inout FakeAzureServer.Setup) -> Void = { _ in }
  ) throws -> Cloud {
    var cloud = try Cloud(change)
    cloud.environment = ["AZURE_STORAGE_SAS_TOKEN": "?" + cloud.azure.signature(permissions)]
    return cloud
  }

  private init(azure: FakeAzureServer, entra: EntraServer?, environment: [String: String]) {
    self.azure = azure
    self.entra = entra
    self.environment = environment
  }

  func repository(
    path: String = "container/some/prefix", limits: HTTPLimits = Given.limits,
    clockOffset: Int64 = 0, observe: @escaping @Sendable (RequestObservation) -> Void = { _ in }
  ) throws -> AzureRepository {
    try Given.repository(
      url: "az://\(path)?account=\(FakeAzureServer.account)&endpoint=\(azure.url)",
      environment: environment, limits: limits, clockOffset: clockOffset,
      // The servers live as long as the store that uses them.
      observe: { [self] observed in withExtendedLifetime(self) { observe(observed) } })
  }

  func store(
    path: String = "container/some/prefix", limits: HTTPLimits = Given.limits,
    clockOffset: Int64 = 0
  ) throws -> AzureStore {
    try repository(path: path, limits: limits, clockOffset: clockOffset).store
  }
}

extension ObjectStoreConformance.Check: CustomTestStringConvertible {
  public var testDescription: String { description }
}
