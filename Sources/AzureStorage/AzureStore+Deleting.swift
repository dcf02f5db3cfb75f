package import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage

extension AzureStore {
  /// Deletions are free, and each part of a batch is signed separately. A batch would only save connections.
  /// With the least memory there are 12 connections, and more deletions at a time would take them from
  /// uploads.
  private static let deletionsMax = 8

  package func delete(
    keys: [(name: String, key: String)]
  ) async throws -> [String: LifeboatError] {
    let deletions = SingleDeletions(concurrency: AzureStore.deletionsMax) {
      try await self.delete(key: $0.key, name: $0.name)
    }
    return try await deletions.run(keys).refused
  }

  /// Removes an object if it still has this ETag.
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
      // A non-empty directory of a hierarchical namespace. There is no object of that name.
      if refusal.fault.isAbsence || refusal.fault.code == "DirectoryIsNotEmpty" {
        return .done(wasThere: false)
      }
      return refusal.fault.isRetryable ? .failed(refusal.error) : .refused(refusal.error)
    } catch let error as LifeboatError where error.isRetryable {
      return .failed(error)
    }
  }

  private func deletion(key: String, name: String) -> StoreRequest {
    StoreRequest(action: .delete, method: .delete, path: path(key), object: object(name))
  }
}
