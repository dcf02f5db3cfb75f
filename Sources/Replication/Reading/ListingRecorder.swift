import BackupLogic
import BackupTypes
import ObjectStorage
import Synchronization

/// A store that keeps what complete listings say of times, beside what is made of their names.
final class ListingRecorder: ObjectStore {
  private let store: any ObjectStore
  private let seen = Mutex(ObjectTimes())

  init(_ store: any ObjectStore) { self.store = store }

  /// Of the last complete listing.
  var times: ObjectTimes { seen.withLock { $0 } }

  var location: String { store.location }
  var createsConditionally: Bool { store.createsConditionally }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    let page = try await store.list(prefix: prefix, continuing: continuing)
    guard prefix.isEmpty else { return page }
    seen.withLock { times in
      if continuing == nil { times = ObjectTimes() }
      for entry in page.entries {
        times.add(name: entry.name, size: entry.size, modified: entry.modified)
      }
    }
    return page
  }

  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try await store.create(name, bytes)
  }
  func read(_ name: String) async throws -> [UInt8]? { try await store.read(name) }
  func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try await store.delete(names)
  }
  func now() async throws -> Instant? { try await store.now() }
  func prepare() async throws { try await store.prepare() }
}
