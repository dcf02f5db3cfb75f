import BackupFormat
package import BackupTypes
package import ObjectStorage

/// Whether a store can be used at all. If a list and a read fail in the same way (no connection, no
/// credentials, no bucket), nothing else will work.
package enum StoreReach {
  /// The problem; nil if the store answers, even if it refuses one of the two.
  ///
  /// - Throws: only when cancelled.
  package static func look(_ store: any ObjectStore) async throws -> Finding? {
    let listed = try await failure { _ = try await store.list(prefix: "ops/", continuing: nil) }
    let read = try await failure {
      _ = try await store.read(
        ObjectPath.descriptor.text, limit: RecordCoding.descriptorSizeMax)
    }
    guard let listed, let read, listed.hint == read.hint else { return nil }
    return Finding(
      .store, "reach", failed: listed, consequence: "nothing can be backed up or restored")
  }

  private static func failure(_ call: () async throws -> Void) async throws -> LifeboatError? {
    do {
      try await call()
      return nil
    } catch let error as LifeboatError {
      return error
    }
  }
}
