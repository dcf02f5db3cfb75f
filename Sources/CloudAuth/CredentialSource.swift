package import BackupTypes

/// What a vendor's requests are authenticated with.
package protocol VendorCredentials: Sendable, Hashable, CustomStringConvertible {
  /// `AWS`, for messages.
  static var vendor: String { get }
  /// What to do where no source has any.
  static var missingHint: String { get }
  /// nil: until someone revokes them.
  var expiration: Instant? { get }
}

/// One place where credentials can come from.
package protocol CredentialSource<Credentials>: Sendable {
  associatedtype Credentials: VendorCredentials

  /// For people: `environment`, `web identity`.
  var name: String { get }

  /// Looks again; whatever files or services a source reads, it reads at every call. May block: call
  /// it on a thread that may.
  ///
  /// - Throws: when the source is configured and yet gives nothing. A chain ends there: going on
  ///   would act in the name of someone else than the one configured.
  func load() async throws -> CredentialLookup<Credentials>
}

package enum CredentialLookup<Credentials: VendorCredentials>: Sendable {
  case found(Credentials)
  /// Requests are not to be authenticated.
  case anonymous
  /// - Parameters:
  ///   - reason: for people; never a secret.
  ///   - mayAppear: whether waiting can help, as with a metadata service that does not answer yet.
  case notConfigured(reason: String, mayAppear: Bool = false)
}

/// What became of one source, for `doctor` and the debug log.
package struct CredentialAttempt: Sendable, Hashable, CustomStringConvertible {
  package enum Outcome: Sendable, Hashable {
    /// What was found, without secrets.
    case used(String)
    case notConfigured(String)
    case failed(String, remedy: String?)
    /// A source before it decided.
    case notReached
  }

  package var source: String
  package var outcome: Outcome

  package var description: String {
    switch outcome {
    case .used(let what): "\(source): used, \(what)"
    case .notConfigured(let reason): "\(source): \(reason)"
    case .failed(let reason, _): "\(source): failed: \(reason)"
    case .notReached: "\(source): not checked"
    }
  }
}

/// For public or emulated buckets (`?anonymous=true`).
package struct AnonymousSource<Credentials: VendorCredentials>: CredentialSource {
  package let name = "anonymous"
  package init() {}
  package func load() async throws -> CredentialLookup<Credentials> { .anonymous }
}
