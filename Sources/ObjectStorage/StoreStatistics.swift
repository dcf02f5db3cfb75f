package import BackupTypes
import Synchronization
import SystemIO

/// The requests to a store and their results, for the metrics.
package final class StoreStatistics: Sendable {
  package enum Operation: String, Sendable, CaseIterable { case create, read, list, delete, clock }

  package enum Result: String, Sendable, CaseIterable {
    case ok
    /// The store could not be used, and a retry makes sense.
    case unavailable
    /// The store refuses: credentials, permissions, or a missing bucket.
    case denied
    /// Anything else, such as a full disk or a cancelled call.
    case failed
  }

  package struct Key: Hashable, Sendable {
    package var operation: Operation
    package var result: Result
  }

  package struct Value: Sendable {
    package var calls: [Key: UInt64] = [:]
    package var lastSuccess: Instant?

    package init() {}
  }

  private let value = Mutex(Value())
  package init() {}
  package var current: Value { value.withLock { $0 } }

  func note(_ operation: Operation, _ result: Result) {
    let now = SystemClock.now()
    value.withLock { value in
      value.calls[Key(operation: operation, result: result), default: 0] += 1
      if result == .ok { value.lastSuccess = now }
    }
  }
}

/// A store whose calls are counted. It is below the layer that retries, so every try counts.
package struct CountedStore: StoreLayer {
  package let base: any ObjectStore
  private let statistics: StoreStatistics

  package init(_ base: any ObjectStore, _ statistics: StoreStatistics) {
    self.base = base
    self.statistics = statistics
  }

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try await counting(.create) { try await base.create(name, bytes) }
  }
  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try await counting(.read) { try await base.read(name, limit: limit) }
  }
  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    try await counting(.list) { try await base.list(prefix: prefix, continuing: continuing) }
  }
  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try await counting(.delete) { try await base.delete(names) }
  }
  package func now() async throws -> Instant? {
    try await counting(.clock) { try await base.now() }
  }

  private func counting<Value: Sendable>(
    _ operation: StoreStatistics.Operation, _ call: () async throws -> Value
  ) async throws -> Value {
    do {
      let value = try await call()
      statistics.note(operation, .ok)
      return value
    } catch {
      statistics.note(operation, StoreStatistics.Result(error))
      throw error
    }
  }
}

extension StoreStatistics.Result {
  fileprivate init(_ error: any Error) {
    guard let error = error as? LifeboatError, error.code == .storeUnavailable else {
      self = .failed
      return
    }
    self = error.isRetryable ? .unavailable : .denied
  }
}
