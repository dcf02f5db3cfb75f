package import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage

extension GCSStore {
  /// The batch endpoint of the API saves connections, not requests or money (each deletion counts, and is
  /// free), and has its own envelope to parse.
  private static let deletionsMax = 4

  package func delete(
    keys: [(name: String, key: String)]
  ) async throws -> [String: LifeboatError] {
    let deletions = SingleDeletions(concurrency: GCSStore.deletionsMax) {
      try await self.delete(key: $0.key, name: $0.name)
    }
    let (refused, wasAbsent) = try await deletions.run(keys)
    // An absent object counts as success only if the bucket exists.
    if wasAbsent { _ = try await page(of: "", continuing: nil, limit: 1) }
    return refused
  }

  /// Removes the object if it still has this generation.
  func remove(key: String, name: String, generation: String) async throws {
    var request = deletion(key: key, name: name)
    request.query = [("ifGenerationMatch", generation)]
    _ = try await exchange.send(request, accepting: [200, 204, 404, 412])
  }

  private func delete(key: String, name: String) async throws -> SingleDeletion {
    do {
      let reply = try await exchange.send(
        deletion(key: key, name: name), accepting: [200, 204, 404])
      return .done(wasThere: reply.status != 404)
    } catch let refusal as GCSRefusal {
      return refusal.fault.isRetryable ? .failed(refusal.error) : .refused(refusal.error)
    } catch let error as LifeboatError where error.isRetryable {
      return .failed(error)
    }
  }

  private func deletion(key: String, name: String) -> StoreRequest {
    StoreRequest(action: .delete, method: .delete, path: path(key), object: object(name))
  }
}
