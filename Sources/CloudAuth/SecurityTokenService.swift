import BackupTypes
import Codec
import HTTPTransport

/// The two calls of AWS STS that exchange one identity for another. API version 2011-06-15.
struct SecurityTokenService: Sendable {
  struct Role: Sendable, Hashable {
    var arn: String
    var sessionName: String
    var externalID: String?
    /// Seconds; nil: the role's own value (one hour).
    var durationSeconds: Int?
  }

  let settings: AWSSettings
  let client: HTTPClient
  let now: @Sendable () -> Instant

  /// Signed with `credentials`; the role's trust policy must allow them.
  func assume(_ role: Role, with credentials: AWSCredentials) async throws -> AWSCredentials {
    var fields = common(role, action: "AssumeRole")
    if let externalID = role.externalID { fields.append(("ExternalId", externalID)) }
    let reply = try await send(fields, role: role, signedWith: credentials)
    return try read(reply, action: "AssumeRole", role: role)
  }

  /// Not signed: the token is the identity.
  func assume(_ role: Role, webIdentityToken token: String) async throws -> AWSCredentials {
    let action = "AssumeRoleWithWebIdentity"
    let fields = common(role, action: action) + [("WebIdentityToken", token)]
    let reply = try await send(fields, role: role, signedWith: nil)
    return try read(reply, action: action, role: role)
  }

  private func common(_ role: Role, action: String) -> [(String, String)] {
    var fields = [
      ("Action", action), ("Version", "2011-06-15"), ("RoleArn", role.arn),
      ("RoleSessionName", role.sessionName),
    ]
    if let seconds = role.durationSeconds { fields.append(("DurationSeconds", "\(seconds)")) }
    return fields
  }

  /// The address, and the region to sign for: the configured address, else that of the configured region,
  /// else that of the home region of the role's partition. The global name, which only the common partition
  /// has and AWS advises against, is used only if `AWS_STS_REGIONAL_ENDPOINTS` is `legacy`.
  func endpoint(for role: Role) throws -> (url: String, region: String) {
    let partition = AWSPartition(arn: role.arn)
    let configured = try AWSRegion.configured(settings)?.name
    let region = configured.flatMap { AWSRegion.isName($0) ? $0 : nil } ?? partition.homeRegion
    if !settings.isTrue("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"),
      let url = settings.first("AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL")
    {
      return (url.hasSuffix("/") ? String(url.dropLast()) : url, region)
    }
    let mode = settings["AWS_STS_REGIONAL_ENDPOINTS"]?.lowercased()
    if mode == "legacy", configured == nil, partition.name == "aws" {
      return ("https://sts.amazonaws.com", "us-east-1")
    }
    let service = settings.isTrue("AWS_USE_FIPS_ENDPOINT") ? "sts-fips" : "sts"
    return ("https://\(service).\(region).\(AWSPartition(region: region).dnsSuffix)", region)
  }

  private func send(
    _ fields: [(String, String)], role: Role, signedWith credentials: AWSCredentials?
  ) async throws -> HTTPResponse {
    let (url, region) = try endpoint(for: role)
    let body = Array(URIEncoding.form(fields).utf8)
    var request = HTTPRequest(.post, url + "/", body: body, responseBytesMax: 256 << 10)
    request.headers.append("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
    if let credentials {
      SignedRequest(
        path: "/", query: [], payloadDigest: SHA256Hasher.digest(of: body).hexadecimal,
        scope: SigV4.Scope(time: now(), region: region, service: "sts")
      ).sign(&request, with: credentials)
    }
    return try await client.send(request)
  }

  private func read(
    _ reply: HTTPResponse, action: String, role: Role
  ) throws -> AWSCredentials {
    let origin = "AWS STS"
    guard reply.status == 200 else { throw refusal(reply, role: role) }
    let root = try XMLElement(parsing: reply.body)
    guard let credentials = root[action + "Result"]?["Credentials"],
      let key = credentials["AccessKeyId"]?.text, !key.isEmpty,
      let secret = credentials["SecretAccessKey"]?.text, !secret.isEmpty,
      let token = credentials["SessionToken"]?.text
    else {
      throw credentialFailure("can't read the reply of \(origin)", cause: "no credentials in it")
    }
    return AWSCredentials(
      accessKeyID: key, secretAccessKey: secret, sessionToken: token,
      expiration: try credentials["Expiration"].map {
        try expirationInstant($0.text, origin: origin)
      })
  }

  private func refusal(_ reply: HTTPResponse, role: Role) -> LifeboatError {
    let root = try? XMLElement(parsing: reply.body)
    let error = root?["Error"]
    let code = error?["Code"]?.text ?? "status \(reply.status)"
    let message = error?["Message"]?.text ?? ""
    let hint: String?
    var isRetryable = reply.status >= 500 || reply.status == 429
    switch code {
    case "AccessDenied":
      hint =
        "the role's trust policy must allow this identity: for IRSA the cluster's OIDC provider,"
        + " with the service account's namespace and name in the condition on sub"
    case "ExpiredTokenException":
      hint = "the token has expired: use the projected token file, which Kubernetes renews"
      isRetryable = true
    case "InvalidIdentityToken":
      hint =
        "the token's issuer must be an OIDC identity provider of this AWS account, and its"
        + " audience sts.amazonaws.com"
    case "IDPCommunicationError", "Throttling", "ThrottlingException", "RequestThrottled":
      hint = nil
      isRetryable = true
    case "RegionDisabledException":
      hint = "activate STS in this region, or set AWS_REGION to a region where it is active"
    case "InvalidClientTokenId", "SignatureDoesNotMatch":
      hint = "the keys used to assume the role are wrong: check the source profile"
    default: hint = nil
    }
    return credentialFailure(
      "AWS STS refused to assume \(printable(role.arn))",
      cause: printable(code) + (message.isEmpty ? "" : ": " + printable(message, limit: 400)),
      hint: hint, isRetryable: isRetryable
    ).denied(reply.status == 401 || reply.status == 403)
  }
}
