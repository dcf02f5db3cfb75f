import BackupTypes
import SystemIO
import TestSupport

/// Places whose repository is in an S3, and what a user sets to get there.
extension Place {
  /// A repository of its own in the SeaweedFS that all tests share.
  static func onSeaweed() async throws -> Place {
    let server = try await SeaweedServer.shared()
    let prefix = "place-" + hexadecimal(secureRandomBytes(8))
    return try Place(
      repository: "s3://\(SeaweedServer.bucket)/\(prefix)?endpoint=\(server.url)&path-style=true",
      environment: CloudKeys.seaweed)
  }

  /// The repository `bucket/prefix` of the tests' own server.
  static func on(
    _ server: FaultS3Server, options: String = "", environment: [String: String] = CloudKeys.fault
  ) throws -> Place {
    try Place(
      repository: "s3://bucket/prefix?endpoint=\(server.url)\(options)", environment: environment)
  }
}

/// What a user's environment says; nothing is taken from this machine's.
enum CloudKeys {
  /// No home directory with files of a developer, and no service of the machine's vendor.
  static let none = ["HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true"]
  static let fault = keys(FaultS3Server.accessKey, FaultS3Server.secretKey)
  static let seaweed = keys(SeaweedServer.accessKey, SeaweedServer.secretKey)
  static let seaweedReader = keys(SeaweedServer.readerKey, SeaweedServer.readerSecret)

  static func keys(_ key: String, _ secret: String, token: String? = nil) -> [String: String] {
    var environment = none
    environment["AWS_ACCESS_KEY_ID"] = key
    environment["AWS_SECRET_ACCESS_KEY"] = secret
    environment["AWS_SESSION_TOKEN"] = token
    return environment
  }
}
