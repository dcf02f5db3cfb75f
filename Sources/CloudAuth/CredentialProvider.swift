package import BackupTypes
import HTTPTransport
import Synchronization
package import SystemIO

/// The current credentials. They are renewed before they expire, by one refresh at a time, no matter how many
/// callers ask.
package final class CredentialProvider<Credentials: VendorCredentials>: Sendable {
  private typealias Waiter = CheckedContinuation<Credentials?, any Error>

  private struct State {
    var cache = CredentialCache<Credentials>()
    var waiters: [UInt64: Waiter] = [:]
    /// The result of the last refresh, for callers that begin to wait just after its end.
    var last: Result<Credentials?, any Error>?
    var lastNumber: UInt64 = 0
  }

  private let source: any CredentialSource<Credentials>
  private let pool: BlockingPool
  private let now: @Sendable () -> Instant
  private let state = Mutex(State())

  /// - Parameters:
  ///   - pool: the threads on which the source may block.
  ///   - now: the wall clock, which expirations use, too.
  package init(
    source: any CredentialSource<Credentials>, pool: BlockingPool,
    now: @escaping @Sendable () -> Instant
  ) {
    self.source = source
    self.pool = pool
    self.now = now
  }

  /// nil if requests are not authenticated.
  ///
  /// - Throws: what the source threw, or `CancellationError`.
  package func current() async throws -> Credentials? {
    switch state.withLock({ $0.cache.step(at: now()) }) {
    case .use(let credentials): return credentials
    case .useAndRefresh(let credentials):
      startRefresh()
      return credentials
    case .refreshAndWait:
      startRefresh()
      return try await wait()
    case .wait: return try await wait()
    }
  }

  /// Other credentials than `rejected`, which the service no longer accepts; the same ones if there are no
  /// others.
  package func replacing(_ rejected: Credentials?) async throws -> Credentials? {
    state.withLock { $0.cache.reject(rejected) }
    return try await current()
  }

  /// Not a child of the caller: it serves all that wait, and continues if one of them is cancelled. It ends
  /// by itself, since every source has a time limit.
  private func startRefresh() {
    Task { [self] in
      let result: Result<Credentials?, any Error>
      do {
        let lookup = try await withTaskExecutorPreference(pool) { try await source.load() }
        switch lookup {
        case .found(let credentials): result = .success(credentials)
        case .anonymous: result = .success(nil)
        case .notConfigured(let reason, let mayAppear):
          result = .failure(
            credentialFailure(
              "no \(Credentials.vendor) credentials were found", cause: "\(source.name): \(reason)",
              isRetryable: mayAppear))
        }
      } catch {
        result = .failure(error)
      }
      finish(result)
    }
  }

  private func finish(_ result: Result<Credentials?, any Error>) {
    let time = now()
    let waiters = state.withLock { state in
      switch result {
      case .success(let credentials): state.cache.loaded(credentials, at: time)
      case .failure: state.cache.failed(at: time)
      }
      state.last = result
      defer { state.waiters = [:] }
      return state.waiters.values
    }
    for waiter in waiters { waiter.resume(with: result) }
  }

  private func wait() async throws -> Credentials? {
    let number = state.withLock { state in
      state.lastNumber += 1
      return state.lastNumber
    }
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { (waiter: Waiter) in
        let result: Result<Credentials?, any Error>? = state.withLock { state in
          if Task.isCancelled { return .failure(CancellationError()) }
          guard state.cache.isRefreshing else { return state.last }
          state.waiters[number] = waiter
          return nil
        }
        if let result { waiter.resume(with: result) }
      }
    } onCancel: {
      state.withLock { $0.waiters.removeValue(forKey: number) }?.resume(
        throwing: CancellationError())
    }
  }
}
