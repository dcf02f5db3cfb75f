import BackupTypes
import HTTPTransport

extension GCSStore {
  /// Requests under way at once. The batch endpoint of the API saves connections, not requests or
  /// money (each deletion counts, and is free), and has an envelope of its own to read.
  private static let deletionsMax = 4

  /// Goes over what is left as long as some of it goes: on a way that loses one request in a hundred,
  /// a thousand deletions never come through all at once, and the layer that retries would begin
  /// with the first again.
  func delete(_ keys: [(name: String, key: String)]) async throws -> [String: LifeboatError] {
    var failures: [String: LifeboatError] = [:]
    var wasAbsent = false
    var left = keys
    while !left.isEmpty {
      let pass = try await pass(over: left)
      failures.merge(pass.refused) { first, _ in first }
      wasAbsent = wasAbsent || pass.wasAbsent
      if let error = pass.error, pass.left.count == left.count { throw error }
      left = pass.left
    }
    // Absent is a success only in a bucket that is there.
    if wasAbsent { _ = try await page(prefix: "", name: "", continuing: nil, limit: 1) }
    return failures
  }

  private struct Pass {
    /// Refused for good, by name.
    var refused: [String: LifeboatError] = [:]
    var wasAbsent = false
    /// What may go another time, and the first reason.
    var left: [(name: String, key: String)] = []
    var error: LifeboatError?
  }

  private func pass(over keys: [(name: String, key: String)]) async throws -> Pass {
    var pass = Pass()
    var successes = 0
    var rest = keys[...]
    try await withThrowingTaskGroup(of: (String, String, Deletion).self) { group in
      func start() {
        // If the store does nothing at all, it is not asked for each one.
        guard successes > 0 || pass.left.count < GCSStore.deletionsMax,
          let (name, key) = rest.popFirst()
        else { return }
        group.addTask { (name, key, try await self.delete(key: key, name: name)) }
      }
      for _ in 0..<GCSStore.deletionsMax { start() }
      while let (name, key, deletion) = try await group.next() {
        switch deletion {
        case .done: successes += 1
        case .absent:
          successes += 1
          pass.wasAbsent = true
        case .refused(let error):
          successes += 1
          pass.refused[name] = error
        case .failed(let error):
          pass.left.append((name, key))
          pass.error = pass.error ?? error
        }
        start()
      }
    }
    pass.left += rest
    return pass
  }

  /// Removes one generation, if it is still the one that is there.
  func remove(key: String, name: String, generation: String) async throws {
    var request = deletion(key: key, name: name)
    request.query = [("ifGenerationMatch", generation)]
    _ = try await exchange.send(request, accepting: [200, 204, 404, 412])
  }

  private enum Deletion: Sendable {
    case done
    case absent
    /// The store is there and refuses this one.
    case refused(LifeboatError)
    /// It may go another time.
    case failed(LifeboatError)
  }

  private func delete(key: String, name: String) async throws -> Deletion {
    do {
      let reply = try await exchange.send(
        deletion(key: key, name: name), accepting: [200, 204, 404])
      return reply.status == 404 ? .absent : .done
    } catch let refusal as GCSRefusal {
      return refusal.fault.isRetryable ? .failed(refusal.error) : .refused(refusal.error)
    } catch let error as LifeboatError where error.isRetryable {
      return .failed(error)
    }
  }

  private func deletion(key: String, name: String) -> GCSRequest {
    GCSRequest(action: .delete, method: .delete, path: path(key), object: object(name))
  }
}
