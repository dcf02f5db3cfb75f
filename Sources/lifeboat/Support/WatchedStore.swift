import BackupTypes
import ObjectStorage

/// The store of a command for which a person waits. It counts the operations on objects for the progress
/// line.
struct WatchedStore: StoreLayer {
  let base: any ObjectStore

  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    let outcome = try await base.create(name, bytes)
    Progress.count(.written)
    return outcome
  }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    let object = try await base.read(name, limit: limit)
    Progress.count(.read)
    return object
  }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    let page = try await base.list(prefix: prefix, continuing: continuing)
    Progress.count(.listed, page.entries.count)
    return page
  }

  func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    let failures = try await base.delete(names)
    Progress.count(.deleted, names.count - failures.count)
    return failures
  }
}
