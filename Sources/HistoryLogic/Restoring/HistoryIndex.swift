import BackupFormat
import BackupTypes
import Synchronization

/// The runs of a history's log. Hundreds of snapshots can name the same log of 100,000 objects, and a forged
/// one can name 65,000 spans of it. So each log has one run, which is made once, and all others are slices of
/// it.
final class HistoryIndex: Sendable {
  private struct Log: Hashable {
    var timeline: TimelineNumber
    var ordinal: Int
  }
  private struct Made {
    /// The objects as a reader sees them.
    var sorted: SortedLog
    /// The run from the first object, and that from the first after each hole.
    var runs: [LogRun] = []

    init(_ spans: [LogSpan]) {
      sorted = SortedLog(spans)
      var index = 0
      while index < sorted.spans.count {
        let run = LogRun(sorted, from: sorted.spans[index].from)
        runs.append(run)
        index = sorted.spans.partitioningIndex { $0.from > run.end }
      }
    }
  }

  private let catalogue: Catalogue
  private let ends: [TimelineNumber: Claim.End]
  private let made = Mutex<[Log: Made]>([:])

  init(_ catalogue: Catalogue, ends: [TimelineNumber: Claim.End]) {
    self.catalogue = catalogue
    self.ends = ends
  }

  func slice(of timeline: TimelineNumber, ordinal: Int, from offset: UInt64, upTo limit: UInt64?)
    -> LogSlice
  {
    let log = Log(timeline: timeline, ordinal: ordinal)
    let made = made.withLock { known in
      if let known = known[log] { return known }
      let made = Made(visible(log))
      known[log] = made
      return made
    }
    let after = made.runs.partitioningIndex { $0.from > offset }
    let shared = after > 0 ? made.runs[after - 1].suffix(from: offset, of: made.sorted) : nil
    // If objects overlap, a run from another offset may consist of other objects. Then only the part that is
    // needed is made and kept.
    return (shared ?? LogRun(made.sorted, from: offset, upTo: limit)).slice(upTo: limit)
  }

  /// Objects that extend past the end of their timeline do not exist.
  private func visible(_ log: Log) -> [LogSpan] {
    let spans = catalogue.timelines[log.timeline]?.log[log.ordinal] ?? []
    guard let end = ends[log.timeline] else { return spans }
    let last = end.ordinals.first { $0.ordinal == log.ordinal }?.offset ?? 0
    return spans.contains { $0.to > last } ? spans.filter { $0.to <= last } : spans
  }
}
