package import BackupFormat
package import BackupTypes

/// The first and the last instant to which each snapshot can be restored, according to names: the marks of
/// its log, or its dump. The same as `PointFinder.window`, but for thousands of snapshots: the log of a
/// file is sorted only once.
package struct SnapshotWindows: Sendable {
  package struct Window: Sendable, Equatable {
    package var from: Instant
    package var to: Instant
  }

  private struct Start: Hashable {
    var timeline: TimelineNumber
    var ordinal: Int
    var from: UInt64
  }

  private let history: History
  private var coverages: [Start: LogCoverage] = [:]

  package init(_ history: History) { self.history = history }

  /// Nil: it has no restore point, or its log has no mark.
  package mutating func window(of snapshot: Snapshot) -> Window? {
    switch snapshot.primary {
    case nil: return nil
    case .rdb: return snapshot.dump.map { Window(from: $0.contentAt, to: $0.contentAt) }
    case .aof: return logWindow(of: snapshot)
    }
  }

  private mutating func logWindow(of snapshot: Snapshot) -> Window? {
    guard let chain = snapshot.chain else { return nil }
    var window: Window?
    for segment in chain.files.flatMap(\.segments) {
      let coverage = coverage(of: segment)
      for span in coverage.picks {
        if let to = segment.to, span.to > to { break }
        guard let mark = span.mark else { continue }
        window = Window(from: window?.from ?? mark, to: max(mark, window?.to ?? mark))
      }
      if let to = segment.to, coverage.reached < to { break }
    }
    return window
  }

  private mutating func coverage(of segment: Snapshot.Segment) -> LogCoverage {
    let start = Start(
      timeline: segment.timeline, ordinal: segment.ordinal, from: segment.from)
    if let known = coverages[start] { return known }
    let made = history.log(of: segment.timeline, ordinal: segment.ordinal, from: segment.from)
    coverages[start] = made
    return made
  }
}
