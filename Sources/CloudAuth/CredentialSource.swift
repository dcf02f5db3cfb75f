package import BackupTypes

/// The credentials that authenticate requests to a vendor.
package protocol VendorCredentials: Sendable, Hashable, CustomStringConvertible {
  /// `AWS`, for messages.
  static var vendor: String { get }
  /// What to do if no source has any.
  static var missingHint: String { get }
  /// nil: until someone revokes them.
  var expiration: Instant? { get }
}

/// A place that credentials can come from.
package protocol CredentialSource<Credentials>: Sendable {
  associatedtype Credentials: VendorCredentials

  /// For people: `environment`, `web identity`.
  var name: String { get }

  /// Reads the source's files or services again at every call. May block: call it on a thread that may block.
  ///
  /// - Throws: if the source is configured but gives nothing. A chain ends there: the next source would give
  ///   another identity than the configured one.
  func load() async throws -> CredentialLookup<Credentials>
}

package enum CredentialLookup<Credentials: VendorCredentials>: Sendable {
  case found(Credentials)
  /// Requests are not authenticated.
  case anonymous
  /// - Parameters:
  ///   - reason: for messages; never a secret.
  ///   - mayAppear: whether waiting can help, for example if a metadata service does not answer yet.
  case notConfigured(reason: String, mayAppear: Bool = false)
}

/// The result of one source, for `doctor` and the debug log.
package struct CredentialAttempt: Sendable, Hashable, CustomStringConvertible {
  package enum Outcome: Sendable, Hashable {
    /// What was found, without secrets.
    case used(String)
    case notConfigured(String)
    case failed(String, remedy: String?)
    /// An earlier source decided.
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
