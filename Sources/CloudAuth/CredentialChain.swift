package import BackupTypes
package import HTTPTransport
import Synchronization

/// Sources in the order of the vendor's SDKs. The first that is configured is used.
package final class CredentialChain<Credentials: VendorCredentials>: CredentialSource {
  package let name = "chain"
  private let sources: [any CredentialSource<Credentials>]
  private let attempts = Mutex<[CredentialAttempt]>([])

  package init(_ sources: [any CredentialSource<Credentials>]) { self.sources = sources }

  package func load() async throws -> CredentialLookup<Credentials> {
    var attempts: [CredentialAttempt] = []
    func record(_ source: any CredentialSource<Credentials>, _ outcome: CredentialAttempt.Outcome) {
      attempts.append(CredentialAttempt(source: source.name, outcome: outcome))
    }
    defer { self.attempts.withLock { $0 = attempts } }
    var mayAppear = false
    for (index, source) in sources.enumerated() {
      do {
        switch try await source.load() {
        case .found(let credentials):
          record(source, .used(credentials.description))
          for later in sources[(index + 1)...] { record(later, .notReached) }
          return .found(credentials)
        case .anonymous:
          record(source, .used("requests are not signed"))
          for later in sources[(index + 1)...] { record(later, .notReached) }
          return .anonymous
        case .notConfigured(let reason, let later):
          record(source, .notConfigured(reason))
          mayAppear = mayAppear || later
        }
      } catch {
        let known = LifeboatError(wording: error)
        record(source, .failed(known.inOneLine, remedy: known.hint))
        for later in sources[(index + 1)...] { record(later, .notReached) }
        throw error
      }
    }
    throw credentialFailure(
      "no \(Credentials.vendor) credentials were found",
      cause: attempts.map(\.description).joined(separator: "; "),
      hint: Credentials.missingHint, isRetryable: mayAppear)
  }

  /// What the last `load` tried, in order; empty before the first.
  package func explain() -> [CredentialAttempt] { attempts.withLock { $0 } }
}

extension CredentialChain<AWSCredentials> {
  /// Environment, web identity, profile, container, instance metadata.
  package static func standard(
    settings: AWSSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) -> CredentialChain<AWSCredentials> {
    CredentialChain([
      EnvironmentSource(settings: settings),
      WebIdentitySource(settings: settings, client: client, now: now),
      ProfileSource(settings: settings, client: client, now: now),
      ContainerSource(settings: settings, client: client),
      InstanceMetadataSource(settings: settings, client: client),
    ])
  }
}
