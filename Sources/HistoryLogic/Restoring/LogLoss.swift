package import BackupFormat
package import BackupTypes

/// The first part of a chain's log that was durable and is now missing. Nothing after it in the chain
/// can be restored.
package struct LogLoss: Sendable, Equatable {
  /// The log of `file`, which is the name that the server gave it.
  package var timeline: TimelineNumber
  package var ordinal: Int
  package var file: String
  /// The missing bytes of that file, [from, to).
  package var from: UInt64
  package var to: UInt64
  /// The time of the last state before it.
  package var since: Instant
  /// The last known time that can't be restored because of it.
  package var until: Instant

  package var position: LogPosition {
    LogPosition(timeline: timeline, ordinal: ordinal, offset: from)
  }
  /// The prefix of the names of the missing objects.
  package var object: String {
    ObjectPath.log(timeline, ordinal: ordinal) + decimal(from, width: LogSpan.offsetDigits) + "-"
  }
  /// Describes in one phrase what is missing.
  package var what: String {
    "the bytes \(from) to \(to) of \(printable(file)) (timeline \(timeline), objects \(object)...)"
  }

  /// Whether `chain` contains some of the missing bytes, or bytes after them in the same file.
  package func isIn(_ chain: Snapshot.Chain) -> Bool {
    chain.files.flatMap(\.segments).contains {
      $0.timeline == timeline && $0.ordinal == ordinal && ($0.to ?? .max) > from
    }
  }
}

/// Finds the missing parts of the logs of chains. The records that name a log say how far it was durable.
package struct LossFinder: Sendable {
  private struct Log: Hashable {
    var timeline: TimelineNumber
    var ordinal: Int
  }
  private struct Reach {
    var end: UInt64
    var isFollowed: Bool
  }

  private let history: History
  /// How far a log was durable according to any of the records.
  private var known: [Log: UInt64] = [:]

  /// - Parameter snapshots: at least the snapshots in question. Others may have more information about the
  ///   same logs.
  package init(_ history: History, snapshots: some Sequence<Snapshot>) {
    self.history = history
    for snapshot in snapshots {
      for segment in (snapshot.chain?.files ?? []).flatMap(\.segments) {
        let log = Log(timeline: segment.timeline, ordinal: segment.ordinal)
        let isOpen = segment == snapshot.chain?.openSegment
        let end = segment.to ?? (isOpen ? snapshot.reached : nil) ?? 0
        known[log] = max(end, known[log] ?? 0)
      }
    }
  }

  /// How far the log of a span was durable.
  package func durableEnd(of segment: Snapshot.Segment, in snapshot: Snapshot) -> UInt64 {
    if let to = segment.to { return to }
    let log = Log(timeline: segment.timeline, ordinal: segment.ordinal)
    return max(history.durableEnd(of: segment, in: snapshot), known[log] ?? 0)
  }

  /// What the chains of `snapshots` have lost, each loss once, in the order of the log.
  package static func losses(of snapshots: some Collection<Snapshot>, in history: History)
    -> [LogLoss]
  {
    let finder = LossFinder(history, snapshots: snapshots)
    var found: [LogPosition: LogLoss] = [:]
    // Of the snapshots with a loss, the newest has the most information about it.
    for snapshot in snapshots.sorted(by: { $0.key < $1.key }) where snapshot.primary == .aof {
      if let loss = finder.loss(of: snapshot) { found[loss.position] = loss }
    }
    return found.sorted { $0.key < $1.key }.map(\.value)
  }

  /// The first loss in the snapshot's chain; nil if its log is complete.
  package func loss(of snapshot: Snapshot) -> LogLoss? {
    let files = snapshot.chain?.files ?? []
    for (number, file) in files.enumerated() {
      for (index, segment) in file.segments.enumerated() {
        let reach = reach(of: segment)
        let end = durableEnd(of: segment, in: snapshot)
        guard reach.end < end || (segment.to == nil && reach.isFollowed) else { continue }
        if reach.end < end, isBehindEnd(segment, from: reach.end, to: end) { continue }
        let behind = Array(file.segments[index...]) + files[(number + 1)...].flatMap(\.segments)
        return loss(in: segment, of: file.file, from: reach.end, to: end, snapshot, behind)
      }
    }
    return nil
  }

  /// The loss directly after `point`: its log continued there, and is missing.
  package func loss(rightBehind point: RestorePoint) -> LogLoss? {
    guard let chain = point.snapshot.chain, let cut = point.cut,
      let loss = loss(of: point.snapshot),
      chain.order(of: cut) <= chain.order(of: loss.position)
    else { return nil }
    let last = history.chain(of: point.snapshot).last
    if let last, chain.order(of: last.position) > chain.order(of: cut) { return nil }
    return loss
  }

  private func reach(of segment: Snapshot.Segment) -> Reach {
    let log = history.log(of: segment.timeline, ordinal: segment.ordinal, from: segment.from)
    return Reach(end: log.reached, isFollowed: log.objectsBehindHole > 0)
  }

  /// Log after the end that a successor's claim gives does not exist for a reader, but it is not lost.
  private func isBehindEnd(_ segment: Snapshot.Segment, from: UInt64, to end: UInt64) -> Bool {
    guard history.end(of: segment.timeline) != nil else { return false }
    let spans = history.catalogue.timelines[segment.timeline]?.log[segment.ordinal] ?? []
    return LogRun(spans.filter { $0.from >= from }, from: from).end >= end
  }

  private func loss(
    in segment: Snapshot.Segment, of file: String, from: UInt64, to end: UInt64,
    _ snapshot: Snapshot, _ behind: [Snapshot.Segment]
  ) -> LogLoss {
    let finder = PointFinder(history: history, timeline: snapshot.timeline, snapshots: [:])
    let since =
      history.chain(of: snapshot).last?.time ?? finder.start(of: snapshot)?.instant ?? snapshot.at
    // Objects after the hole still exist. Their names give the times of the log that can't be restored
    // because of the hole.
    var until = max(since, snapshot.at)
    var next: UInt64?
    for one in behind {
      let spans = history.catalogue.timelines[one.timeline]?.log[one.ordinal] ?? []
      for span in spans where one != segment || span.from > from {
        if let mark = span.mark { until = max(until, mark) }
        if one == segment { next = min(span.from, next ?? span.from) }
      }
    }
    let to = next.map { from < end ? min($0, end) : $0 } ?? end
    return LogLoss(
      timeline: segment.timeline, ordinal: segment.ordinal, file: file, from: from, to: to,
      since: since, until: until)
  }
}

extension PointFinder {
  /// The first complete state of `snapshot` after a loss. Nil if its chain needs the lost log, or has nothing
  /// after it.
  package func firstState(of snapshot: Snapshot, behind loss: LogLoss) -> RestorePoint? {
    guard !history.isQuarantined(snapshot), let chain = snapshot.chain, snapshot.primary == .aof
    else { return newest(of: snapshot) }
    guard !loss.isIn(chain) else { return nil }
    let goesOn = chain.files.flatMap(\.segments).contains {
      $0.timeline == loss.timeline && $0.ordinal == loss.ordinal
    }
    if !goesOn, chain.base != nil { return start(of: snapshot) }
    let hole = chain.order(of: loss.position)
    let mark = history.chain(of: snapshot).marks.first {
      !goesOn || chain.order(of: $0.position) > hole
    }
    return mark.map {
      RestorePoint(snapshot: snapshot, primary: .aof, cut: $0.position, instant: $0.time)
    }
  }
}
