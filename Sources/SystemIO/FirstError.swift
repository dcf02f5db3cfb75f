import Synchronization

/// The first error of tasks that run at the same time. The tasks that are cancelled because of it fail later,
/// in any order.
package final class FirstError: Sendable {
  private let error = Mutex<(any Error)?>(nil)

  package init() {}

  package var value: (any Error)? { error.withLock { $0 } }

  /// Runs `body` and keeps its error, if it is the first.
  package func noting<Value>(_ body: () async throws -> Value) async throws -> Value {
    do {
      return try await body()
    } catch let thrown {
      error.withLock { $0 = $0 ?? thrown }
      throw thrown
    }
  }
}
