import BackupTypes
import HistoryLogic
import ObjectStorage
import Synchronization

/// A store that also keeps the times from complete listings.
final class ListingRecorder: StoreLayer {
  let base: any ObjectStore
  private let seen = Mutex(ObjectTimes())

  init(_ base: any ObjectStore) { self.base = base }

  /// The times from the last complete listing.
  var times: ObjectTimes { seen.withLock { $0 } }

  func list(prefix: String, continuing: String?) async throws -> ListPage {
    let page = try await base.list(prefix: prefix, continuing: continuing)
    guard prefix.isEmpty else { return page }
    seen.withLock { times in
      if continuing == nil { times = ObjectTimes() }
      for entry in page.entries {
        times.add(name: entry.name, size: entry.size, modified: entry.modified)
      }
    }
    return page
  }
}
