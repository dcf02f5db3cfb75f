import BackupTypes
package import HTTPTransport

/// The agent of ECS, and EKS Pod Identity: `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or
/// `…_FULL_URI`, with the token in `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE`, read at every call, or
/// in `AWS_CONTAINER_AUTHORIZATION_TOKEN`.
///
/// Plain http is used only for this machine and for the link-local addresses of the two agents, as in AWS's
/// SDKs. Otherwise anyone who can set the variable could have the token sent anywhere.
package struct ContainerSource: CredentialSource {
  package let name = "container"
  private static let origin = "the container credentials service"
  private static let agent = "http://169.254.170.2"
  private static let agents: Set<String> = [
    "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]",
  ]

  private let settings: AWSSettings
  private let client: HTTPClient

  package init(settings: AWSSettings, client: HTTPClient) {
    self.settings = settings
    self.client = client
  }

  package func load() async throws -> CredentialLookup<AWSCredentials> {
    guard let url = try address() else {
      return .notConfigured(reason: "AWS_CONTAINER_CREDENTIALS_FULL_URI is not set")
    }
    var request = HTTPRequest(
      .get, url, route: .direct,
      limits: HTTPLimits(connect: .seconds(2), firstByte: .seconds(10)),
      responseBytesMax: 64 << 10)
    request.headers.append("Accept", "application/json")
    request.headers["Authorization"] = try token()
    let reply = try await client.send(request)
    guard reply.status == 200 else { throw refusal(reply) }
    let decoded = try TemporaryCredentials.decode(reply.body, origin: ContainerSource.origin)
    return .found(try decoded.credentials(origin: ContainerSource.origin))
  }

  private func address() throws -> String? {
    if let path = settings["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] {
      guard path.hasPrefix("/") else {
        throw credentialFailure(
          "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI does not begin with \"/\"")
      }
      return ContainerSource.agent + path
    }
    guard let url = settings["AWS_CONTAINER_CREDENTIALS_FULL_URI"] else { return nil }
    if url.lowercased().hasPrefix("https://") { return url }
    guard ContainerSource.isPlainAllowed(url) else {
      throw credentialFailure(
        "AWS_CONTAINER_CREDENTIALS_FULL_URI may not be used",
        cause: "plain http is allowed only for loopback and the agents' own addresses",
        hint: "use https, or unset the variable")
    }
    return url
  }

  static func isPlainAllowed(_ url: String) -> Bool {
    guard let host = PlainHTTP.host(url) else { return false }
    return agents.contains(host) || PlainHTTP.isLoopback(host: host)
  }

  private func token() throws -> String? {
    if let file = settings["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] {
      return try settings.token(of: file, namedBy: "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")
    }
    return settings["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
  }

  private func refusal(_ reply: HTTPResponse) -> LifeboatError {
    let decoded = try? TemporaryCredentials.decode(reply.body, origin: ContainerSource.origin)
    return credentialFailure(
      "\(ContainerSource.origin) refuses",
      cause: "status \(reply.status)"
        + (decoded?.message.map { ": " + printable($0) } ?? ""),
      hint: "check the pod identity association of the service account, or the task role",
      isRetryable: reply.status >= 500 || reply.status == 429)
  }
}
