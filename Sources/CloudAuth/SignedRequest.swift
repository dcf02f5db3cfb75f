import BackupTypes
package import HTTPTransport

/// Adds to an HTTP request the fields that sign it.
package struct SignedRequest: Sendable {
  /// Percent-encoded, as in the request's address.
  package var path: String
  /// Before encoding; the address must contain it as `SigV4.canonicalQuery` writes it.
  package var query: [(String, String)]
  /// SHA-256 of the body in hexadecimal.
  package var payloadDigest: String
  package var scope: SigV4.Scope

  package init(
    path: String, query: [(String, String)], payloadDigest: String, scope: SigV4.Scope
  ) {
    self.path = path
    self.query = query
    self.payloadDigest = payloadDigest
    self.scope = scope
  }

  /// Signs every field of the request, and those that this adds: `Host`, `x-amz-date`, `x-amz-content-sha256`
  /// for S3, and the session token. Called again for each attempt.
  package func sign(_ request: inout HTTPRequest, with credentials: AWSCredentials) {
    request.headers["Host"] = SignedRequest.host(of: request.url)
    request.headers["x-amz-date"] = scope.timestamp
    if scope.service == "s3" { request.headers["x-amz-content-sha256"] = payloadDigest }
    request.headers["x-amz-security-token"] = credentials.sessionToken?.reveal()
    request.headers["Authorization"] = nil
    request.headers["Authorization"] = SigV4.authorization(
      SigV4.Request(
        method: request.method.rawValue, path: path, query: query,
        headers: request.headers.fields.map { ($0.name, $0.value) }, payloadDigest: payloadDigest),
      scope: scope, credentials: credentials)
  }

  /// The value of `Host`: without the scheme's default port, as in every client.
  package static func host(of url: String) -> String {
    let parts = url.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count > 2 else { return "" }
    let authority = String(parts[2].split(separator: "@").last ?? "")
    let port = parts[0].lowercased() == "https:" ? ":443" : ":80"
    return authority.hasSuffix(port) ? String(authority.dropLast(port.count)) : authority
  }
}
