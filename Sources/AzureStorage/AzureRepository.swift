package import BackupTypes
package import CloudAuth
package import HTTPTransport
import ObjectStorage

/// A store and its credential chain, for `doctor`.
package struct AzureRepository: Sendable {
  package let store: AzureStore
  /// Where the endpoint was taken from, in words.
  package let endpointOrigin: String
  private let chain: CredentialChain<AzureCredentials>

  /// What the last search for credentials found.
  package func explainCredentials() -> [CredentialAttempt] { chain.explain() }

  /// Opens the repository that a URL names. All other settings are those of the az command line and
  /// Microsoft's libraries. Sends nothing.
  ///
  /// The account and the endpoint come from the URL, then from the connection string, then from
  /// `AZURE_STORAGE_ACCOUNT` and Azure's default endpoint.
  ///
  /// - Parameters:
  ///   - url: `az://container/prefix?…`.
  ///   - now: the wall clock.
  ///   - md5: the base64 of the MD5; empty if the system forbids MD5.
  ///   - observe: called for every request.
  /// - Throws: `.usage` for an invalid URL or endpoint; `.storeUnavailable` for an invalid connection string.
  package init(
    url: String, settings: AzureSettings, client: HTTPClient,
    now: @escaping @Sendable () -> Instant,
    md5: @escaping @Sendable ([UInt8]) -> String = contentMD5,
    observe: @escaping @Sendable (RequestObservation) -> Void
  ) throws {
    let location = try AzureLocation(url: url)
    let connection = try settings.connectionString()
    if let given = location.account, let other = connection?.account, given != other {
      throw LifeboatError(
        .usage, "can't use the repository \(location.description)",
        cause: "the URL names the account \(given), and AZURE_STORAGE_CONNECTION_STRING another"
          + " one",
        hint: "remove ?account= from the URL, or unset the variable")
    }
    let account = location.account ?? connection?.account ?? settings.account
    let endpoint: String
    if let given = location.endpoint {
      (endpoint, endpointOrigin) = (given, "the URL")
    } else if let given = connection?.endpoint {
      endpoint = try BucketURL.endpoint(given, scheme: "az", options: AzureLocation.options)
      endpointOrigin = "AZURE_STORAGE_CONNECTION_STRING"
    } else if let account, AzureLocation.isAccount(account) {
      endpoint = "https://\(account).blob.core.windows.net"
      endpointOrigin = "the account \(account)"
    } else {
      throw LifeboatError(
        .usage, "can't use the repository \(location.description)",
        cause: account == nil
          ? "no storage account is named" : "AZURE_STORAGE_ACCOUNT is not the name of an account",
        hint: "add ?account=NAME to the URL, or set AZURE_STORAGE_ACCOUNT")
    }
    guard !AzureLocation.isSecondary(endpoint) else {
      throw LifeboatError(
        .usage, "can't use the repository \(location.description)",
        cause: "\(printable(endpoint)) is a secondary endpoint, which lags behind",
        hint: "use the account's primary endpoint")
    }
    chain = .azure(settings: settings, account: account, client: client, now: now)
    store = AzureStore(
      location, endpoint: endpoint, client: client,
      credentials: CredentialProvider(source: chain, pool: client.pool, now: now), now: now,
      md5: md5, observe: observe)
  }
}
