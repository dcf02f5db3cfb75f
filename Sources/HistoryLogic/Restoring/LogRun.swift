package import BackupFormat
package import BackupTypes

/// The objects that a reader takes of one log from an offset on, up to the first hole: at each position p,
/// of the objects with `from` ≤ p < `to`, the one that extends furthest.
///
/// `HistoryIndex` makes it once for each offset. Every question about it is a binary search.
package struct LogRun: Sendable {
  /// A place at the end of an object where the log can be cut.
  package struct Mark: Sendable, Equatable {
    package var offset: UInt64
    /// When the file had reached it. Never before the mark before it.
    package var time: Instant
  }

  package let from: UInt64
  /// In order. Each begins at or before the end of the previous one, and extends further.
  package let spans: [LogSpan]
  package let marks: [Mark]
  /// The number of objects after the hole that ends the run. They do not count, and a reader reports them.
  package let objectsBehindHole: Int

  package init(_ spans: [LogSpan], from: UInt64) {
    self.init(sorted: LogRun.sorted(spans), from: from)
  }

  /// By `from`, and of those with the same the longest first.
  static func sorted(_ spans: [LogSpan]) -> [LogSpan] {
    spans.sorted { ($0.from, $1.to) < ($1.from, $0.to) }
  }

  init(sorted: [LogSpan], from: UInt64) {
    var (position, index) = (from, 0)
    var chosen: [LogSpan] = []
    var marks: [Mark] = []
    while true {
      var best: LogSpan?
      while index < sorted.count, sorted[index].from <= position {
        if sorted[index].to > max(position, best?.to ?? 0) { best = sorted[index] }
        index += 1
      }
      guard let best else { break }
      chosen.append(best)
      position = best.to
      if let time = best.mark {
        marks.append(Mark(offset: best.to, time: max(time, marks.last?.time ?? time)))
      }
    }
    self.from = from
    self.marks = marks
    objectsBehindHole = sorted[index...].count { $0.to > position }
    spans = chosen
  }

  /// The position after its last byte.
  package var end: UInt64 { spans.last?.to ?? from }

  /// The last mark at or before `limit`.
  package func last(notBeyond limit: UInt64) -> Mark? {
    let index = marks.partitioningIndex { $0.offset > limit }
    return index > 0 ? marks[index - 1] : nil
  }

  package func slice(upTo limit: UInt64?) -> LogSlice { LogSlice(self, upTo: limit) }
}

/// The part of a run that a segment of a chain needs. Its last object may extend past the limit.
package struct LogSlice: Sendable {
  package let run: LogRun
  package let limit: UInt64?
  private let spanCount: Int
  private let markCount: Int

  init(_ run: LogRun, upTo limit: UInt64?) {
    self.run = run
    self.limit = limit
    guard let limit else {
      (spanCount, markCount) = (run.spans.count, run.marks.count)
      return
    }
    let enough = run.spans.partitioningIndex { $0.to >= limit }
    spanCount = limit <= run.from ? 0 : min(run.spans.count, enough + 1)
    markCount = run.marks.partitioningIndex { $0.offset > limit }
  }

  package var spans: ArraySlice<LogSpan> { run.spans[..<spanCount] }
  /// Those not beyond the limit.
  package var marks: ArraySlice<LogRun.Mark> { run.marks[..<markCount] }
  /// The end of the contiguous bytes.
  package var reached: UInt64 { spans.last?.to ?? run.from }
  /// Nothing is missing up to the limit.
  package var isWhole: Bool { limit.map { reached >= $0 } ?? true }
  /// The last object extends past the limit: a successor continued from inside it.
  package var isCrossed: Bool { limit.map { reached > $0 } ?? false }
  package var objectsBehindHole: Int { limit != nil && isWhole ? 0 : run.objectsBehindHole }
}

extension RandomAccessCollection where Index == Int {
  /// The first index whose element satisfies `predicate`, which holds for all elements after it, too;
  /// `endIndex` if none does.
  package func partitioningIndex(where predicate: (Element) -> Bool) -> Int {
    var (low, high) = (startIndex, endIndex)
    while low < high {
      let middle = low + (high - low) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
