import BackupTypes

/// What `gcloud auth application-default login` saves: a person's refresh token (RFC 6749, 6).
struct AuthorizedUserGrant: GoogleGrant {
  private static let origin = "Google's token endpoint"
  private static let defaultURL = "https://oauth2.googleapis.com/token"

  let clientID: String
  let clientSecret: Redacted
  let refreshToken: Redacted
  let url: String

  init(_ file: GoogleCredentialFile, path: String) throws {
    clientID = try GoogleCredentialFile.required(file.clientID, "client_id", path: path)
    clientSecret = Redacted(
      try GoogleCredentialFile.required(file.clientSecret, "client_secret", path: path))
    refreshToken = Redacted(
      try GoogleCredentialFile.required(file.refreshToken, "refresh_token", path: path))
    url = try GoogleCredentialFile.address(
      file.tokenURI ?? AuthorizedUserGrant.defaultURL, "token_uri", path: path)
  }

  func token(from service: OAuthTokenService) async throws -> GoogleAccessToken {
    do {
      let reply = try await service.exchange(
        [
          ("grant_type", "refresh_token"), ("client_id", clientID),
          ("client_secret", clientSecret.reveal()), ("refresh_token", refreshToken.reveal()),
        ], at: url, origin: AuthorizedUserGrant.origin)
      return GoogleAccessToken(
        token: reply.token.reveal(), identity: "the user logged in with gcloud",
        expiration: reply.expiration)
    } catch let refusal as OAuthTokenService.Refusal {
      throw credentialFailure(
        "\(AuthorizedUserGrant.origin) refused the login of gcloud's user", cause: refusal.words,
        hint: refusal.passingHint("Google")
          ?? "log in again: gcloud auth application-default login; for a service, use a service"
          + " account", isRetryable: refusal.isRetryable)
    }
  }
}
