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
  /// Files below /tmp are read. The agent of Azure Arc has written its secret.
  static func settings(_ environment: [String: String]) -> AzureSettings {
    AzureSettings(environment: environment) { path in
      if path == "/var/opt/azcmagent/tokens/one.key" { return Array("planted-arc\n".utf8) }
      return path.hasPrefix("/tmp/") ? try AzureSettings.read(path) : nil
    }
  }

  static func repository(
    url: String, environment: [String: String] = [:], limits: HTTPLimits = .forTests,
    clockOffset: Int64 = 0, allowsMD5: Bool = true,
    observe: @escaping @Sendable (RequestObservation) -> Void = { _ in }
  ) throws -> AzureRepository {
    try AzureRepository(
      url: url, settings: settings(environment), client: .forTests(limits: limits),
      now: { SystemClock.now().advanced(byMilliseconds: clockOffset) },
      md5: { allowsMD5 ? contentMD5($0) : "" }, observe: observe)
  }
}

/// A small Blob Storage, and the settings that a user needs to reach it.
struct Cloud {
  let azure: FakeAzureServer
  let entra: EntraServer?
  var environment: [String: String]
  /// False on a system whose policy forbids MD5 (FIPS).
  var allowsMD5 = true

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

  /// With the account key, on a system that forbids MD5.
  static func withoutMD5(_ change: (inout FakeAzureServer.Setup) -> Void) throws -> Cloud {
    var cloud = try Cloud(change)
    cloud.allowsMD5 = false
    return cloud
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
    path: String = "container/some/prefix", limits: HTTPLimits = .forTests,
    clockOffset: Int64 = 0, observe: @escaping @Sendable (RequestObservation) -> Void = { _ in }
  ) throws -> AzureRepository {
    try Given.repository(
      url: "az://\(path)?account=\(FakeAzureServer.account)&endpoint=\(azure.url)",
      environment: environment, limits: limits, clockOffset: clockOffset, allowsMD5: allowsMD5,
      // The servers live as long as the store that uses them.
      observe: { [self] observed in withExtendedLifetime(self) { observe(observed) } })
  }

  func store(
    path: String = "container/some/prefix", limits: HTTPLimits = .forTests,
    clockOffset: Int64 = 0
  ) throws -> AzureStore {
    try repository(path: path, limits: limits, clockOffset: clockOffset).store
  }
}

extension ObjectStoreConformance.Check: CustomTestStringConvertible {
  public var testDescription: String { description }
}
