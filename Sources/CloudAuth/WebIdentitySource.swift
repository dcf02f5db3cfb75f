package import BackupTypes
package import HTTPTransport

/// A role assumed with a token of an OIDC provider, as EKS's IAM roles for service accounts (IRSA)
/// set it up: `AWS_WEB_IDENTITY_TOKEN_FILE`, `AWS_ROLE_ARN`, `AWS_ROLE_SESSION_NAME`.
///
/// The token file is read at every call: the kubelet replaces it well before it expires.
package struct WebIdentitySource: CredentialSource {
  package let name = "web identity"
  private let settings: AWSSettings
  private let service: SecurityTokenService

  package init(
    settings: AWSSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) {
    self.settings = settings
    service = SecurityTokenService(settings: settings, client: client, now: now)
  }

  package func load() async throws -> CredentialLookup<AWSCredentials> {
    guard let file = settings["AWS_WEB_IDENTITY_TOKEN_FILE"] else {
      return .notConfigured(reason: "AWS_WEB_IDENTITY_TOKEN_FILE is not set")
    }
    guard let arn = settings["AWS_ROLE_ARN"] else {
      throw credentialFailure(
        "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not",
        hint: "annotate the service account with eks.amazonaws.com/role-arn")
    }
    let token = try settings.token(of: file, namedBy: "AWS_WEB_IDENTITY_TOKEN_FILE")
    let role = SecurityTokenService.Role(
      arn: arn, sessionName: settings["AWS_ROLE_SESSION_NAME"] ?? defaultSessionName)
    return .found(try await service.assume(role, webIdentityToken: token))
  }
}

/// What CloudTrail shows by default.
let defaultSessionName = "lifeboat"
