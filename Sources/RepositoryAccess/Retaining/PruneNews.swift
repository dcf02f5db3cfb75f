/// Which of retention's hourly runs are logged. A steady sidecar logs its deletions four times a day, a
/// waiting run once, and a repeated failure only after six hours. A value; the caller gives the time.
package struct PruneNews: Sendable {
  /// In milliseconds.
  package static let interval: Int64 = 6 * 3_600_000

  package enum Line: Sendable, Equatable {
    case announced, waiting
    /// The deletions of this run and of earlier runs that were not logged.
    case pruned(objects: Int)
  }

  private var objects = 0
  private var quietUntil = Int64.min
  private var due: String?
  private var failure: (message: String, quietUntil: Int64)?

  package init() {}

  /// The line of a run; nil if it is not logged.
  ///
  /// - Parameters:
  ///   - deleted: the number of deleted objects.
  ///   - later: when a waiting run will delete.
  ///   - now: monotonic, in milliseconds.
  package mutating func line(
    of result: PruneReport.Result, deleted: Int = 0, due later: String? = nil, at now: Int64
  ) -> Line? {
    failure = nil
    switch result {
    case .nothing, .planned:
      due = nil
      return nil
    case .announced, .waiting:
      guard due == nil || due != later else { return nil }
      due = later
      return result == .announced ? .announced : .waiting
    case .pruned:
      due = nil
      objects += deleted
      guard now >= quietUntil else { return nil }
      defer { objects = 0 }
      quietUntil = now + PruneNews.interval
      return .pruned(objects: objects)
    }
  }

  /// Whether a failure is logged.
  package mutating func isNews(failure message: String, at now: Int64) -> Bool {
    if let failure, failure.message == message, now < failure.quietUntil { return false }
    failure = (message, now + PruneNews.interval)
    return true
  }
}
