package import BackupTypes
package import CloudAuth
package import HTTPTransport

/// A store and its credential chain, for `doctor`.
package struct GCSRepository: Sendable {
  package let store: GCSStore
  /// Where the endpoint was taken from, in words.
  package let endpointOrigin: String
  private let chain: CredentialChain<GoogleAccessToken>

  /// What the last search for credentials found.
  package func explainCredentials() -> [CredentialAttempt] { chain.explain() }

  /// Opens the repository that a URL names. All other settings are those of Google's own libraries. Sends
  /// nothing.
  ///
  /// Endpoint: the URL's, `STORAGE_EMULATOR_HOST`, else Google's own. As in Google's libraries, an emulator
  /// that the variable names gets no token.
  ///
  /// - Parameters:
  ///   - url: `gs://bucket/prefix?…`.
  ///   - now: the wall clock.
  ///   - observe: called for every request.
  /// - Throws: `.usage` for an invalid URL or endpoint.
  package init(
    url: String, settings: GoogleSettings, client: HTTPClient,
    now: @escaping @Sendable () -> Instant,
    observe: @escaping @Sendable (RequestObservation) -> Void
  ) throws {
    let location = try GCSLocation(url: url)
    let endpoint: String
    var isAnonymous = location.isAnonymous ?? false
    if let given = location.endpoint {
      (endpoint, endpointOrigin) = (given, "the URL")
    } else if let host = settings["STORAGE_EMULATOR_HOST"] {
      endpoint = try GCSLocation.endpoint(emulatorHost: host)
      endpointOrigin = "STORAGE_EMULATOR_HOST"
      isAnonymous = location.isAnonymous ?? true
    } else {
      (endpoint, endpointOrigin) = ("https://storage.googleapis.com", "the default")
    }
    guard isAnonymous || PlainHTTP.maySendSecret(to: endpoint) else {
      throw LifeboatError(
        .usage, "a token is not sent to \(printable(endpoint))",
        cause: "plain http is not encrypted",
        hint: "use an https:// endpoint, or add ?anonymous=true for an emulator")
    }
    chain =
      isAnonymous
      ? CredentialChain([AnonymousSource()])
      : .applicationDefault(settings: settings, client: client, now: now)
    store = GCSStore(
      location, endpoint: endpoint, client: client,
      credentials: CredentialProvider(source: chain, pool: client.pool, now: now), now: now,
      observe: observe)
  }
}
