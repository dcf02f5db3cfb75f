package import BackupTypes
package import HTTPTransport

/// The service account of the machine, or of the pod under GKE's workload identity, through the
/// metadata server.
///
/// In a pod's first seconds the server often refuses or fails, so every failure counts as temporary, and the
/// layer that retries waits.
package struct GoogleMetadataSource: CredentialSource {
  package let name = "metadata server"
  private static let origin = "the metadata server"
  private static let accountPath = "/computeMetadata/v1/instance/service-accounts/default/"
  /// A numeric address, as in Google's Go library: a pod's DNS may not be up yet, either.
  private static let defaultHost = "169.254.169.254"
  private static let flavor = ("Metadata-Flavor", "Google")

  private let settings: GoogleSettings
  private let client: HTTPClient
  private let now: @Sendable () -> Instant

  package init(
    settings: GoogleSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) {
    self.settings = settings
    self.client = client
    self.now = now
  }

  package func load() async throws -> CredentialLookup<GoogleAccessToken> {
    if settings.isTrue("NO_GCE_CHECK") { return .notConfigured(reason: "NO_GCE_CHECK is true") }
    let asked = now()
    let reply: HTTPResponse
    do {
      reply = try await get("token?scopes=" + URIEncoding.encode(GoogleScope.storage))
    } catch let error as LifeboatError {
      return .notConfigured(
        reason: error.inOneLine, mayAppear: true)
    }
    // Other clouds have a different service at the same address.
    guard reply.headers[Self.flavor.0] == Self.flavor.1 else {
      return .notConfigured(
        reason: "the server at \(printable(host)) is not Google's", mayAppear: reply.status >= 500
      )
    }
    guard reply.status == 200 else { return try refusal(reply) }
    let token = try OAuthTokenService.read(reply.body, askedAt: asked, origin: Self.origin)
    return .found(
      GoogleAccessToken(
        token: token.token.reveal(), identity: await identity(),
        quotaProject: settings.quotaProject, expiration: token.expiration))
  }

  private func refusal(_ reply: HTTPResponse) throws -> CredentialLookup<GoogleAccessToken> {
    let words = printable(String(decoding: reply.body.prefix(600), as: UTF8.self), limit: 300)
    if reply.status == 404 {
      return .notConfigured(
        reason: "neither the machine nor the pod has a service account (status 404)",
        mayAppear: true)
    }
    throw credentialFailure(
      "\(Self.origin) provides no token",
      cause: "status \(reply.status)" + (words.isEmpty ? "" : ": " + words),
      hint: reply.status == 403
        ? "under GKE's workload identity, grant the Kubernetes service account"
          + " roles/iam.workloadIdentityUser on the Google one that its annotation names"
        : "it is often not ready in a pod's first seconds; if this persists, check gke-metadata-server"
          + " in kube-system",
      isRetryable: true)
  }

  /// Only for messages, so a failure does not matter.
  private func identity() async -> String {
    guard let reply = try? await get("email"), reply.status == 200,
      let text = String(validating: reply.body.prefix(320), as: UTF8.self),
      !text.trimmingWhitespace().isEmpty
    else { return "this machine's service account" }
    return text.trimmingWhitespace()
  }

  private func get(_ path: String) async throws -> HTTPResponse {
    let seconds = settings["GCE_METADATA_TIMEOUT"].flatMap { Int($0) } ?? 3
    return try await client.send(
      HTTPRequest(
        .get, "http://" + host + Self.accountPath + path, headers: HTTPHeaders([Self.flavor]),
        route: .direct,
        limits: HTTPLimits(
          connect: .seconds(min(max(1, seconds), 60)), firstByte: .seconds(10)),
        responseBytesMax: 64 << 10))
  }

  /// `GCE_METADATA_ROOT` is the older name of the variable.
  private var host: String {
    settings.first("GCE_METADATA_HOST", "GCE_METADATA_ROOT") ?? Self.defaultHost
  }
}
