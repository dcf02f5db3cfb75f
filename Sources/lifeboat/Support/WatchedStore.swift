import BackupTypes
import ObjectStorage
import RepositoryAccess
import Synchronization

/// The store of a command for which a person waits. It counts the operations on objects for the progress
/// line, and says when a repository is so large that the command may need more memory than it was given.
final class WatchedStore: StoreLayer {
  let base: any ObjectStore
  private let listed = Mutex(ListedObjects(bound: .current))

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
    let excess = listed.withLock {
      $0.add(page, prefix: prefix, isFirst: continuing == nil)
    }
    if let excess {
      // The command is not refused: it has more memory than the bound if nothing else limits it.
      Console.note(
        "lifeboat: the repository has more than \(counted(excess.objects, "object")), which may need "
          + "--memory \(excess.bytes >> 20)MiB")
    }
    return page
  }

  func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    let failures = try await base.delete(names)
    Progress.count(.deleted, names.count - failures.count)
    return failures
  }
}
