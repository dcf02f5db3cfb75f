import BackupTypes
import SystemIO
import TestSupport

/// Places with a repository on an S3 server, and the settings that a user needs to reach it.
extension Place {
  /// A new repository in the SeaweedFS that all tests share.
  static func onSeaweed() async throws -> Place {
    let server = try await SeaweedServer.shared()
    let prefix = "place-" + hexadecimal(secureRandomBytes(8))
    return try Place(
      repository: "s3://\(SeaweedServer.bucket)/\(prefix)?endpoint=\(server.url)&path-style=true",
      environment: CloudKeys.seaweed)
  }

  /// The repository `bucket/prefix` on the tests' own server.
  static func on(
    _ server: FaultS3Server, options: String = "", environment: [String: String] = CloudKeys.fault
  ) throws -> Place {
    try Place(
      repository: "s3://bucket/prefix?endpoint=\(server.url)\(options)", environment: environment)
  }
}

/// The environment of a user. Nothing comes from this machine's environment.
enum CloudKeys {
  /// No home directory with a developer's files, and no service of the machine's vendor.
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
