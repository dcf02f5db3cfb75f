/// Which part of a history is kept.
package struct RetentionPolicy: Sendable, Equatable {
  /// Every mark of the last this many milliseconds is a restore point.
  package var keepWithin: Int64
  /// Before that, the last restore point of each of this many days (UTC) is kept.
  package var keepDaily: Int

  package init(keepWithin: Int64 = 7 * RetentionPolicy.day, keepDaily: Int = 30) {
    self.keepWithin = keepWithin
    self.keepDaily = keepDaily
  }

  package static let day: Int64 = 86_400_000
  /// Anything that was kept this long ago, by the store's clock, still is, so that a reader that planned
  /// with it can use it.
  package static let grace: Int64 = day
  /// An announced run is due after a grace period, and expires after this time.
  package static let announcementEnds: Int64 = 3 * grace
  /// How many dumps are kept beside a live chain, which has everything. They are for servers that run
  /// without AOF.
  package static let dumpsBesideChain = 2
}
