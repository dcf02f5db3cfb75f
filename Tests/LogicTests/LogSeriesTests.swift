import BackupFormat
import BackupTypes
import HistoryLogic
import TestSupport
import Testing

/// Lag and bytes over time, computed from the names and times of a listing.
@Suite struct LogSeriesTests {
  private func times(_ objects: [(LogSpan, modified: Int64)]) -> ObjectTimes {
    var times = ObjectTimes()
    for (span, modified) in objects {
      times.add(.log(.first, ordinal: 1, span), 50, at(modified))
    }
    return times
  }

  @Test func `the lag is from the mark to the durable object, the longest of a bucket`() {
    let series = times([
      (span(0, 10, at: 10_000), 10_400), (span(10, 20, at: 10_500), 12_000),
      (span(20, 30, at: 15_000), 14_000),
    ]).logSeries
    #expect(series.bucketSeconds == 1)
    #expect(series.buckets.map(\.lagMax) == [1500, 0])
    #expect(series.buckets.map(\.bytes) == [20, 10])
    #expect(series.buckets.map(\.storedBytes) == [100, 50])
  }

  @Test func `a fold is no lag, and its bytes count once`() {
    // The fold is beside its parts.
    var series = times([
      (span(0, 10, at: 10_000), 10_400), (span(10, 20, at: 11_000), 11_300),
      (span(0, 20, at: 11_000), 900_000),
    ]).logSeries
    #expect(series.buckets.reduce(0) { $0 + $1.bytes } == 20)
    #expect(series.buckets.compactMap(\.lagMax).max() == 400)
    // The fold is alone, and was written after the object that follows it.
    series =
      times([
        (span(0, 20, at: 11_000), 900_000), (span(20, 30, at: 899_000), 899_500),
      ]).logSeries
    #expect(series.buckets.compactMap(\.lagMax) == [500])
    // A store whose times are whole seconds.
    series =
      times([
        (span(0, 20, at: 11_000), 899_000), (span(20, 30, at: 898_700), 899_000),
      ]).logSeries
    #expect(series.buckets.compactMap(\.lagMax) == [300])
  }

  @Test func `a store that tells any time at all makes a lag, and no trap`() {
    for time in [Int64.min, .max] {
      let series = times([
        (span(0, 10, at: 10_000), time), (span(10, 20, at: 11_000), 0 &- time),
        (span(20, 30, at: 12_000), time),
      ]).logSeries
      #expect(series.buckets.reduce(0) { $0 + $1.bytes } == 30, "\(time)")
    }
  }

  @Test func `an hour without the store is a lag of an hour`() {
    let series = times(
      (0..<60).map { step in
        let from = UInt64(step) * 10
        return (span(from, from + 10, at: Int64(step) * 60_000 + 1000), 3_600_000)
      }
    ).logSeries
    #expect(series.buckets.compactMap(\.lagMax).max() == 3_599_000)
  }

  @Test func `whatever there is, it is bounded, and nothing is lost`() async {
    let (first, count) = seeds(default: 20)
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      var random = SeededRandom(seed: seed)
      var series = LogSeries()
      let reach = [Int64(1000), 1_000_000, 1_000_000_000, 4_000_000_000_000].randomElement(
        using: &random)!
      for _ in 0..<5000 {
        series.add(
          at: at(Int64.random(in: -reach...reach, using: &random)), bytes: 3, storedBytes: 2, lag: 1
        )
      }
      series.fit()
      #expect(series.buckets.count <= LogSeries.bucketsMax, "seed \(seed)")
      #expect(series.buckets.reduce(0) { $0 + $1.bytes } == 15_000, "seed \(seed)")
      #expect(series.buckets.reduce(0) { $0 + $1.objects } == 5000, "seed \(seed)")
    }
  }

  @Test func `times at the ends of what can be told trap nothing`() {
    var series = LogSeries()
    for time in [Int64.min, .max, 0, -1] {
      series.add(at: at(time), bytes: .max, storedBytes: .max, lag: .max)
    }
    series.fit()
    #expect(!series.buckets.isEmpty)
  }

  @Test func `windows that touch are one, and the smallest gaps close first`() async {
    let (first, count) = seeds(default: 200)
    for seed in first..<first + count {
      await Task.yield()  // tests that wait need a thread
      var random = SeededRandom(seed: seed)
      var union = WindowUnion()
      var isInside = [Bool](repeating: false, count: 200)
      for _ in 0..<random.int(1...20) {
        let from = random.int(0...180)
        let to = random.int(from...min(199, from + 20))
        union.add(at(Int64(from)), at(Int64(to)))
        for place in from...to { isInside[place] = true }
      }
      for place in 0..<200 {
        let found = union.spans.contains {
          $0.from <= at(Int64(place)) && at(Int64(place)) <= $0.to
        }
        #expect(found == isInside[place], "seed \(seed): \(place)")
      }
      #expect(union.spans == union.spans.sorted { $0.from < $1.from }, "seed \(seed)")
      let closed = union.closed(to: 3)
      #expect(closed.count == min(3, union.spans.count), "seed \(seed)")
      #expect(closed.first?.from == union.spans.first?.from, "seed \(seed)")
      #expect(closed.last?.to == union.spans.last?.to, "seed \(seed)")
    }
  }
}
