package import BackupLogic
package import BackupTypes

extension Repository {
  /// So often it is listed anew when something went away that the listing had.
  private static let listingsMax = 3

  /// Answers a question about the history. Retention and folds delete while others read: when an object
  /// went away that the listing had, it is listed and asked again.
  package func withHistory<Answer>(
    youngAfter: Instant? = nil, counted: (Int) -> Void = { _ in },
    _ question: (History) async throws -> Answer
  ) async throws -> Answer {
    var listings = 1
    while true {
      do {
        return try await question(try await history(youngAfter: youngAfter, counted: counted))
      } catch let error as LifeboatError
        where error.missingObject != nil && listings < Repository.listingsMax
      {
        listings += 1
      }
    }
  }
}
