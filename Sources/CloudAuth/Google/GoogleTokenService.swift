import BackupTypes
import FoundationEssentials
import HTTPTransport

/// Requests a token from an OAuth 2 endpoint (RFC 6749, 5): Google's own, or its Security Token Service.
struct GoogleTokenService: Sendable {
  let client: HTTPClient
  let now: @Sendable () -> Instant

  private static let replyBytesMax = 256 << 10

  struct Reply: Sendable {
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
      let text = [code, description].filter { !$0.isEmpty }.map { printable($0, limit: 300) }
      return text.isEmpty ? "status \(status)" : text.joined(separator: ": ")
    }
    /// Set for refusals that are temporary; nil for others.
    var passingHint: String? {
      isRetryable ? "Google's service has an error or limits requests: wait until it recovers" : nil
    }
    var isRetryable: Bool { status >= 500 || status == 429 || status == 408 }
  }

  /// - Parameter origin: for messages: `Google's token endpoint`.
  /// - Throws: `Refusal` if the endpoint refuses.
  func exchange(
    _ fields: [(String, String)], at url: String, origin: String
  ) async throws -> Reply {
    var request = HTTPRequest(
      .post, url, body: Array(URIEncoding.form(fields).utf8),
      responseBytesMax: GoogleTokenService.replyBytesMax)
    request.headers.append("Content-Type", "application/x-www-form-urlencoded")
    request.headers.append("Accept", "application/json")
    let asked = now()
    let reply = try await client.send(request)
    guard reply.status == 200 else { throw refusal(reply) }
    return try GoogleTokenService.read(reply.body, askedAt: asked, origin: origin)
  }

  /// - Parameters:
  ///   - json: contains the secret, so errors never quote it.
  ///   - askedAt: the earliest time at which the token's life began.
  static func read(_ json: [UInt8], askedAt: Instant, origin: String) throws -> Reply {
    guard let success = try? JSONDecoder().decode(Success.self, from: Data(json)),
      isToken(success.accessToken)
    else {
      throw credentialFailure(
        "can't read the reply of \(origin)", cause: "it contains no token",
        hint: "check that no proxy answers instead", isRetryable: true)
    }
    let seconds = success.expiresIn.map { Int64(max(0, min($0, 1e9))) }
    return Reply(
      token: Redacted(success.accessToken),
      expiration: seconds.map { askedAt.advanced(byMilliseconds: $0 * 1000) })
  }

  /// Whether a text is valid in a header.
  static func isToken(_ text: String) -> Bool {
    !text.isEmpty && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f }
  }

  private func refusal(_ reply: HTTPResponse) -> Refusal {
    let failure = try? JSONDecoder().decode(Failure.self, from: Data(reply.body))
    return Refusal(
      status: reply.status, code: failure?.error ?? "",
      description: failure?.errorDescription ?? "", date: reply.date)
  }
}

/// RFC 6749, 5.1.
private struct Success: Decodable {
  var accessToken: String
  /// Seconds.
  var expiresIn: Double?
  private enum CodingKeys: String, CodingKey {
    case accessToken = "access_token"
    case expiresIn = "expires_in"
  }
}

/// RFC 6749, 5.2.
private struct Failure: Decodable {
  var error: String
  var errorDescription: String?
  private enum CodingKeys: String, CodingKey {
    case error
    case errorDescription = "error_description"
  }
}
