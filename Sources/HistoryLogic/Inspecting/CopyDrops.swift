package import BackupFormat
package import BackupTypes

/// Finds between which consecutive full copies half of the data is gone. This is the only trace if there is
/// no log, or if data was removed in a way that the search of a log does not call a drop.
package enum CopyDrops {
  /// A full copy of one kind, dumps or BASEs.
  package struct Copy: Sendable, Equatable {
    package var at: Instant
    package var keys: UInt64
    package var entries: UInt64
    /// The restore point that consists of exactly this copy.
    package var point: String
    package init(at: Instant, dataset: DatasetRecord, point: String) {
      self.at = at
      keys = dataset.keys
      entries = dataset.databases.reduce(0) { $0 &+ $1.entries }
      self.point = point
    }
  }

  package struct Drop: Sendable, Equatable {
    package var before: Copy
    package var after: Copy
  }

  /// - Parameters:
  ///   - copies: full copies of one kind, in order.
  ///   - known: the times of removals that are reported anyway.
  package static func find(_ copies: [Copy], known: [Instant]) -> [Drop] {
    zip(copies, copies.dropFirst()).compactMap { before, after in
      let isOfKeys = before.keys >= 2 && after.keys < (before.keys + 1) / 2
      guard before.entries >= LogSearch.entriesMin || isOfKeys else { return nil }
      guard isOfKeys || after.entries < (before.entries + 1) / 2 else { return nil }
      // A copy's time is a whole second.
      let end = after.at.advanced(byMilliseconds: 1000)
      guard !known.contains(where: { before.at <= $0 && $0 <= end }) else { return nil }
      return Drop(before: before, after: after)
    }
  }
}
