/// Which part of a history is kept.
package struct RetentionPolicy: Sendable, Equatable {
  /// Every mark of a log of the last this many milliseconds is a restore point.
  package var keepWithin: Int64
  /// For dumps without a log: all dumps of the last day are kept. For this many milliseconds, the last one of
  /// each hour is kept, and before that, as long as `keepWithin` lasts, the last one of each day.
  package var keepHourly: Int64
  /// Before `keepWithin`, the last restore point of each of this many days (UTC) is kept.
  package var keepDaily: Int

  package init(
    keepWithin: Int64 = 7 * RetentionPolicy.day, keepHourly: Int64 = 7 * RetentionPolicy.day,
    keepDaily: Int = 30
  ) {
    self.keepWithin = keepWithin
    self.keepHourly = keepHourly
    self.keepDaily = keepDaily
  }

  /// How many dumps without a log are kept if one is saved every `interval` milliseconds.
  package func dumpsKept(savedEvery interval: Int64) -> Int64 {
    let hourly = max(0, keepHourly - RetentionPolicy.day)
    return (RetentionPolicy.grace + RetentionPolicy.day) / interval
      + hourly / max(interval, RetentionPolicy.hour)
      + max(0, keepWithin - max(keepHourly, RetentionPolicy.day)) / RetentionPolicy.day
      + Int64(keepDaily)
  }

  package static let hour: Int64 = 3_600_000
  package static let day: Int64 = 86_400_000
  /// Objects that were kept this long ago, by the store's clock, are still kept, so that a reader that
  /// planned with them can use them.
  package static let grace: Int64 = day
  /// An unfinished upload is kept for this long after its last object, by the store's clock. A shipper
  /// continues only uploads that are younger than `continues`, so it never continues one that is being
  /// deleted.
  package static let unfinished: Int64 = 8 * day
  package static let continues: Int64 = 3 * day
  /// A shipper uses a generation of an earlier timeline for this long after its claim. Retention keeps it for
  /// a grace period.
  package static let reuses: Int64 = grace / 2
  /// An announced run is due after a grace period, and expires after this time.
  package static let announcementEnds: Int64 = 3 * grace
  /// How many dumps are kept beside a live chain, which has all data. The dumps are for servers that run
  /// without AOF.
  package static let dumpsBesideChain = 2
}
