import BackupTypes
import Codec

/// The key of a service account: a JWT signed with it is exchanged for a token (RFC 7523; "Using
/// OAuth 2.0 for server to server applications").
struct ServiceAccountGrant: GoogleGrant {
  private static let origin = "Google's token endpoint"
  private static let grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"
  /// Google's libraries sign for this audience, whatever the endpoint is.
  private static let audience = "https://oauth2.googleapis.com/token"
  /// The longest life that Google accepts.
  private static let lifetimeSeconds: Int64 = 3600
  /// The clock is corrected if it is off by more than this. Google itself accepts a small difference.
  private static let skewMilliseconds: Int64 = 30_000

  /// The names are those of RFC 7519, and Google's `scope`.
  private struct Claims: Encodable {
    var iss: String
    var scope: String
    var aud: String
    /// Unix seconds, like `exp`.
    var iat: Int64
    var exp: Int64
  }

  private struct Header: Encodable {
    var alg = "RS256"
    var typ = "JWT"
    var kid: String?
  }

  let email: String
  let keyID: String?
  let key: RSAPrivateKey
  let url: String

  init(_ file: GoogleCredentialFile, path: String) throws {
    email = try GoogleCredentialFile.required(file.clientEmail, "client_email", path: path)
    keyID = file.privateKeyID
    url = try GoogleCredentialFile.address(
      file.tokenURI ?? ServiceAccountGrant.audience, "token_uri", path: path)
    let pem = try GoogleCredentialFile.required(file.privateKey, "private_key", path: path)
    guard let key = RSAPrivateKey(pem: pem) else {
      throw credentialFailure(
        "can't use the credential file \(printable(path))",
        cause: "its private_key is not an RSA key in PEM",
        hint: "line breaks inside the key must be \\n; use the file unchanged, as Google created it"
      )
    }
    self.key = key
  }

  func token(from service: OAuthTokenService) async throws -> GoogleAccessToken {
    do {
      return try await token(from: service, at: service.now())
    } catch let refusal as OAuthTokenService.Refusal {
      // If our clock was the reason, it is signed again with the server's time.
      guard refusal.code == "invalid_grant", let date = refusal.date,
        abs(date.since(service.now())) > ServiceAccountGrant.skewMilliseconds
      else { throw failure(refusal) }
      do {
        return try await token(from: service, at: date)
      } catch let refusal as OAuthTokenService.Refusal {
        throw failure(refusal)
      }
    }
  }

  private func token(
    from service: OAuthTokenService, at time: Instant
  ) async throws -> GoogleAccessToken {
    let seconds = time.milliseconds / 1000
    let claims = Claims(
      iss: email, scope: GoogleScope.storage, aud: ServiceAccountGrant.audience, iat: seconds,
      exp: seconds + ServiceAccountGrant.lifetimeSeconds)
    guard
      let assertion = try JSONWebToken.signed(
        header: Header(kid: keyID), claims: claims, with: key)
    else {
      throw credentialFailure(
        "can't sign with the service account's key",
        cause: "this machine's cryptography library rejects the key",
        hint: "Google's keys now have 2048 bits: create a new one")
    }
    let reply = try await service.exchange(
      [("grant_type", ServiceAccountGrant.grantType), ("assertion", assertion)], at: url,
      origin: ServiceAccountGrant.origin)
    return GoogleAccessToken(
      token: reply.token.reveal(), identity: email, expiration: reply.expiration)
  }

  private func failure(_ refusal: OAuthTokenService.Refusal) -> LifeboatError {
    let hint: String?
    switch refusal.code {
    case "invalid_grant" where refusal.description.contains("account not found"):
      hint = "the service account was deleted: create a key for an existing one"
    case "invalid_grant":
      hint =
        "the key was deleted or does not belong to \(printable(email)): create a new one, and check"
        + " this machine's clock"
    case "": hint = "check token_uri in the file"
    default: hint = "check that \(printable(email)) exists and is not disabled"
    }
    return credentialFailure(
      "\(ServiceAccountGrant.origin) refused the key of \(printable(email))", cause: refusal.words,
      hint: refusal.passingHint("Google") ?? hint, isRetryable: refusal.isRetryable)
  }
}
