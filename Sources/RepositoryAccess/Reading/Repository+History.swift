package import BackupTypes
package import HistoryLogic

extension Repository {
  /// How often the repository is listed again because a listed object was deleted.
  private static let listingsMax = 3

  /// Answers a question about the history. Retention and folds delete while others read. If a listed object
  /// was deleted, the repository is listed again and the question repeated.
  package func withHistory<Answer>(
    youngAfter: Instant? = nil, passesClaims: Bool = false, counted: (Int) -> Void = { _ in },
    _ question: (History) async throws -> Answer
  ) async throws -> Answer {
    var listings = 1
    while true {
      do {
        return try await question(
          try await history(
            youngAfter: youngAfter, passesClaims: passesClaims, counted: counted))
      } catch let error as LifeboatError
        where error.missingObject != nil && listings < Repository.listingsMax
      {
        listings += 1
      }
    }
  }
}
