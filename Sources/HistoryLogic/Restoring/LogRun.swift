package import BackupFormat
package import BackupTypes

/// The objects of one log that a reader uses from an offset on, up to the first hole: at each position p, of
/// the objects with `from` ≤ p < `to`, the one that extends furthest.
///
/// `HistoryIndex` makes one for each log, and gives parts of it. Every question about it is a binary search.
package struct LogRun: Sendable {
  /// A place at the end of an object where the log can be cut.
  package struct Mark: Sendable, Equatable {
    package var offset: UInt64
    /// When the file had reached it. Never earlier than the time of the mark before it.
    package var time: Instant
  }

  package let from: UInt64
  /// In order. Each begins at or before the end of the previous one, and extends further.
  package let spans: ArraySlice<LogSpan>
  package let marks: Marks
  /// The number of objects after the hole that ends the run. They do not count, and a reader reports them.
  package let objectsBehindHole: Int

  package init(_ spans: [LogSpan], from: UInt64) { self.init(SortedLog(spans), from: from) }

  /// Sorted by `from`; of objects with the same `from`, the longest first.
  static func sorted(_ spans: [LogSpan]) -> [LogSpan] {
    spans.sorted { ($0.from, $1.to) < ($1.from, $0.to) }
  }

  /// - Parameter limit: nothing after this offset is needed.
  init(_ log: SortedLog, from: UInt64, upTo limit: UInt64? = nil) {
    let spans = log.objects(from: from, upTo: limit)
    self.init(
      from: from, spans: spans, marks: Marks(of: spans),
      objectsBehindHole: log.count(behind: spans.last?.to ?? from))
  }

  private init(from: UInt64, spans: ArraySlice<LogSpan>, marks: Marks, objectsBehindHole: Int) {
    self.from = from
    self.spans = spans
    self.marks = marks
    self.objectsBehindHole = objectsBehindHole
  }

  /// The run from a later offset, which shares the memory of this one. Nil if that run consists of other
  /// objects.
  /// - Parameter log: the log that this run was made from.
  func suffix(from offset: UInt64, of log: SortedLog) -> LogRun? {
    guard offset >= from, offset < end else { return nil }
    let first = spans.partitioningIndex { $0.to > offset }
    guard log.object(at: offset) == spans[first] else { return nil }
    let mark = marks.partitioningIndex { $0.offset >= spans[first].to }
    // The time of a mark is never earlier than that of the mark before it, and that mark may not be in the
    // other run.
    if mark > marks.startIndex, mark < marks.endIndex {
      guard spans[first...].first(where: { $0.mark != nil })?.mark == marks[mark].time else {
        return nil
      }
    }
    return LogRun(
      from: offset, spans: spans[first...], marks: marks[mark...],
      objectsBehindHole: objectsBehindHole)
  }

  /// The position after its last byte.
  package var end: UInt64 { spans.last?.to ?? from }

  /// The last mark at or before `limit`.
  package func last(notBeyond limit: UInt64) -> Mark? {
    let index = marks.partitioningIndex { $0.offset > limit }
    return index > marks.startIndex ? marks[index - 1] : nil
  }

  package func slice(upTo limit: UInt64?) -> LogSlice { LogSlice(self, upTo: limit) }
}

extension LogRun {
  /// The marks of a run, in order.
  package enum Marks: RandomAccessCollection, Sendable {
    /// Every object has a mark, and no time goes back. Nearly always, so that no memory is needed for them.
    case ofEach(ArraySlice<LogSpan>)
    case made(ArraySlice<Mark>)

    init(of spans: ArraySlice<LogSpan>) {
      var last = Instant(milliseconds: .min)
      let isOfEach = spans.allSatisfy { span in
        guard let time = span.mark, time >= last else { return false }
        last = time
        return true
      }
      if isOfEach {
        self = .ofEach(spans)
        return
      }
      var marks: [Mark] = []
      for span in spans {
        guard let time = span.mark else { continue }
        marks.append(Mark(offset: span.to, time: Swift.max(time, marks.last?.time ?? time)))
      }
      self = .made(marks[...])
    }

    package var startIndex: Int {
      switch self {
      case .ofEach(let spans): spans.startIndex
      case .made(let marks): marks.startIndex
      }
    }
    package var endIndex: Int {
      switch self {
      case .ofEach(let spans): spans.endIndex
      case .made(let marks): marks.endIndex
      }
    }
    package subscript(index: Int) -> Mark {
      switch self {
      case .ofEach(let spans): Mark(offset: spans[index].to, time: spans[index].mark!)
      case .made(let marks): marks[index]
      }
    }
    package subscript(bounds: Range<Int>) -> Marks {
      switch self {
      case .ofEach(let spans): .ofEach(spans[bounds])
      case .made(let marks): .made(marks[bounds])
      }
    }
  }
}

