package import BackupTypes
package import ObjectStorage

/// Retries everything retryable, soon and for long enough.
package func retrying(_ store: any ObjectStore) -> RetryingStore {
  RetryingStore(
    store,
    policy: RetryingStore.Policy(
      budget: .seconds(240), firstDelay: .milliseconds(5), delayMax: .milliseconds(50),
      permanentTries: 1), report: { _ in })
}

/// The error that `body` throws.
package func failure(_ body: () async throws -> Void) async throws -> LifeboatError {
  do {
    try await body()
  } catch let error as LifeboatError {
    return error
  }
  throw HarnessError("it succeeded")
}
