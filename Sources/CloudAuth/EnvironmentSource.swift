import BackupTypes

/// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, and the older names of each.
package struct EnvironmentSource: CredentialSource {
  package let name = "environment"
  private let settings: AWSSettings

  package init(settings: AWSSettings) { self.settings = settings }

  package func load() async throws -> CredentialLookup<AWSCredentials> {
    let key = settings.first("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY")
    let secret = settings.first("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY")
    guard let key, let secret else {
      guard key == nil, secret == nil else {
        throw credentialFailure(
          "only half of the AWS credentials is set",
          cause: (key == nil ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY") + " is missing",
          hint: "set both, or neither to use another source")
      }
      return .notConfigured(reason: "AWS_ACCESS_KEY_ID is not set")
    }
    return .found(
      AWSCredentials(
        accessKeyID: key, secretAccessKey: secret,
        sessionToken: settings.first("AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")))
  }
}
