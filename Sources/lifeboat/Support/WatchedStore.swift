import BackupTypes
import ObjectStorage
import Synchronization

/// The store of a command for which a person waits. It counts the operations on objects for the progress
/// line, and says when a repository is so large that the command may need more memory than it was given.
final class WatchedStore: StoreLayer {
  let base: any ObjectStore
  /// Since the last listing of everything began.
  private let listed = Mutex(0)

  init(base: any ObjectStore) { self.base = base }

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
    let count = listed.withLock { listed in
      if prefix.isEmpty, continuing == nil { listed = 0 }
      listed += page.entries.count
      return listed
    }
    noteMemory(from: count - page.entries.count, to: count)
    return page
  }

  /// What a command needs for each listed object, in bytes, and what it needs besides.
  private static let perObject = 128
  private static let besides = 48 << 20

  /// The command is not refused: it has more memory than the bound if nothing else limits it.
  private func noteMemory(from before: Int, to count: Int) {
    var bytes = MemoryBound.current.bytes
    while true {
      let enough = max(0, bytes - WatchedStore.besides) / WatchedStore.perObject
      guard enough < count else { return }
      bytes *= 2
      guard enough >= before else { continue }
      Console.note(
        "lifeboat: the repository has more than \(counted(enough, "object")), which may need --memory "
          + "\(bytes >> 20)MiB")
    }
  }

  func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    let failures = try await base.delete(names)
    Progress.count(.deleted, names.count - failures.count)
    return failures
  }
}
