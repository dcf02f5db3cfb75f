import BackupTypes

/// Decides when credentials are reloaded. Pure: the caller passes the time and the loaded credentials.
///
/// From `refreshAt` on they are renewed in the background, while requests continue with the old ones; from
/// `requiredAt` on requests wait for the new ones. Both are before the expiration, for short-lived
/// credentials in proportion to their life. They are after the load even if the credentials have expired
/// already: the service decides whether it still accepts them, and requesting them again and again does not
/// help.
struct CredentialCache<Credentials: VendorCredentials> {
  enum Step: Equatable {
    case use(Credentials?)
    /// Use these, and begin a refresh in parallel.
    case useAndRefresh(Credentials?)
    case wait
    case refreshAndWait
  }

  /// AWS's own clients renew between 5 and 15 minutes before the end.
  private static var refreshMargin: Int64 { 5 * 60_000 }
  private static var requiredMargin: Int64 { 60_000 }
  private static var pauseAfterFailure: Int64 { 30_000 }

  private struct Held {
    var credentials: Credentials?
    var refreshAt: Int64?
    var requiredAt: Int64?
  }

  private var held: Held?
  private(set) var isRefreshing = false

  /// What a request that begins now does. If it requests a refresh, that counts as begun.
  mutating func step(at now: Instant) -> Step {
    let now = now.milliseconds
    guard let held, held.requiredAt.map({ now < $0 }) ?? true else {
      defer { isRefreshing = true }
      return isRefreshing ? .wait : .refreshAndWait
    }
    guard !isRefreshing, let refreshAt = held.refreshAt, now >= refreshAt else {
      return .use(held.credentials)
    }
    isRefreshing = true
    return .useAndRefresh(held.credentials)
  }

  /// The service refused these: drops them, if they are still the current ones.
  mutating func reject(_ credentials: Credentials?) {
    if held?.credentials == credentials { held = nil }
  }

  /// - Parameter credentials: nil: requests are not signed.
  mutating func loaded(_ credentials: Credentials?, at now: Instant) {
    isRefreshing = false
    guard let expiration = credentials?.expiration else {
      held = Held(credentials: credentials)
      return
    }
    let now = now.milliseconds
    let lifetime = Instant(milliseconds: expiration.milliseconds).since(Instant(milliseconds: now))
    guard lifetime > 0 else {
      let later = now + CredentialCache.pauseAfterFailure
      held = Held(credentials: credentials, refreshAt: later, requiredAt: later)
      return
    }
    held = Held(
      credentials: credentials,
      refreshAt: now + max(lifetime - CredentialCache.refreshMargin, lifetime / 2),
      requiredAt: now + max(lifetime - CredentialCache.requiredMargin, lifetime / 4 * 3))
  }

  mutating func failed(at now: Instant) {
    isRefreshing = false
    held?.refreshAt = now.milliseconds + CredentialCache.pauseAfterFailure
  }
}
