package import BackupTypes
package import CloudAuth
package import HTTPTransport

/// A store and its credential chain, for `doctor`.
package struct S3Repository: Sendable {
  package let store: S3Store
  /// Where the region was taken from, before any answer of the store, in words.
  package let regionOrigin: String
  private let chain: CredentialChain<AWSCredentials>

  /// What the last search for credentials found.
  package func explainCredentials() -> [CredentialAttempt] { chain.explain() }

  /// Opens the repository that a URL names. All other settings are those of AWS's own tools. Sends nothing.
  ///
  /// Endpoint: the URL's, `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's `services`
  /// section, the profile's; else AWS's own. Region: the URL's, `AWS_REGION`, `AWS_DEFAULT_REGION`,
  /// the profile's; else learned from the store's first answer.
  ///
  /// - Parameters:
  ///   - url: `s3://bucket/prefix?…`.
  ///   - now: the wall clock.
  ///   - observe: called for every request.
  /// - Throws: `.usage` for an invalid URL or endpoint, `.storeUnavailable` for a configuration file that
  ///   can't be read.
  package init(
    url: String, settings: AWSSettings, client: HTTPClient,
    now: @escaping @Sendable () -> Instant,
    observe: @escaping @Sendable (S3Observation) -> Void
  ) throws {
    let location = try S3Location(url: url)
    let endpoint = try location.endpoint ?? S3Repository.configuredEndpoint(settings)
    try location.check(endpoint)
    let configured = try AWSRegion.configured(settings)
    let region = location.region ?? configured?.name
    if let region, !AWSRegion.isName(region) {
      throw LifeboatError(
        .usage, "\"\(printable(region))\" is not the name of a region",
        cause: "from \(configured?.origin ?? "the URL")", hint: "a region looks like eu-west-1")
    }
    if location.region != nil {
      regionOrigin = "the URL"
    } else {
      regionOrigin = configured?.origin ?? (endpoint == nil ? "the store's answer" : "the default")
    }
    chain =
      location.isAnonymous
      ? CredentialChain([AnonymousSource()])
      : .standard(settings: settings, client: client, now: now)
    store = S3Store(
      location, endpoint: endpoint, region: region,
      usesFIPS: settings["AWS_USE_FIPS_ENDPOINT"]?.lowercased() == "true",
      usesDualStack: settings["AWS_USE_DUALSTACK_ENDPOINT"]?.lowercased() == "true",
      client: client,
      credentials: CredentialProvider(source: chain, pool: client.pool, now: now), now: now,
      observe: observe)
  }

  private static func configuredEndpoint(_ settings: AWSSettings) throws -> String? {
    guard settings["AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"]?.lowercased() != "true" else {
      return nil
    }
    if let url = settings["AWS_ENDPOINT_URL_S3"] ?? settings["AWS_ENDPOINT_URL"] {
      return try S3Location.endpoint(url)
    }
    return try settings.configuredEndpoint(of: "s3").map { try S3Location.endpoint($0) }
  }
}
