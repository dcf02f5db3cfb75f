package import BackupTypes
package import HTTPTransport

extension CredentialChain<AzureCredentials> {
  /// First the settings for storage itself: connection string, account key, shared access signature. Then
  /// what Microsoft's libraries look for: service principal, workload identity, managed identity.
  ///
  /// - Parameter account: the account in the repository's URL, if any.
  package static func azure(
    settings: AzureSettings, account: String?, client: HTTPClient,
    now: @escaping @Sendable () -> Instant
  ) -> CredentialChain<AzureCredentials> {
    CredentialChain([
      AzureConnectionStringSource(settings: settings),
      AzureKeySource(settings: settings, account: account),
      AzureSASSource(settings: settings),
      AzureEnvironmentSource(settings: settings, client: client, now: now),
      AzureWorkloadIdentitySource(settings: settings, client: client, now: now),
      AzureManagedIdentitySource(settings: settings, client: client, now: now),
    ])
  }
}
