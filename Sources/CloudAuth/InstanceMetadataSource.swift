import BackupTypes
package import HTTPTransport

/// The role of the EC2 instance, through version 2 of its metadata service (IMDSv2).
///
/// Version 1, which answers requests without a token, is not used. A service that can't be reached may not be
/// up yet, so this counts as temporary, and is retried.
package struct InstanceMetadataSource: CredentialSource {
  package let name = "instance metadata"
  private static let origin = "the instance metadata service"
  private static let rolePath = "/latest/meta-data/iam/security-credentials/"
  /// IMDSv2 allows at most six hours. A token is used for one call of `load` only.
  private static let tokenSeconds = "21600"

  private let settings: AWSSettings
  private let client: HTTPClient

  package init(settings: AWSSettings, client: HTTPClient) {
    self.settings = settings
    self.client = client
  }

  package func load() async throws -> CredentialLookup<AWSCredentials> {
    if settings.isTrue("AWS_EC2_METADATA_DISABLED") {
      return .notConfigured(reason: "AWS_EC2_METADATA_DISABLED is true")
    }
    let token: String
    do {
      let reply = try await send(
        .put, "/latest/api/token", ("X-aws-ec2-metadata-token-ttl-seconds", Self.tokenSeconds))
      guard reply.status == 200 else {
        return .notConfigured(
          reason: "status \(reply.status) instead of a token (403: the service is switched off)",
          mayAppear: reply.status >= 500)
      }
      token = String(decoding: reply.body, as: UTF8.self).trimmingWhitespace()
    } catch let error as LifeboatError {
      let reason = error.inOneLine
      return .notConfigured(
        reason: reason + " (in a pod on EC2: raise the hop limit to 2)", mayAppear: true)
    }
    guard let role = try await role(token) else {
      return .notConfigured(reason: "the instance has no role")
    }
    let reply = try await get(InstanceMetadataSource.rolePath + role, token)
    guard reply.status == 200 else { throw refusal(reply) }
    let decoded = try TemporaryCredentials.decode(reply.body, origin: Self.origin)
    return .found(try decoded.credentials(origin: Self.origin))
  }

  /// The instance has at most one role, which the service lists. Nil if it has none.
  private func role(_ token: String) async throws -> String? {
    let reply = try await get(Self.rolePath, token)
    if reply.status == 404 { return nil }
    guard reply.status == 200 else { throw refusal(reply) }
    let line = String(decoding: reply.body, as: UTF8.self).split(whereSeparator: \.isNewline).first
    return line.map { URIEncoding.encode($0.trimmingWhitespace()) }
  }

  private func get(_ path: String, _ token: String) async throws -> HTTPResponse {
    try await send(.get, path, ("X-aws-ec2-metadata-token", token))
  }

  private func send(
    _ method: HTTPRequest.Method, _ path: String, _ field: (String, String)
  ) async throws -> HTTPResponse {
    let seconds = settings["AWS_METADATA_SERVICE_TIMEOUT"].flatMap { Int($0) } ?? 1
    let limit = Duration.seconds(min(max(1, seconds), 60))
    return try await client.send(
      HTTPRequest(
        method, endpoint + path, headers: HTTPHeaders([field]), route: .direct,
        limits: HTTPLimits(connect: limit, firstByte: limit), responseBytesMax: 64 << 10))
  }

  private var endpoint: String {
    if let url = settings["AWS_EC2_METADATA_SERVICE_ENDPOINT"] {
      return url.hasSuffix("/") ? String(url.dropLast()) : url
    }
    let isIPv6 = settings["AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"]?.lowercased() == "ipv6"
    return isIPv6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254"
  }

  private func refusal(_ reply: HTTPResponse) -> LifeboatError {
    credentialFailure(
      "\(Self.origin) refuses", cause: "status \(reply.status)",
      isRetryable: reply.status >= 500 || reply.status == 429 || reply.status == 404)
  }
}
