/// What of a history is kept.
package struct RetentionPolicy: Sendable, Equatable {
  /// Every mark of the last so many milliseconds is a restore point.
  package var keepWithin: Int64
  /// Before that, the last restore point of each of so many days (UTC).
  package var keepDaily: Int

  package init(keepWithin: Int64 = 7 * RetentionPolicy.day, keepDaily: Int = 30) {
    self.keepWithin = keepWithin
    self.keepDaily = keepDaily
  }

  package static let day: Int64 = 86_400_000
  /// Whatever was kept so long ago, by the store's clock, still is: whoever planned with it has as long.
  package static let grace: Int64 = day
  /// A run that was announced is due a grace later, and lapses after so long.
  package static let announcementEnds: Int64 = 3 * grace
  /// Dumps that are kept beside a live chain, which has everything: they are for servers that run without
  /// AOF.
  package static let dumpsBesideChain = 2
}
