import BackupTypes
import CloudAuth
import Codec
import HTTPTransport

/// Checks who sent a request and that it was not changed in transit. It checks the reasons to refuse a
/// request in the same order as S3, and works on the request as it came over the wire.
struct S3Verification {
  let request: LoopbackRequest
  let query: [(String, String)]
  let setup: FaultS3Server.Setup
  let now: Instant

  func refusal() -> LoopbackReply? {
    guard let header = request["Authorization"] else {
      return setup.allowsAnonymous ? nil : refuse(403, "AccessDenied", "Access Denied")
    }
    guard let parsed = Authorization(header) else {
      return refuse(400, "AuthorizationHeaderMalformed", "unreadable")
    }
    guard let key = setup.keys[parsed.accessKey] else {
      return refuse(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist")
    }
    guard !setup.expiredKeys.contains(parsed.accessKey) else {
      return refuse(400, "ExpiredToken", "The provided token has expired.")
    }
    guard request["x-amz-security-token"] == key.token else {
      return refuse(400, "InvalidToken", "The provided token is malformed or otherwise invalid.")
    }
    guard parsed.region == setup.region else {
      return FaultS3Server.error(
        400, "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the region '\(parsed.region)' is wrong; expecting"
          + " '\(setup.region)'", extra: "<Region>\(setup.region)</Region>",
        headers: [("x-amz-bucket-region", setup.region)])
    }
    guard let text = request["x-amz-date"], let time = instant(text) else {
      return refuse(403, "AccessDenied", "no x-amz-date")
    }
    guard abs(time.since(now)) <= 15 * 60_000 else {
      return refuse(
        403, "RequestTimeTooSkewed",
        "The difference between the request time and the current time is too large.")
    }
    guard isSigned(parsed, secret: key.secret, token: key.token, time: time) else {
      return refuse(
        403, "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided.")
    }
    guard SHA256Hasher.digest(of: request.body).hexadecimal == request["x-amz-content-sha256"]
    else {
      return refuse(
        400, "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.")
    }
    return nil
  }

  private func isSigned(
    _ parsed: Authorization, secret: String, token: String?, time: Instant
  ) -> Bool {
    let mustBeSigned = request.headers.map { $0.name.lowercased() }.filter {
      $0 == "host" || $0 == "content-md5" || $0 == "content-type" || $0.hasPrefix("x-amz-")
    }
    guard mustBeSigned.allSatisfy(parsed.signedHeaders.contains) else { return false }
    let headers = request.headers.filter { parsed.signedHeaders.contains($0.name.lowercased()) }
    // Decoded and encoded again, so only a path in canonical form matches.
    let path = URIEncoding.encode(URIEncoding.decode(request.path) ?? "", keepingSlashes: true)
    let expected = SigV4.authorization(
      SigV4.Request(
        method: request.method, path: path, query: query,
        headers: headers.map { ($0.name, $0.value) },
        payloadDigest: request["x-amz-content-sha256"] ?? ""),
      scope: SigV4.Scope(time: time, region: parsed.region, service: "s3"),
      credentials: AWSCredentials(
        accessKeyID: parsed.accessKey, secretAccessKey: secret, sessionToken: token))
    return expected == request["Authorization"]
  }

  private func refuse(_ status: Int, _ code: String, _ message: String) -> LoopbackReply {
    FaultS3Server.error(status, code, message)
  }

  /// `20130524T000000Z`.
  private func instant(_ text: String) -> Instant? {
    let b = Array(text)
    guard b.count == 16 else { return nil }
    let standard =
      "\(String(b[0..<4]))-\(String(b[4..<6]))-\(String(b[6..<8]))T\(String(b[9..<11])):"
      + "\(String(b[11..<13])):\(String(b[13..<15]))Z"
    return try? Instant(parsing: standard, now: Instant(milliseconds: 0))
  }

  private struct Authorization {
    var accessKey: String
    var region: String
    var signedHeaders: Set<String>

    init?(_ header: String) {
      let scheme = "AWS4-HMAC-SHA256 "
      guard header.hasPrefix(scheme) else { return nil }
      var fields: [String: String] = [:]
      for field in header.dropFirst(scheme.count).split(separator: ",") {
        let pair = field.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
        if pair.count == 2 { fields[String(pair[0])] = String(pair[1]) }
      }
      let scope = (fields["Credential"] ?? "").split(separator: "/").map(String.init)
      guard scope.count == 5, scope[3] == "s3", scope[4] == "aws4_request",
        fields["Signature"] != nil
      else { return nil }
      accessKey = scope[0]
      region = scope[2]
      signedHeaders = Set((fields["SignedHeaders"] ?? "").split(separator: ";").map(String.init))
    }
  }
}
