import BackupTypes
import CloudAuth
import HTTPTransport

/// A refusal, parsed from a reply. Only its code and message are kept: the other elements of an error can
/// contain what was signed, including the session token.
struct S3Fault: Sendable {
  var status: Int
  /// `NoSuchKey`; empty when the reply has no such body, as with HEAD or from a proxy.
  var code: String
  var message: String
  /// The bucket's region, where the reply names it.
  var region: String?
  var requestID: String?
  var date: Instant?

  init(_ reply: HTTPResponse) {
    status = reply.status
    let root = try? XMLElement(parsing: reply.body)
    let error = root?.name == "Error" ? root : nil
    code = error?["Code"]?.text.trimmingSpace ?? ""
    message = error?["Message"]?.text.trimmingSpace ?? ""
    requestID = reply.headers["x-amz-request-id"] ?? error?["RequestId"]?.text
    date = reply.date
    region = [
      reply.headers["x-amz-bucket-region"], error?["Region"]?.text,
      S3Fault.region(expectedIn: message), S3Fault.region(ofHost: error?["Endpoint"]?.text),
    ].lazy.compactMap { $0 }.first { AWSRegion.isName($0) }
  }

  /// Whether the region of the request was wrong, so that a known one should be tried.
  var isWrongRegion: Bool {
    switch code {
    case "PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed",
      "IllegalLocationConstraintException", "InvalidRegion":
      true
    default: status == 301 || status == 307 || (status == 400 && code.isEmpty)
    }
  }

  /// Whether other credentials should be tried, if there are any.
  var isStaleCredentials: Bool {
    [
      "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken",
      "InvalidAccessKeyId", "RequestExpired",
    ].contains(code)
  }

  /// Bytes were damaged, the server is busy, or another request was changing the same object.
  var isRetryable: Bool {
    switch code {
    case "SlowDown", "InternalError", "ServiceUnavailable", "RequestTimeout", "BadDigest",
      "XAmzContentSHA256Mismatch", "IncompleteBody", "ConditionalRequestConflict",
      "OperationAborted", "Throttling", "ThrottlingException", "RequestLimitExceeded",
      "BandwidthLimitExceeded", "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired":
      true
    default: [408, 429, 500, 502, 503, 504].contains(status)
    }
  }

  /// `AccessDenied: Access Denied (status 403, request 4442587FB7D0A2F9)`.
  var words: String {
    let text = [code, message].filter { !$0.isEmpty }.map { printable($0, limit: 300) }
    let origin = "status \(status)" + (requestID.map { ", request " + printable($0) } ?? "")
    return text.isEmpty ? origin : text.joined(separator: ": ") + " (\(origin))"
  }

  /// "the region 'us-east-1' is wrong; expecting 'eu-west-1'".
  private static func region(expectedIn message: String) -> String? {
    guard let start = message.firstRange(of: "expecting '") else { return nil }
    return String(message[start.upperBound...].prefix { $0 != "'" })
  }

  /// `bucket.s3-us-west-2.amazonaws.com`, `bucket.s3.eu-west-1.amazonaws.com`.
  private static func region(ofHost host: String?) -> String? {
    guard let host, let suffix = host.firstRange(of: ".amazonaws.com") else { return nil }
    let labels = host[..<suffix.lowerBound].split(separator: ".")
    guard let last = labels.last else { return nil }
    if last.hasPrefix("s3-") { return String(last.dropFirst(3)) }
    return labels.dropLast().last == "s3" ? String(last) : nil
  }
}

extension String {
  fileprivate var trimmingSpace: String {
    let words = split(whereSeparator: \.isWhitespace)
    return words.joined(separator: " ")
  }
}