/// The objects of one log, sorted once for all runs.
struct SortedLog: Sendable {
  /// Sorted by `from`; of objects with the same `from`, the longest first. Shared with the listing, if that is
  /// sorted.
  let spans: [LogSpan]
  /// Of the objects up to each index, the one that extends furthest; of several, the first. Nil if no object
  /// overlaps another: then it is each one itself.
  private let furthest: [Int]?

  init(_ listed: [LogSpan]) {
    let sorted = listed.followEachOther ? listed : LogRun.sorted(listed)
    spans = sorted
    guard !sorted.followEachOther else {
      furthest = nil
      return
    }
    var best = 0
    furthest = sorted.indices.map { index in
      if sorted[index].to > sorted[best].to { best = index }
      return best
    }
  }

  /// The objects that a reader uses from `position` on, up to a hole or to `limit`.
  func objects(from position: UInt64, upTo limit: UInt64?) -> ArraySlice<LogSpan> {
    func isEnough(_ reached: UInt64) -> Bool { limit.map { reached >= $0 } ?? false }
    guard furthest == nil else {
      var chosen: [LogSpan] = []
      while !isEnough(chosen.last?.to ?? position),
        let best = object(at: chosen.last?.to ?? position)
      { chosen.append(best) }
      return chosen[...]
    }
    let first = spans.partitioningIndex { $0.to > position }
    guard !isEnough(position), first < spans.endIndex, spans[first].from <= position else {
      return []
    }
    let last = spans[first...].indices.first { index in
      index + 1 == spans.endIndex || spans[index + 1].from != spans[index].to
        || isEnough(spans[index].to)
    }
    return spans[first...last!]
  }

  /// The object that a reader uses at `position`. Nil if there is a hole, or the end of the log.
  func object(at position: UInt64) -> LogSpan? {
    let after = spans.partitioningIndex { $0.from > position }
    guard after > 0 else { return nil }
    let best = spans[furthest?[after - 1] ?? after - 1]
    return best.to > position ? best : nil
  }

  /// How many begin after `position`.
  func count(behind position: UInt64) -> Int {
    spans.count - spans.partitioningIndex { $0.from > position }
  }
}

/// The part of a run that a segment of a chain needs. Its last object may extend past the limit.
package struct LogSlice: Sendable {
  package let run: LogRun
  package let limit: UInt64?
  private let spansEnd: Int
  private let marksEnd: Int

  init(_ run: LogRun, upTo limit: UInt64?) {
    self.run = run
    self.limit = limit
    guard let limit else {
      (spansEnd, marksEnd) = (run.spans.endIndex, run.marks.endIndex)
      return
    }
    let enough = run.spans.partitioningIndex { $0.to >= limit }
    spansEnd = limit <= run.from ? run.spans.startIndex : min(run.spans.endIndex, enough + 1)
    marksEnd = run.marks.partitioningIndex { $0.offset > limit }
  }

  package var spans: ArraySlice<LogSpan> { run.spans[..<spansEnd] }
  /// The marks that are not beyond the limit.
  package var marks: LogRun.Marks { run.marks[..<marksEnd] }
  /// The end of the contiguous bytes.
  package var reached: UInt64 { spans.last?.to ?? run.from }
  /// Whether nothing is missing up to the limit.
  package var isWhole: Bool { limit.map { reached >= $0 } ?? true }
  /// Whether the last object extends past the limit, because a successor continued from inside it.
  package var isCrossed: Bool { limit.map { reached > $0 } ?? false }
  package var objectsBehindHole: Int { limit != nil && isWhole ? 0 : run.objectsBehindHole }
}

extension [LogSpan] {
  /// Whether each begins at or after the end of the one before it. A listing is sorted, and a shipper's objects
  /// follow each other, so most logs are like this.
  var followEachOther: Bool {
    var end: UInt64 = 0
    return allSatisfy { span in
      defer { end = span.to }
      return span.from >= end
    }
  }
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
