import BackupFormat
import BackupTypes

/// Finds the windows and restore points of one timeline from its snapshots, in order, and the names of its
/// log.
///
/// A chain without a hole can be cut at any of its marks, and the state between two marks is that of the
/// first, so the chain is one window, from its first own mark to its last. A fold contains marks that its
/// name does not show. The snapshot that first named the file says when the own log began, or when the full
/// copy before it was durable, which is a restore point from then on.
struct TimelineTrace {
  private let history: History
  private let number: TimelineNumber
  /// Own positions after it are abandoned; nil: none are.
  private let cut: LogPosition?
  private let claimedAt: Instant
  private var firstNamed: [Int: Instant] = [:]
  private var present = WindowUnion()
  private var abandoned = WindowUnion()
  private(set) var points: [Chronicle.Point] = []
  private(set) var isClosed = false

  init(history: History, number: TimelineNumber, cut: LogPosition?) {
    self.history = history
    self.number = number
    self.cut = cut
    claimedAt = history.claims[number]?.claimedAt ?? Instant(milliseconds: 0)
  }

  mutating func add(_ trace: SnapshotTrace) {
    for ordinal in trace.named where firstNamed[ordinal] == nil { firstNamed[ordinal] = trace.at }
    isClosed = isClosed || trace.isClean
    if let needed = trace.needed, history.catalogue.quarantined.contains(needed) { return }
    switch trace.primary {
    case nil: break
    case .rdb: if let at = trace.dumpAt { add(point: trace, at) }
    case .aof: addChain(trace)
    }
  }

  private mutating func add(point trace: SnapshotTrace, _ at: Instant) {
    guard points.last?.at != at else { return }
    points.append(.init(id: pointID(number, trace.sequence, nil), at: at))
  }

  private mutating func addChain(_ trace: SnapshotTrace) {
    var last: Instant?
    var isWhole = true
    var (first, keptLast, ownLast): (Instant?, Instant?, Instant?) = (nil, nil, nil)
    for segment in trace.segments {
      let log = history.log(of: segment.timeline, ordinal: segment.ordinal, from: segment.from).run
      let limit = segment.to ?? .max
      if let end = log.last(notBeyond: limit)?.time {
        let beginsWithState = last != nil || trace.base != nil
        last = max(end, last ?? end)
        if segment.timeline == number, let begin = log.marks.first?.time {
          first =
            first ?? (beginsWithState ? beginning(of: segment.ordinal, firstMark: begin) : begin)
          ownLast = last
          if let kept = log.last(notBeyond: min(limit, keptLimit(segment.ordinal)))?.time {
            keptLast = max(kept, keptLast ?? kept)
          }
        }
      }
      let durable = segment.to ?? (segment == trace.segments.last ? trace.reached : nil) ?? 0
      if log.end < durable { isWhole = false }
      if let to = segment.to, log.end < to { break }
    }
    guard last != nil else {
      // The full copy without any log.
      if trace.base != nil || !trace.segments.isEmpty { add(point: trace, trace.at) }
      return
    }
    guard let first, let ownLast else { return }
    if let keptLast { present.add(min(first, keptLast), keptLast) }
    let from = keptLast ?? first
    if cut != nil, ownLast > from || keptLast == nil { abandoned.add(from, ownLast) }
    // Everything on disk was durable then, so nothing more had been written until then.
    if trace.isClean, isWhole, cut == nil || keptLast == ownLast { present.add(ownLast, trace.at) }
  }

  /// The offset of an own ordinal up to which the present history extends.
  private func keptLimit(_ ordinal: Int) -> UInt64 {
    guard let cut else { return .max }
    if cut.timeline < number { return 0 }
    return ordinal < cut.ordinal ? .max : ordinal == cut.ordinal ? cut.offset : 0
  }

  private func beginning(of ordinal: Int, firstMark: Instant) -> Instant {
    min(firstMark, max(claimedAt, firstNamed[ordinal] ?? firstMark))
  }

  /// In order. If there are more windows than `count`, the smallest gaps are closed.
  func windows(atMost count: Int) -> [Chronicle.Window] {
    let made =
      present.closed(to: count).map { Chronicle.Window(from: $0.from, to: $0.to) }
      + abandoned.closed(to: count).map {
        Chronicle.Window(from: $0.from, to: $0.to, isAbandoned: true)
      }
    return made.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
  }
}
