import BackupTypes
import HTTPTransport

extension AzureStore {
  /// Requests under way at once, each on a connection of its own. Deletions are free, so a batch, whose parts are
  /// signed each by itself, would save connections only. Uploads need some of the client's threads meanwhile.
  private static let deletionsMax = 8

  /// Goes over what is left as long as some of it goes: on a way that loses one request in a hundred,
  /// a thousand deletions never come through all at once, and the layer that retries would begin
  /// with the first again.
  func delete(_ keys: [(name: String, key: String)]) async throws -> [String: LifeboatError] {
    var failures: [String: LifeboatError] = [:]
    var left = keys
    while !left.isEmpty {
      let pass = try await pass(over: left)
      failures.merge(pass.refused) { first, _ in first }
      if let error = pass.error, pass.left.count == left.count { throw error }
      left = pass.left
    }
    return failures
  }

  private struct Pass {
    /// Refused for good, by name.
    var refused: [String: LifeboatError] = [:]
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
        guard successes > 0 || pass.left.count < AzureStore.deletionsMax,
          let (name, key) = rest.popFirst()
        else { return }
        group.addTask { (name, key, try await self.delete(key: key, name: name)) }
      }
      for _ in 0..<AzureStore.deletionsMax { start() }
      while let (name, key, deletion) = try await group.next() {
        switch deletion {
        case .done: successes += 1
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

  /// Removes an object, if it is still the one with that tag.
  func remove(key: String, name: String, tag: String?) async throws {
    var request = deletion(key: key, name: name)
    if let tag { request.headers = [("If-Match", tag)] }
    do {
      _ = try await exchange.send(request, accepting: [202])
    } catch let refusal as AzureRefusal
      where refusal.fault.isAbsence || refusal.fault.code == "ConditionNotMet"
    {}
  }

  private enum Deletion: Sendable {
    case done
    /// The store is there and refuses this one.
    case refused(LifeboatError)
    /// It may go another time.
    case failed(LifeboatError)
  }

  private func delete(key: String, name: String) async throws -> Deletion {
    do {
      _ = try await exchange.send(deletion(key: key, name: name), accepting: [202])
      return .done
    } catch let refusal as AzureRefusal {
      // The second: a directory of a hierarchical namespace. An object of that name there is none.
      if refusal.fault.isAbsence || refusal.fault.code == "DirectoryIsNotEmpty" { return .done }
      return refusal.fault.isRetryable ? .failed(refusal.error) : .refused(refusal.error)
    } catch let error as LifeboatError where error.isRetryable {
      return .failed(error)
    }
  }

  private func deletion(key: String, name: String) -> AzureRequest {
    AzureRequest(action: .delete, method: .delete, path: path(key), object: object(name))
  }
}
