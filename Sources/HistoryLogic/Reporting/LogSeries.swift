package import BackupTypes

/// How much log there was over time, and how long it took from Redis's file to the store.
package struct LogSeries: Sendable, Equatable, Encodable {
  package struct Bucket: Sendable, Equatable, Encodable {
    /// Where it begins.
    @Stamped package var at: Instant
    package var objects: Int
    /// Of Redis's file.
    package var bytes: UInt64
    /// The bytes of the objects in the store.
    package var storedBytes: UInt64
    /// The longest time from a mark to the durable object that contains it, in milliseconds.
    package var lagMax: Int64?
    package init(
      at: Instant, objects: Int = 0, bytes: UInt64 = 0, storedBytes: UInt64 = 0,
      lagMax: Int64? = nil
    ) {
      self.at = at
      self.objects = objects
      self.bytes = bytes
      self.storedBytes = storedBytes
      self.lagMax = lagMax
    }
  }

  /// The maximum number of buckets with content. If there would be more, buckets get wider.
  package static let bucketsMax = 360
  /// The maximum number of buckets from the first to the last, including empty ones. A drawing can't show
  /// more.
  package static let columnsMax = 240
  /// Each width divides the next one, so that buckets can be merged.
  private static let widths: [Int64] = [
    1000, 5000, 15_000, 60_000, 300_000, 900_000, 3_600_000, 10_800_000, 21_600_000, 43_200_000,
    86_400_000, 604_800_000, 2_419_200_000, 31_449_600_000, 3_144_960_000_000,
  ]

  package private(set) var bucketSeconds: Int64 = 1
  package var buckets: [Bucket] { values.sorted { $0.key < $1.key }.map(\.value) }
  private var values: [Int64: Bucket] = [:]

  package init() {}

  private enum CodingKeys: String, CodingKey { case bucketSeconds, buckets }
  package func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(bucketSeconds, forKey: .bucketSeconds)
    try container.encode(buckets, forKey: .buckets)
  }

  package mutating func add(
    at instant: Instant, bytes: UInt64, storedBytes: UInt64, lag: Int64?
  ) {
    let width = bucketSeconds * 1000
    add(
      Bucket(at: instant, objects: 1, bytes: bytes, storedBytes: storedBytes, lagMax: lag), width)
    while values.count > LogSeries.bucketsMax, widen() {}
  }

  /// Widens the buckets to what one drawing can show.
  package mutating func fit() {
    while let first = values.keys.min(), let last = values.keys.max(),
      last.subtractingReportingOverflow(first).partialValue / (bucketSeconds * 1000)
        > Int64(LogSeries.columnsMax), widen()
    {}
  }

  private mutating func widen() -> Bool {
    guard let wider = LogSeries.widths.first(where: { $0 > bucketSeconds * 1000 }) else {
      return false
    }
    let old = values.values
    bucketSeconds = wider / 1000
    values = [:]
    for bucket in old { add(bucket, wider) }
    return true
  }

  private mutating func add(_ bucket: Bucket, _ width: Int64) {
    let time = bucket.at.milliseconds
    let (start, overflow) = time.subtractingReportingOverflow((time % width + width) % width)
    // Only forged names have such times.
    guard !overflow else { return }
    var sum = values[start] ?? Bucket(at: Instant(milliseconds: start))
    sum.objects += bucket.objects
    sum.bytes &+= bucket.bytes
    sum.storedBytes &+= bucket.storedBytes
    if let lag = bucket.lagMax { sum.lagMax = max(lag, sum.lagMax ?? lag) }
    values[start] = sum
  }
}

extension ObjectTimes {
  /// The series from the names of log objects and the store's times.
  ///
  /// An object that covers others is a fold: its bytes count once, and its time says nothing about a lag. The
  /// same is true of a fold whose parts were deleted. It is recognised because log becomes durable in order:
  /// an object that is newer than the one after it was written again.
  package var logSeries: LogSeries {
    var series = LogSeries()
    for objects in logs.values {
      let sorted = objects.sorted { ($0.from, $1.to) < ($1.from, $0.to) }
      var reach: UInt64 = 0
      for (index, object) in sorted.enumerated() where object.mark > 0 {
        let isCovered = object.to <= reach
        var lag: Int64? = max(0, object.lag)
        if !isCovered {
          if index + 1 < sorted.count, sorted[index + 1].to <= object.to { lag = nil }
          let next = sorted[(index + 1)...].first { $0.from >= object.to }
          if let next, isWrittenAgain(object, before: next) { lag = nil }
        }
        let new = isCovered ? 0 : object.to - max(reach, object.from)
        reach = max(reach, object.to)
        series.add(
          at: Instant(milliseconds: object.mark), bytes: new,
          storedBytes: UInt64(clamping: object.size), lag: lag)
      }
    }
    series.fit()
    return series
  }

  /// Some stores give times in whole seconds only. Then it is decided by whether the next object was written
  /// promptly.
  private func isWrittenAgain(_ object: LogObject, before next: LogObject) -> Bool {
    if object.modified != next.modified { return object.modified > next.modified }
    return next.mark > 0 && next.lag < 5000
      && Instant(milliseconds: next.modified).since(Instant(milliseconds: object.mark)) >= 5000
  }
}
