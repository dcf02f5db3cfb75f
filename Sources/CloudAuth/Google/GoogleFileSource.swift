package import BackupTypes
package import HTTPTransport

/// A credential file of any kind. It is read again at every call, since it may be a mounted secret that is
/// replaced.
package struct GoogleFileSource: CredentialSource {
  package enum Place: Sendable {
    /// Named by `GOOGLE_APPLICATION_CREDENTIALS`.
    case environment
    /// Saved by `gcloud auth application-default login`.
    case gcloud
  }

  private static let variable = "GOOGLE_APPLICATION_CREDENTIALS"

  package var name: String {
    switch place {
    case .environment: GoogleFileSource.variable
    case .gcloud: "gcloud's file"
    }
  }

  private let place: Place
  private let settings: GoogleSettings
  private let service: OAuthTokenService

  package init(
    _ place: Place, settings: GoogleSettings, client: HTTPClient,
    now: @escaping @Sendable () -> Instant
  ) {
    self.place = place
    self.settings = settings
    service = OAuthTokenService(client: client, now: now)
  }

  package func load() async throws -> CredentialLookup<GoogleAccessToken> {
    let path: String
    let text: String
    switch place {
    case .environment:
      guard let named = settings[GoogleFileSource.variable] else {
        return .notConfigured(reason: "it is not set")
      }
      guard let found = try settings.text(of: named) else {
        throw credentialFailure(
          "the credential file \(printable(named)) does not exist",
          cause: "named by \(GoogleFileSource.variable)",
          hint: "check that the Secret is mounted and the path is right", isRetryable: true)
      }
      (path, text) = (named, found)
    case .gcloud:
      let wellKnown = settings.wellKnownFile
      guard let found = try settings.text(of: wellKnown) else {
        return .notConfigured(reason: "\(printable(wellKnown)) does not exist")
      }
      (path, text) = (wellKnown, found)
    }
    let file = try GoogleCredentialFile(text, path: path)
    let grant = try file.grant(settings: settings, path: path)
    var token = try await grant.token(from: service)
    token.quotaProject = settings.quotaProject ?? file.quotaProjectID
    return .found(token)
  }
}

/// A way to get a token. Each kind of credential file is one.
protocol GoogleGrant: Sendable {
  /// Requests a token. Reads the other files that it needs again.
  func token(from service: OAuthTokenService) async throws -> GoogleAccessToken
}
