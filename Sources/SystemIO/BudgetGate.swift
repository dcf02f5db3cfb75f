import Synchronization

/// Lets tasks wait, without blocking a thread, until a budget has bytes for them.
package final class BudgetGate: Sendable {
  private struct State {
    var budget: Budget
    var asked = 0
    var waiting: [Int: CheckedContinuation<Void, any Error>] = [:]
  }
  private let state: Mutex<State>
  package let capacity: Int

  package init(capacity: Int) {
    self.capacity = capacity
    state = Mutex(State(budget: Budget(capacity: capacity)))
  }

  package var held: Int { state.withLock { $0.budget.held } }
  package var isWaitedFor: Bool { state.withLock { $0.budget.isWaitedFor } }

  /// Waits for `bytes`, at most the capacity.
  /// - Throws: `CancellationError`. Nothing is held then.
  package func take(_ bytes: Int) async throws -> Hold {
    let id = state.withLock { state in
      state.asked += 1
      return state.asked
    }
    try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation {
        (waiter: CheckedContinuation<Void, any Error>) in
        let result: Result<Void, any Error>? = state.withLock { state in
          // An earlier cancellation had nobody to wake.
          if Task.isCancelled { return .failure(CancellationError()) }
          if state.budget.request(bytes, by: id) { return .success(()) }
          state.waiting[id] = waiter
          return nil
        }
        if let result { waiter.resume(with: result) }
      }
    } onCancel: {
      var waiter: CheckedContinuation<Void, any Error>?
      let granted = state.withLock { state -> [CheckedContinuation<Void, any Error>] in
        waiter = state.waiting.removeValue(forKey: id)
        guard waiter != nil else { return [] }
        return BudgetGate.take(state.budget.withdraw(id), from: &state)
      }
      waiter?.resume(throwing: CancellationError())
      for next in granted { next.resume() }
    }
    return Hold(self, bytes)
  }

  private func giveBack(_ bytes: Int) {
    let granted = state.withLock { state in
      BudgetGate.take(state.budget.giveBack(bytes), from: &state)
    }
    for next in granted { next.resume() }
  }

  private static func take(
    _ granted: [Int], from state: inout State
  ) -> [CheckedContinuation<Void, any Error>] {
    granted.compactMap { state.waiting.removeValue(forKey: $0) }
  }

  /// Bytes that are held until they are given back, at the latest when the last reference is released.
  package final class Hold: Sendable {
    private let gate: BudgetGate
    private let bytes: Mutex<Int>

    fileprivate init(_ gate: BudgetGate, _ bytes: Int) {
      self.gate = gate
      self.bytes = Mutex(bytes)
    }

    deinit { shrink(to: 0) }

    /// Gives back everything above `count`.
    package func shrink(to count: Int) {
      let freed = bytes.withLock { bytes in
        let freed = max(0, bytes - count)
        bytes -= freed
        return freed
      }
      if freed > 0 { gate.giveBack(freed) }
    }
  }
}
