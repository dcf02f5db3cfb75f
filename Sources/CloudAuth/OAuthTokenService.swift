import BackupTypes
import FoundationEssentials
import HTTPTransport

/// Requests a token from an OAuth 2 endpoint (RFC 6749, 5): Google's own, its Security Token Service, or
/// Microsoft Entra. The services of machines reply in the same form.
struct OAuthTokenService: Sendable {
  private static let replyBytesMax = 256 << 10

  let client: HTTPClient
  let now: @Sendable () -> Instant

  struct Token: Sendable {
    var token: Redacted
    var expiration: Instant?
  }

  /// A refusal, with the endpoint's explanation.
  struct Refusal: Error {
    var status: Int
    /// For example `invalid_grant`. Empty if the reply is not an OAuth error.
    var code: String
    var description: String
    /// The server's clock.
    var date: Instant?

    /// `invalid_grant: Invalid JWT Signature.`
    var words: String {
      // The first line. Entra's trace ids and times come after it.
      let line = description.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
      let text = [code, line].filter { !$0.isEmpty }.map { printable($0, limit: 300) }
      return text.isEmpty ? "status \(status)" : text.joined(separator: ": ")
    }
    var isRetryable: Bool { status >= 500 || status == 429 || status == 408 }

    /// For a refusal that is temporary; nil for others.
    /// - Parameter vendor: the owner of the service: `Google`.
    func passingHint(_ vendor: String) -> String? {
      isRetryable
        ? "\(vendor)'s service has an error or limits requests: wait until it recovers" : nil
    }
  }

  /// - Parameter origin: for messages: `Google's token endpoint`.
  /// - Throws: `Refusal` if the endpoint refuses.
  func exchange(
    _ fields: [(String, String)], at url: String, origin: String
  ) async throws -> Token {
    var request = HTTPRequest(
      .post, url, body: Array(URIEncoding.form(fields).utf8),
      responseBytesMax: OAuthTokenService.replyBytesMax)
    request.headers.append("Content-Type", "application/x-www-form-urlencoded")
    request.headers.append("Accept", "application/json")
    let asked = now()
    let reply = try await client.send(request)
    guard reply.status == 200 else { throw OAuthTokenService.refusal(reply) }
    return try OAuthTokenService.read(reply.body, askedAt: asked, origin: origin)
  }

  /// - Parameters:
  ///   - json: contains the secret, so errors never quote it.
  ///   - askedAt: the earliest time at which the token's life began.
  static func read(_ json: [UInt8], askedAt: Instant, origin: String) throws -> Token {
    guard let success = try? JSONDecoder().decode(Success.self, from: Data(json)),
      isToken(success.accessToken)
    else {
      throw credentialFailure(
        "can't read the reply of \(origin)", cause: "it contains no token",
        hint: "check that no proxy answers instead", isRetryable: true)
    }
    let expiration =
      success.expiresIn.map { askedAt.advanced(byMilliseconds: $0.clamped * 1000) }
      ?? success.expiresOn.map { Instant(milliseconds: $0.clamped * 1000) }
    return Token(token: Redacted(success.accessToken), expiration: expiration)
  }

  /// Whether a text is valid in a header.
  static func isToken(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
  }

  static func refusal(_ reply: HTTPResponse) -> Refusal {
    let failure = try? JSONDecoder().decode(Failure.self, from: Data(reply.body))
    return Refusal(
      status: reply.status, code: failure?.error ?? "",
      description: failure?.description ?? "", date: reply.date)
  }

  /// RFC 6749, 5.1.
  private struct Success: Decodable {
    var accessToken: String
    /// Seconds from now.
    var expiresIn: Seconds?
    /// Unix seconds, as App Service sends them.
    var expiresOn: Seconds?
    private enum CodingKeys: String, CodingKey {
      case accessToken = "access_token"
      case expiresIn = "expires_in"
      case expiresOn = "expires_on"
    }
  }

  /// A number. The services of Azure's machines send it as a string.
  private struct Seconds: Decodable {
    var clamped: Int64
    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let text = try? container.decode(String.self), let number = Double(text) {
        clamped = Int64(max(0, min(number, 1e11)))
      } else {
        clamped = Int64(max(0, min(try container.decode(Double.self), 1e11)))
      }
    }
  }

  /// RFC 6749, 5.2.
  private struct Failure: Decodable {
    var error: String
    var description: String?
    private enum CodingKeys: String, CodingKey {
      case error
      case description = "error_description"
    }
  }
}
