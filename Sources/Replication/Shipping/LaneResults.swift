import BackupFormat
import BackupLogic
import Synchronization

/// The results of the two lanes on their way to the loop: at most one of each is outstanding. And which
/// pins were seen let go.
final class LaneResults: Sendable {
  private struct State: Sendable {
    var record: Result<LogSpan?, any Error>?
    var generation: Result<GenerationResult, any Error>?
    var released: Set<String>?
  }
  private let state = Mutex(State())

  func set(record: Result<LogSpan?, any Error>) { state.withLock { $0.record = record } }
  func set(generation: Result<GenerationResult, any Error>) {
    state.withLock { $0.generation = generation }
  }
  func set(released: Set<String>) { state.withLock { $0.released = released } }
  func takeReleased() -> Set<String>? {
    state.withLock { state in
      defer { state.released = nil }
      return state.released
    }
  }
  func takeRecord() -> Result<LogSpan?, any Error>? {
    state.withLock { state in
      defer { state.record = nil }
      return state.record
    }
  }
  func takeGeneration() -> Result<GenerationResult, any Error>? {
    state.withLock { state in
      defer { state.generation = nil }
      return state.generation
    }
  }
}
