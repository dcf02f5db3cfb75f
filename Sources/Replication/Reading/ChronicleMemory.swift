import BackupFormat
import BackupLogic
import BackupTypes
import Synchronization

/// What was read for one picture, for the next one: records never change. Bounded: it forgets all when it
/// is full.
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

  /// nil: never read; else what was there, of which a foreign one is nothing.
  func trace(_ place: Place) -> SnapshotTrace?? { state.withLock { $0.traces[place] } }
  func keep(_ trace: SnapshotTrace?, _ place: Place) {
    state.withLock { state in
      if state.traces.count >= ChronicleMemory.tracesMax { state.traces = [:] }
      state.traces[place] = .some(trace)
    }
  }

  func index(_ id: GenerationID) -> GenerationIndex? { state.withLock { $0.indexes[id] } }
  /// Without the digests of its pieces, which a picture has no use for.
  func keep(_ index: GenerationIndex) {
    var short = index
    short.pieces = []
    state.withLock { state in
      if state.indexes.count >= ChronicleMemory.indexesMax { state.indexes = [:] }
      state.indexes[index.generation] = short
    }
  }
}
