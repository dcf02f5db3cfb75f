package import BackupTypes
package import HTTPTransport

extension CredentialChain<AzureCredentials> {
  /// What is given for storage itself, then what Microsoft's libraries look for: connection string, account
  /// key, shared access signature, service principal, workload identity, managed identity.
  ///
  /// - Parameter account: that the repository's URL names, if any.
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
