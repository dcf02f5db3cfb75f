import BackupTypes
import FoundationEssentials
import HTTPTransport

/// Exchanges a token for one of a service account, through the IAM Credentials API
/// (`generateAccessToken`).
struct ServiceAccountImpersonation: Sendable {
  private static let origin = "the IAM Credentials API"
  /// The longest life that needs no change of the organisation's policy.
  private static let defaultLifetimeSeconds = 3600

  /// `https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/EMAIL:generateAccessToken`.
  let url: String
  let lifetimeSeconds: Int?

  /// The account's address, from the URL.
  var email: String {
    let last = url.split(separator: "/").last ?? ""
    return URIEncoding.decode(last.prefix { $0 != ":" }) ?? String(last)
  }

  func token(
    with source: GoogleAccessToken, from service: OAuthTokenService
  ) async throws -> GoogleAccessToken {
    struct Body: Encodable {
      var scope: [String]
      var lifetime: String
    }
    struct Success: Decodable {
      var accessToken: String
      var expireTime: String
    }
    let seconds = lifetimeSeconds ?? ServiceAccountImpersonation.defaultLifetimeSeconds
    let body = try JSONEncoder().encode(Body(scope: [GoogleScope.storage], lifetime: "\(seconds)s"))
    var request = HTTPRequest(.post, url, body: Array(body), responseBytesMax: 256 << 10)
    request.headers.append("Content-Type", "application/json")
    request.headers.append("Authorization", "Bearer " + source.token.reveal())
    let reply = try await service.client.send(request)
    guard reply.status == 200 else { throw refusal(reply) }
    guard let success = try? JSONDecoder().decode(Success.self, from: Data(reply.body)),
      OAuthTokenService.isToken(success.accessToken)
    else {
      throw credentialFailure(
        "can't read the reply of \(ServiceAccountImpersonation.origin)",
        cause: "it contains no token", hint: "check that no proxy answers instead",
        isRetryable: true)
    }
    return GoogleAccessToken(
      token: success.accessToken, identity: email,
      expiration: try expirationInstant(
        success.expireTime, origin: ServiceAccountImpersonation.origin))
  }

  private func refusal(_ reply: HTTPResponse) -> LifeboatError {
    let failure = GoogleAPIError(reply.body)
    let isRetryable = reply.status >= 500 || reply.status == 429
    let hint: String? =
      switch reply.status {
      case 403:
        "grant the federated identity roles/iam.workloadIdentityUser (or"
          + " roles/iam.serviceAccountTokenCreator) on \(printable(email))"
      case 404: "the service account \(printable(email)) does not exist"
      default:
        isRetryable ? "the service has an error or limits requests: wait until it recovers" : nil
      }
    return credentialFailure(
      "\(ServiceAccountImpersonation.origin) provides no token for \(printable(email))",
      cause: "status \(reply.status)"
        + (failure?.message.map { ": " + printable($0, limit: 300) } ?? ""),
      hint: hint, isRetryable: isRetryable)
  }
}
