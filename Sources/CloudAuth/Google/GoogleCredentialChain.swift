package import BackupTypes
package import HTTPTransport

extension CredentialChain<GoogleAccessToken> {
  /// Google's Application Default Credentials: the file of `GOOGLE_APPLICATION_CREDENTIALS`,
  /// gcloud's own file, the metadata server.
  package static func applicationDefault(
    settings: GoogleSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) -> CredentialChain<GoogleAccessToken> {
    CredentialChain([
      GoogleFileSource(.environment, settings: settings, client: client, now: now),
      GoogleFileSource(.gcloud, settings: settings, client: client, now: now),
      GoogleMetadataSource(settings: settings, client: client, now: now),
    ])
  }
}
