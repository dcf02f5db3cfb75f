import BackupFormat
import BackupTypes

/// Collects what is shown of one timeline: the union of the spans of time that the chains of its snapshots
/// cover, and its single restore points. Snapshots are given in order, and none is kept.
///
/// The marks of a chain come from its `ChainLog`. The state between two marks is that of the first one, so a
/// chain covers the time from its first own mark to its last. Three facts are not in the log. A full copy is
/// a restore point once it is durable, which the first snapshot with the file shows (a fold may contain
/// earlier marks than its name shows). After a clean shutdown, nothing had been written until then.
/// Everything after `cut` belongs to the abandoned branch.
struct TimelineWindows {
  private let history: History
  private let number: TimelineNumber
  /// Own positions after it are abandoned. Nil if none are.
  private let cut: LogPosition?
  private var firstNamed: [Int: Instant] = [:]
  private var present = WindowUnion()
  private var abandoned = WindowUnion()
  private(set) var points: [Chronicle.Point] = []
  private(set) var isClosed = false

  init(history: History, number: TimelineNumber, cut: LogPosition?) {
    self.history = history
    self.number = number
    self.cut = cut
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
    let log = history.chain(of: trace.segments)
    guard let earliest = log.first else {
      // The full copy without any log.
      if trace.base != nil || !trace.segments.isEmpty { add(point: trace, trace.at) }
      return
    }
    guard let own = log.marks(of: number, notBeyond: nil) else { return }
    let kept = log.marks(of: number, notBeyond: cut)?.last.time
    let hasStateBefore = trace.base != nil || earliest != own.first
    let first = hasStateBefore ? beginning(own.first) : own.first.time
    if let kept { present.add(min(first, kept), kept) }
    let from = kept ?? first
    if own.last.time > from || kept == nil { abandoned.add(from, own.last.time) }
    if trace.isClean, kept == own.last.time, log.isWhole(upTo: trace.reached) {
      present.add(own.last.time, trace.at)
    }
  }

  /// When the state before `mark` was a restore point.
  private func beginning(_ mark: ChainLog.Mark) -> Instant {
    let claimedAt = history.claims[number]?.claimedAt ?? Instant(milliseconds: 0)
    return min(mark.time, max(claimedAt, firstNamed[mark.position.ordinal] ?? mark.time))
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
