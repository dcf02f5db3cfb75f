import BackupFormat
import BackupTypes
import Synchronization

/// The runs of a history's log, each made once. Hundreds of snapshots can name the same log of 100,000
/// objects.
final class HistoryIndex: Sendable {
  private struct Log: Hashable {
    var timeline: TimelineNumber
    var ordinal: Int
  }
  private struct State {
    /// The objects of a log as a reader sees them, sorted.
    var sorted: [Log: [LogSpan]] = [:]
    /// By the offset at which they begin.
    var runs: [Log: [UInt64: LogRun]] = [:]
    /// Spans in `runs`.
    var size = 0
  }

  private let catalogue: Catalogue
  private let ends: [TimelineNumber: Claim.End]
  private let state = Mutex(State())
  /// A log usually has one offset at which a segment begins. Hostile snapshots can name any number of them.
  private let sizeMax: Int

  init(_ catalogue: Catalogue, ends: [TimelineNumber: Claim.End]) {
    self.catalogue = catalogue
    self.ends = ends
    sizeMax = 2 * catalogue.objects + 1000
  }

  func run(of timeline: TimelineNumber, ordinal: Int, from offset: UInt64) -> LogRun {
    let log = Log(timeline: timeline, ordinal: ordinal)
    return state.withLock { state in
      if let known = state.runs[log]?[offset] { return known }
      let sorted = state.sorted[log] ?? visible(log)
      state.sorted[log] = sorted
      let run = LogRun(sorted: sorted, from: offset)
      if state.size > sizeMax { state = State() }
      state.size += run.spans.count + 1
      state.runs[log, default: [:]][offset] = run
      return run
    }
  }

  /// Objects that extend past the end of their timeline do not exist.
  private func visible(_ log: Log) -> [LogSpan] {
    var spans = catalogue.timelines[log.timeline]?.log[log.ordinal] ?? []
    if let end = ends[log.timeline] {
      let last = end.ordinals.first { $0.ordinal == log.ordinal }?.offset ?? 0
      spans.removeAll { $0.to > last }
    }
    return LogRun.sorted(spans)
  }
}
