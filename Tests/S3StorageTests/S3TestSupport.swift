import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import S3Storage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Stores for tests. They take nothing from this machine's environment.
enum Given {
  static let limits = HTTPLimits(
    connect: .seconds(5), firstByte: .seconds(10), bytesPerSecondMin: 100, slowAfter: .seconds(10))

  static func client(limits: HTTPLimits = limits, connections: Int = 8) throws -> HTTPClient {
    try HTTPClient(
      connectionsMax: connections, limits: limits, trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "lifeboat/test")
  }

  static let keys = [
    "AWS_ACCESS_KEY_ID": FaultS3Server.accessKey, "AWS_SECRET_ACCESS_KEY": FaultS3Server.secretKey,
    "AWS_EC2_METADATA_DISABLED": "true",
  ]

  static func settings(_ environment: [String: String]) -> AWSSettings {
    AWSSettings(environment: environment) { path in
      path.hasPrefix("/tmp/") ? try AWSSettings.read(path) : nil
    }
  }

  static func repository(
    _ server: FaultS3Server, path: String = "bucket/some/prefix", options: String = "",
    environment: [String: String] = keys, limits: HTTPLimits = limits,
    observe: @escaping @Sendable (S3Observation) -> Void = { _ in }
  ) throws -> S3Repository {
    try S3Repository(
      url: "s3://\(path)?endpoint=\(server.url)\(options)", settings: settings(environment),
      client: client(limits: limits), now: { SystemClock.now() }, observe: observe)
  }

  static func store(
    _ server: FaultS3Server, path: String = "bucket/some/prefix", options: String = "",
    environment: [String: String] = keys, limits: HTTPLimits = limits
  ) throws -> S3Store {
    try repository(
      server, path: path, options: options, environment: environment, limits: limits
    ).store
  }

  /// Retries everything retryable, soon and for long enough.
  static func retrying(_ store: some ObjectStore) -> RetryingStore {
    RetryingStore(
      store,
      policy: RetryingStore.Policy(
        budget: .seconds(60), firstDelay: .milliseconds(5), delayMax: .milliseconds(50),
        permanentTries: 1), report: { _ in })
  }
}

/// The error that `body` throws.
func failure(_ body: () async throws -> Void) async throws -> LifeboatError {
  do {
    try await body()
  } catch let error as LifeboatError {
    return error
  }
  throw HarnessError("it succeeded")
}

extension ObjectStoreConformance.Check: CustomTestStringConvertible {
  public var testDescription: String { description }
}
