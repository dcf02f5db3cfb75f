package import BackupFormat
package import BackupTypes
package import RedisFormats

/// A reading of a log that is needed to cut it to the second.
package struct SecondQuestion: Sendable, Hashable {
  /// Whose chain is read.
  package var snapshot: SnapshotKey
  /// A cut that is known to be not after the wanted second, and a time at which its state existed.
  package var from: LogPosition
  package var fromAt: Instant
  /// How many objects before that of `from` are read, too: the last annotation in them applies to the
  /// commands after it.
  package var margin: Int
  package var at: Instant
  /// The annotation before `from`, if it is known.
  package var annotated: Instant?
}

/// Reads a log with `#TS:` annotations up to the first one of a later second than the wanted one.
package struct SecondReading: Sendable {
  private let question: SecondQuestion
  private let chain: Snapshot.Chain?
  /// The position after the last command of the requested second, as far as it was read. Nil if the log does
  /// not show it.
  package private(set) var cut: LogPosition?
  /// The last annotation not after the requested second; nil if there is none.
  package private(set) var annotated: Instant?
  /// Something of a later second was found, so nothing is missing.
  package private(set) var isExact = false
  /// The log continued for long after its last annotation: either the server stopped writing annotations,
  /// or this is the beginning of a large transaction.
  package private(set) var isDoubtful = false
  /// An annotation of a later second was found, but there is none before the commands in front of it.
  package private(set) var isUndated = false

  private var lastCut: LogPosition
  private var seenAt: Instant?
  private var isSilent = false
  /// Whether there is a command after the cut and after the last annotation.
  private var hasMore = false

  /// If a log continued for longer than this after its last annotation, the server had stopped writing
  /// annotations; in milliseconds.
  private static let gapMax: Int64 = 10_000

  package init(_ question: SecondQuestion, _ snapshot: Snapshot) {
    self.question = question
    chain = snapshot.chain
    annotated = question.annotated
    lastCut = question.from
  }

  /// Takes the next event of the log, in order.
  /// - Parameters:
  ///   - seenAt: when the file was seen to contain it.
  ///   - isCut: whether the event is outside a transaction.
  /// - Returns: whether to read on.
  package mutating func take(
    _ event: AOFCommandReader.Event, at place: LogPosition, seenAt: Instant, isCut: Bool
  ) -> Bool {
    if isCut { lastCut = place }
    if case .timestamp(let seconds, _) = event {
      let second = Instant(seconds: seconds)
      guard second <= question.at else {
        take(later: second)
        return false
      }
      annotated = second
      hasMore = false
    } else if !hasMore, order(place) >= order(question.from) {
      hasMore = true
    } else if annotated == nil, let last = self.seenAt, seenAt > last,
      last.since(question.at) > SecondReading.gapMax
    {
      // A whole object from a time so long afterwards has no annotation, so the server does not write any.
      isSilent = true
      return false
    }
    self.seenAt = seenAt
    return true
  }

  private mutating func take(later second: Instant) {
    if hasMore, !isDated(until: second) {
      isSilent = true
      isUndated = annotated == nil
    } else {
      cut = lastCut
      isExact = true
    }
  }

  /// Call this after the log was read to its end, or as far as requested.
  /// - Parameter end: the last end of an object after which a command may begin.
  package mutating func finish(_ end: LogPosition?) {
    guard !isSilent, !isExact, let end, let seenAt else { return }
    // Until its first annotation, a log is still in the second in which it began.
    isDoubtful = annotated.map { seenAt.since($0) >= SecondReading.gapMax } ?? false
    cut = order(end) < order(question.from) ? question.from : end
  }

  /// Whether annotations say when the commands between the cut and the annotation of `next` were executed.
  ///
  /// An annotation gives the time of the commands after it. Commands before it belong to the second of the
  /// annotation before them, if the server wrote annotations then. For example, annotations were switched on
  /// after an accident. Nothing says when the accident happened, and it may have been after the requested
  /// time. A file begins without an annotation for at most a second: the last one of the file before it.
  private func isDated(until next: Instant) -> Bool {
    guard let seenAt else { return true }
    if let annotated {
      // If they were seen together with `next`, there is no sign of a pause between them.
      return seenAt >= next || seenAt.since(annotated) <= SecondReading.gapMax
    }
    let last = seenAt < next ? seenAt : next.advanced(byMilliseconds: 1000)
    return last.since(question.fromAt) <= 3000
  }

  private func order(_ position: LogPosition) -> (segment: Int, offset: UInt64) {
    chain?.order(of: position) ?? (0, position.offset)
  }
}
