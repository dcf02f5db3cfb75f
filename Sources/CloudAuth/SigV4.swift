package import BackupTypes
import Codec

/// AWS Signature Version 4 as pure functions of the request, the time and the key. The steps and their names
/// are those of "Create a signed AWS API request" in the IAM user guide; S3's rule for paths (encoded once,
/// never normalised) applies to all of ours.
package enum SigV4 {
  /// The signed parts of a request.
  package struct Request: Sendable {
    /// `GET`.
    package var method: String
    /// Percent-encoded, as sent, beginning with "/".
    package var path: String
    /// Names and values before encoding, in any order.
    package var query: [(String, String)]
    /// Every signed field, including `Host`.
    package var headers: [(String, String)]
    /// SHA-256 of the body in lower-case hexadecimal.
    package var payloadDigest: String

    package init(
      method: String, path: String, query: [(String, String)], headers: [(String, String)],
      payloadDigest: String
    ) {
      self.method = method
      self.path = path
      self.query = query
      self.headers = headers
      self.payloadDigest = payloadDigest
    }
  }

  /// What a signature is valid for, and when.
  package struct Scope: Sendable {
    package var time: Instant
    package var region: String
    /// `s3`, `sts`.
    package var service: String

    package init(time: Instant, region: String, service: String) {
      self.time = time
      self.region = region
      self.service = service
    }

    /// `20130524T000000Z`, for `x-amz-date`.
    package var timestamp: String {
      let seconds = time.description.prefix { $0 != "." && $0 != "Z" }
      return seconds.filter { $0 != "-" && $0 != ":" } + "Z"
    }

    var date: String { String(timestamp.prefix(8)) }
    var text: String { "\(date)/\(region)/\(service)/aws4_request" }
  }

  /// The value of the `Authorization` header.
  package static func authorization(
    _ request: Request, scope: Scope, credentials: AWSCredentials
  ) -> String {
    let key = signingKey(secret: credentials.secretAccessKey, scope: scope)
    let signature = hmacSHA256(key: key, Array(stringToSign(request, scope: scope).utf8))
    return "AWS4-HMAC-SHA256 Credential=\(credentials.accessKeyID)/\(scope.text), "
      + "SignedHeaders=\(signedHeaders(request)), Signature=\(signature.hexadecimal)"
  }

  package static func canonicalRequest(_ request: Request) -> String {
    let headers = canonicalHeaders(request).map { "\($0.name):\($0.value)\n" }.joined()
    return [
      request.method, request.path, canonicalQuery(request.query), headers,
      signedHeaders(request), request.payloadDigest,
    ].joined(separator: "\n")
  }

  package static func stringToSign(_ request: Request, scope: Scope) -> String {
    let digest = SHA256Hasher.digest(of: Array(canonicalRequest(request).utf8)).hexadecimal
    return ["AWS4-HMAC-SHA256", scope.timestamp, scope.text, digest].joined(separator: "\n")
  }

  /// The query as it is signed. It is also sent in this form, so that no proxy has a reason to change it.
  package static func canonicalQuery(_ query: [(String, String)]) -> String {
    query.map { (URIEncoding.encode($0.0), URIEncoding.encode($0.1)) }
      .sorted { $0.0 == $1.0 ? precedes($0.1, $1.1) : precedes($0.0, $1.0) }
      .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
  }

  private static func signingKey(secret: Redacted, scope: Scope) -> [UInt8] {
    [scope.date, scope.region, scope.service, "aws4_request"]
      .reduce(Array(("AWS4" + secret.reveal()).utf8)) { key, part in
        hmacSHA256(key: key, Array(part.utf8)).bytes
      }
  }

  private static func signedHeaders(_ request: Request) -> String {
    canonicalHeaders(request).map(\.name).joined(separator: ";")
  }

  /// Sorted by name; fields of one name are joined in their order, runs of spaces become one.
  private static func canonicalHeaders(_ request: Request) -> [(name: String, value: String)] {
    var values: [String: [String]] = [:]
    for (name, value) in request.headers {
      let words = value.split { $0 == " " || $0 == "\t" }
      values[name.lowercased(), default: []].append(words.joined(separator: " "))
    }
    return values.sorted { precedes($0.key, $1.key) }.map {
      ($0.key, $0.value.joined(separator: ","))
    }
  }

  private static func precedes(_ a: String, _ b: String) -> Bool {
    a.utf8.lexicographicallyPrecedes(b.utf8)
  }
}
