import BackupFormat
import BackupTypes
import HistoryLogic
import Synchronization

/// Records that were read for one version of the page, kept for the next version, since records never change.
/// It is bounded: when it is full, everything is dropped.
package final class ChronicleMemory: Sendable {
  struct Place: Hashable, Sendable {
    var timeline: TimelineNumber
    var sequence: Int
  }
  private struct State: Sendable {
    var traces: [Place: SnapshotTrace?] = [:]
    var indexes: [GenerationID: GenerationIndex] = [:]
  }

  /// Some 400 bytes each.
  static let tracesMax = 4000
  static let indexesMax = 2 * ChronicleBuilder.Bounds.generations
  private let state = Mutex(State())

  package init() {}

  /// The result of an earlier reading; nil if it was never read. A foreign snapshot is kept as an inner nil.
  func trace(_ place: Place) -> SnapshotTrace?? { state.withLock { $0.traces[place] } }
  func keep(_ trace: SnapshotTrace?, _ place: Place) {
    state.withLock { state in
      if state.traces.count >= ChronicleMemory.tracesMax { state.traces = [:] }
      state.traces[place] = .some(trace)
    }
  }

  func index(_ id: GenerationID) -> GenerationIndex? { state.withLock { $0.indexes[id] } }
  /// Keeps the index without the digests of its pieces, which the page does not need.
  func keep(_ index: GenerationIndex) {
    var short = index
    short.pieces = []
    state.withLock { state in
      if state.indexes.count >= ChronicleMemory.indexesMax { state.indexes = [:] }
      state.indexes[index.generation] = short
    }
  }
}
