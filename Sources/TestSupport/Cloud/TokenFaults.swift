import BackupTypes
package import HTTPTransport
package import ObjectStorage
import Synchronization

/// Gives each request the next action, and none after the last.
package func inOrder(
  _ actions: [LoopbackAction]
) -> @Sendable (LoopbackRequest) -> LoopbackAction? {
  let left = Mutex(actions[...])
  return { _ in left.withLock { $0.popFirst() } }
}

/// Creates 240 objects, 80 in each of three rounds, with eight tasks at a time.
///
/// - Parameter revoke: called after each round. Revokes all tokens, long before they expire.
package func createObjects(in store: any ObjectStore, revoking revoke: () -> Void) async throws {
  for round in 1...3 {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for part in 0..<8 {
        group.addTask {
          for index in 0..<10 {
            let outcome = try await store.create("r\(round)/\(part)/\(index)", [1])
            guard outcome == .created else { throw HarnessError("r\(round)/\(part)/\(index)") }
          }
        }
      }
      try await group.waitForAll()
    }
    revoke()
  }
}

/// Collects what a store observes, and the threads on which it does.
package final class ObservedRequests: Sendable {
  private let seen = Mutex<(requests: [RequestObservation], threads: Set<String>)>(([], []))

  package init() {}

  package func note(_ request: RequestObservation) {
    let name = (try? TestFiles.text("/proc/thread-self/comm")) ?? ""
    seen.withLock {
      $0.requests.append(request)
      $0.threads.insert(String(name.prefix(5)))
    }
  }
  package var methods: [String] { seen.withLock { $0.requests.map(\.method) } }
  package var statuses: [Int?] { seen.withLock { $0.requests.map(\.status) } }
  /// The first five characters of the names of the threads.
  package var threads: Set<String> { seen.withLock { $0.threads } }
}
