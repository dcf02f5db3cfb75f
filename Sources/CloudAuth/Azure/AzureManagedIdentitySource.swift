package import BackupTypes
package import HTTPTransport

/// The managed identity of the machine. It comes from the endpoint of App Service, Container Apps or Azure
/// Arc, or from the instance metadata service (IMDS). If there are several identities, `AZURE_CLIENT_ID`
/// selects one.
package struct AzureManagedIdentitySource: CredentialSource {
  package let name = "managed identity"

  /// The folder of the secret files that Azure Arc names. A file anywhere else is refused.
  private static let arcFolder = "/var/opt/azcmagent/tokens/"
  private static let arcSecretBytesMax = 4096
  private static let defaultHost = "http://169.254.169.254"

  private let settings: AzureSettings
  private let client: HTTPClient
  private let now: @Sendable () -> Instant

  package init(
    settings: AzureSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) {
    self.settings = settings
    self.client = client
    self.now = now
  }

  package func load() async throws -> CredentialLookup<AzureCredentials> {
    let endpoint = settings["IDENTITY_ENDPOINT"]
    if let endpoint, let header = settings["IDENTITY_HEADER"] {
      return try await appService(endpoint, header)
    }
    if let endpoint, settings["IMDS_ENDPOINT"] != nil { return try await arc(endpoint) }
    if endpoint != nil {
      throw halfSet(
        "IDENTITY_ENDPOINT is set, but neither IDENTITY_HEADER (App Service) nor IMDS_ENDPOINT"
          + " (Azure Arc)")
    }
    if settings["IDENTITY_HEADER"] != nil {
      throw halfSet("IDENTITY_HEADER is set, but not IDENTITY_ENDPOINT")
    }
    return try await metadata()
  }

  private func query(_ version: String) -> String {
    var fields = [("api-version", version), ("resource", AzureScope.resource)]
    if let id = settings["AZURE_CLIENT_ID"] {
      fields.append(("client_id", id.trimmingWhitespace()))
    }
    return "?" + URIEncoding.form(fields)
  }

  private var identity: String {
    settings["AZURE_CLIENT_ID"].map { "the managed identity \($0)" }
      ?? "this machine's managed identity"
  }

  // MARK: The three services

  private func appService(
    _ endpoint: String, _ header: String
  ) async throws -> CredentialLookup<AzureCredentials> {
    let origin = "the identity endpoint"
    let asked = now()
    let reply = try await get(
      endpoint + query("2019-08-01"), headers: [("X-IDENTITY-HEADER", header)], connectSeconds: 3)
    return try found(reply, askedAt: asked, origin: origin)
  }

  private func arc(_ endpoint: String) async throws -> CredentialLookup<AzureCredentials> {
    let origin = "Azure Arc's agent"
    let url = endpoint + query("2020-06-01")
    let asked = now()
    let challenge = try await get(url, headers: [("Metadata", "true")], connectSeconds: 3)
    guard challenge.status == 401 else {
      return try found(challenge, askedAt: asked, origin: origin)
    }
    let secret = try arcSecret(challenge.headers["WWW-Authenticate"] ?? "")
    let reply = try await get(
      url, headers: [("Metadata", "true"), ("Authorization", "Basic " + secret)], connectSeconds: 3)
    return try found(reply, askedAt: asked, origin: origin)
  }

  /// The agent names a file, and we prove that we can read it. Only files in the agent's own folder are read,
  /// and at most as many bytes as a secret can have.
  private func arcSecret(_ challenge: String) throws -> String {
    let path =
      challenge.firstRange(of: "realm=").map {
        String(challenge[$0.upperBound...].filter { $0 != "\"" })
      } ?? ""
    let file = path.dropFirst(Self.arcFolder.count)
    guard path.hasPrefix(Self.arcFolder), file.hasSuffix(".key"), !file.contains("/") else {
      throw credentialFailure(
        "Azure Arc's agent names a file that is not allowed",
        cause: "its challenge is \"\(printable(challenge, limit: 200))\"",
        hint: "it must be \(Self.arcFolder)*.key: check what listens at IDENTITY_ENDPOINT")
    }
    let secret = try settings.token(of: path, namedBy: "Azure Arc's agent")
    guard secret.utf8.count <= Self.arcSecretBytesMax else {
      throw credentialFailure(
        "the file \(printable(path)) is too large",
        cause: "a secret of Azure Arc has at most \(Self.arcSecretBytesMax) bytes",
        hint: "check the agent's installation")
    }
    return secret
  }

  private func metadata() async throws -> CredentialLookup<AzureCredentials> {
    var host = settings["AZURE_POD_IDENTITY_AUTHORITY_HOST"] ?? Self.defaultHost
    while host.hasSuffix("/") { host.removeLast() }
    let url = host + "/metadata/identity/oauth2/token" + query("2018-02-01")
    let asked = now()
    let reply: HTTPResponse
    do {
      reply = try await get(url, headers: [("Metadata", "true")], connectSeconds: 1)
    } catch let error as LifeboatError where error.isRetryable {
      return .notConfigured(reason: error.inOneLine, mayAppear: true)
    }
    // Other clouds have a different service at the same address.
    if reply.status == 404 {
      return .notConfigured(
        reason: "the metadata service has no identity (status 404)", mayAppear: true)
    }
    return try found(reply, askedAt: asked, origin: "the metadata service")
  }

  private func found(
    _ reply: HTTPResponse, askedAt: Instant, origin: String
  ) throws -> CredentialLookup<AzureCredentials> {
    if reply.status == 200 {
      return .found(
        try OAuthTokenService.read(reply.body, askedAt: askedAt, origin: origin)
          .credentials(of: identity))
    }
    let refusal = OAuthTokenService.refusal(reply)
    let isPassing = refusal.isRetryable || [404, 410].contains(reply.status)
    throw credentialFailure(
      "\(origin) provides no token",
      cause: refusal.code.isEmpty && reply.status != 410
        ? "status \(reply.status)" : "\(refusal.words) (status \(reply.status))",
      hint: isPassing
        ? "it is being updated or limits requests, which takes a minute or two: wait until it"
          + " recovers"
        : "assign an identity to the machine; where it has several, set AZURE_CLIENT_ID to the"
          + " client id of"
          + " one", isRetryable: isPassing)
  }

  private func get(
    _ url: String, headers: [(String, String)], connectSeconds: Int
  ) async throws -> HTTPResponse {
    try await client.send(
      HTTPRequest(
        .get, url, headers: HTTPHeaders(headers), route: .direct,
        limits: HTTPLimits(connect: .seconds(connectSeconds), firstByte: .seconds(10)),
        responseBytesMax: 64 << 10))
  }
}
