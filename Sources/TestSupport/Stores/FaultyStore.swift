package import BackupTypes
package import ObjectStorage
import Synchronization

/// Wraps any store. A closure decides what happens to each call. As with a real store, a failed call has done
/// nothing, a call with a lost reply has done everything, and a held call has done nothing yet.
package final class FaultyStore: ObjectStore {
  package typealias Operation = MemoryStore.Operation

  package struct Call: Sendable, Hashable {
    package var operation: Operation
    /// The object's name, or the prefix of a listing. For a deletion, one call is recorded and decided for
    /// each name. Empty for `now` and `prepare`.
    package var name: String
    /// The number of the call on this store, from 1.
    package var number: Int
  }

  package enum Decision: Sendable {
    case pass
    /// The work is not done.
    case fail(LifeboatError)
    /// The work is done, but the caller gets this error.
    case loseReply(LifeboatError)
    /// The work waits until the gate is open. A cancelled caller keeps waiting.
    case hold(Gate)
  }

  package static let unreachable = LifeboatError(
    .storeUnavailable, "can't reach the store", cause: "injected by a test", isRetryable: true)

  private struct State {
    var decide: @Sendable (Call) -> Decision
    var calls: [Call] = []
  }

  private let store: any ObjectStore
  private let state: Mutex<State>
  package var location: String { store.location }

  package init(
    _ store: any ObjectStore,
    deciding decide: @escaping @Sendable (Call) -> Decision = { _ in .pass }
  ) {
    self.store = store
    state = Mutex(State(decide: decide))
  }

  /// Replaces the closure for every call that begins from now on.
  package func decide(_ decide: @escaping @Sendable (Call) -> Decision) {
    state.withLock { $0.decide = decide }
  }

  /// Holds every call whose operation and name match until the returned gate is opened. The other calls are
  /// decided as before.
  package func hold(
    where matches: @escaping @Sendable (Operation, String) -> Bool
  ) -> Gate {
    let gate = Gate()
    state.withLock { state in
      let former = state.decide
      state.decide = { call in
        if !gate.isOpen, matches(call.operation, call.name) { return .hold(gate) }
        return former(call)
      }
    }
    return gate
  }

  package var calls: [Call] { state.withLock { $0.calls } }

  package func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try await perform(.create, name) { try await store.create(name, bytes) }
  }

  package func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try await perform(.read, name) { try await store.read(name, limit: limit) }
  }

  package func list(prefix: String, continuing: String?) async throws -> ListPage {
    try await perform(.list, prefix) {
      try await store.list(prefix: prefix, continuing: continuing)
    }
  }

  /// If one name's deletion is decided to fail, the result has the error for that name, as with a real store.
  package func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    var failures: [String: LifeboatError] = [:]
    for name in names {
      do {
        let result = try await perform(.delete, name) { try await store.delete([name]) }
        failures.merge(result) { first, _ in first }
      } catch let error as LifeboatError {
        failures[name] = error
      }
    }
    return failures
  }

  package func now() async throws -> Instant? {
    try await perform(.now, "") { try await store.now() }
  }

  package func prepare() async throws {
    try await perform(.prepare, "") { try await store.prepare() }
  }

  private func perform<Value>(
    _ operation: Operation, _ name: String, _ work: () async throws -> Value
  ) async throws -> Value {
    let (call, decide) = state.withLock { state in
      let call = Call(operation: operation, name: name, number: state.calls.count + 1)
      state.calls.append(call)
      return (call, state.decide)
    }
    switch decide(call) {
    case .pass: return try await work()
    case .fail(let error): throw error
    case .loseReply(let error):
      _ = try await work()
      throw error
    case .hold(let gate):
      await gate.wait()
      return try await work()
    }
  }
}

/// Callers wait here until it is opened. It stays open.
package final class Gate: Sendable {
  private struct State {
    var isOpen = false
    var waiting: [CheckedContinuation<Void, Never>] = []
    /// Watchers that want to know when this many callers wait.
    var watchers: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
  }
  private let state = Mutex(State())

  package init() {}

  package var isOpen: Bool { state.withLock { $0.isOpen } }

  package var waiting: Int { state.withLock { $0.waiting.count } }

  package func open() {
    let released = state.withLock { state in
      state.isOpen = true
      defer { (state.waiting, state.watchers) = ([], []) }
      return state.waiting + state.watchers.map(\.continuation)
    }
    for continuation in released { continuation.resume() }
  }

  func wait() async {
    await withCheckedContinuation { continuation in
      let released = state.withLock { state -> [CheckedContinuation<Void, Never>] in
        if state.isOpen { return [continuation] }
        state.waiting.append(continuation)
        let count = state.waiting.count
        let satisfied = state.watchers.filter { $0.count <= count }.map(\.continuation)
        state.watchers.removeAll { $0.count <= count }
        return satisfied
      }
      for continuation in released { continuation.resume() }
    }
  }

  /// Returns when at least `count` calls wait here, or the gate is open. So a test needs no sleep to know
  /// that a call has arrived.
  package func waitUntilHolding(_ count: Int) async {
    await withCheckedContinuation { continuation in
      let isSatisfied = state.withLock { state in
        if state.isOpen || state.waiting.count >= count { return true }
        state.watchers.append((count, continuation))
        return false
      }
      if isSatisfied { continuation.resume() }
    }
  }
}
