import BackupTypes
import HTTPTransport
import ObjectStorage

extension AzureStore {
  /// Deletions are free, so a batch, in which each part has a signature of its own, would save connections only.
  /// Uploads need some of the client's threads at the same time.
  private static let deletionsMax = 8

  func delete(_ keys: [(name: String, key: String)]) async throws -> [String: LifeboatError] {
    let deletions = SingleDeletions(concurrency: AzureStore.deletionsMax) {
      try await self.delete(key: $0.key, name: $0.name)
    }
    return try await deletions.run(keys).refused
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

  private func delete(key: String, name: String) async throws -> SingleDeletion {
    do {
      _ = try await exchange.send(deletion(key: key, name: name), accepting: [202])
      return .done(wasThere: true)
    } catch let refusal as AzureRefusal {
      // A directory of a hierarchical namespace that is not empty: there is no object of that name.
      if refusal.fault.isAbsence || refusal.fault.code == "DirectoryIsNotEmpty" {
        return .done(wasThere: false)
      }
      return refusal.fault.isRetryable ? .failed(refusal.error) : .refused(refusal.error)
    } catch let error as LifeboatError where error.isRetryable {
      return .failed(error)
    }
  }

  private func deletion(key: String, name: String) -> AzureRequest {
    AzureRequest(action: .delete, method: .delete, path: path(key), object: object(name))
  }
}
