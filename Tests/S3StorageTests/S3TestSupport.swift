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
    environment: [String: String] = keys, limits: HTTPLimits = .forTests,
    observe: @escaping @Sendable (S3Observation) -> Void = { _ in }
  ) throws -> S3Repository {
    try S3Repository(
      url: "s3://\(path)?endpoint=\(server.url)\(options)", settings: settings(environment),
      client: .forTests(limits: limits), now: { SystemClock.now() }, observe: observe)
  }

  static func store(
    _ server: FaultS3Server, path: String = "bucket/some/prefix", options: String = "",
    environment: [String: String] = keys, limits: HTTPLimits = .forTests
  ) throws -> S3Store {
    try repository(
      server, path: path, options: options, environment: environment, limits: limits
    ).store
  }
}

extension ObjectStoreConformance.Check: CustomTestStringConvertible {
  public var testDescription: String { description }
}
