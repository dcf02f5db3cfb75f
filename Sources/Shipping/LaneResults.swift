import BackupFormat
import RepositoryAccess
import Synchronization
import WriterLogic

/// The results of the two lanes that the loop has not taken yet, at most one of each lane. Also what was
/// found below `ops/`.
final class LaneResults: Sendable {
  private struct State: Sendable {
    var record: Result<LogSpan?, any Error>?
    var generation: Result<GenerationResult, any Error>?
    var operations: OperationsLook?
    var isPruning = false
  }
  private let state = Mutex(State())

  func set(record: Result<LogSpan?, any Error>) { state.withLock { $0.record = record } }
  func set(generation: Result<GenerationResult, any Error>) {
    state.withLock { $0.generation = generation }
  }
  func set(operations: OperationsLook) { state.withLock { $0.operations = operations } }
  func takeOperations() -> OperationsLook? {
    state.withLock { state in
      defer { state.operations = nil }
      return state.operations
    }
  }
  /// Returns false if retention is being applied already.
  func beginPruning() -> Bool {
    state.withLock { state in
      defer { state.isPruning = true }
      return !state.isPruning
    }
  }
  func endPruning() { state.withLock { $0.isPruning = false } }
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
