package import BackupFormat
package import BackupTypes

/// Finds, between consecutive full copies, what is half gone: the only trace where there is no log, or
/// where something removed data that the search of a log does not call a drop.
package enum CopyDrops {
  /// A full copy of one kind, dumps or BASEs.
  package struct Copy: Sendable, Equatable {
    package var at: Instant
    package var keys: UInt64
    package var entries: UInt64
    /// The restore point that has just it.
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
  ///   - copies: of one kind, in order.
  ///   - known: when something was removed that is told of in any case.
  package static func find(_ copies: [Copy], known: [Instant]) -> [Drop] {
    zip(copies, copies.dropFirst()).compactMap { before, after in
      let isOfKeys = before.keys >= 2 && after.keys < (before.keys + 1) / 2
      guard before.entries >= LogSearch.entriesMin || isOfKeys else { return nil }
      guard isOfKeys || after.entries < (before.entries + 1) / 2 else { return nil }
      // A copy's time is a second.
      let end = after.at.advanced(byMilliseconds: 1000)
      guard !known.contains(where: { before.at <= $0 && $0 <= end }) else { return nil }
      return Drop(before: before, after: after)
    }
  }
}
