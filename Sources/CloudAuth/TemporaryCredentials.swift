import BackupTypes
import FoundationEssentials

/// The JSON with credentials from the container, instance and process sources. The name of the token differs:
/// `Token` from a service, `SessionToken` from a process.
struct TemporaryCredentials: Decodable {
  var version: Int?
  var code: String?
  var message: String?
  var accessKeyID: String?
  var secretAccessKey: String?
  var token: String?
  var sessionToken: String?
  var expiration: String?

  private enum CodingKeys: String, CodingKey {
    case version = "Version"
    case code = "Code"
    case message = "Message"
    case accessKeyID = "AccessKeyId"
    case secretAccessKey = "SecretAccessKey"
    case token = "Token"
    case sessionToken = "SessionToken"
    case expiration = "Expiration"
  }

  /// - Parameters:
  ///   - json: contains the secret, so errors never quote it.
  ///   - origin: for messages: `the container credentials service`.
  static func decode(_ json: [UInt8], origin: String) throws -> TemporaryCredentials {
    do {
      return try JSONDecoder().decode(TemporaryCredentials.self, from: Data(json))
    } catch {
      throw credentialFailure(
        "can't read the reply of \(origin)", cause: "it is not the expected JSON")
    }
  }

  func credentials(origin: String) throws -> AWSCredentials {
    if let code, code != "Success" {
      throw credentialFailure(
        "\(origin) provides no credentials",
        cause: printable(code) + (message.map { ": " + printable($0) } ?? ""), isRetryable: true)
    }
    guard let accessKeyID, let secretAccessKey, !accessKeyID.isEmpty, !secretAccessKey.isEmpty
    else {
      throw credentialFailure(
        "can't read the reply of \(origin)", cause: "AccessKeyId or SecretAccessKey is missing")
    }
    return AWSCredentials(
      accessKeyID: accessKeyID, secretAccessKey: secretAccessKey,
      sessionToken: token ?? sessionToken,
      expiration: try expiration.map { try expirationInstant($0, origin: origin) })
  }
}

/// - Parameter text: RFC 3339 with a zone, as in all of AWS's services.
func expirationInstant(_ text: String, origin: String) throws -> Instant {
  do throws(TimeSyntaxError) {
    return try Instant(parsing: text.trimmingWhitespace(), now: Instant(milliseconds: 0))
  } catch {
    throw credentialFailure(
      "can't read the reply of \(origin)", cause: "its Expiration is not a time: \(printable(text))"
    )
  }
}
