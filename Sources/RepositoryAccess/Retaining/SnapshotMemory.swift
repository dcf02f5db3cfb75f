import BackupFormat
import HistoryLogic
import Synchronization

/// Snapshots that were read. They never change, so a shipper that prunes every hour reads each only once.
/// It holds as many as the repository has.
package final class SnapshotMemory: Sendable {
  /// Nil: another process wrote it.
  private let known = Mutex<[SnapshotKey: Snapshot?]>([:])

  package init() {}

  /// Nil: not known yet.
  func snapshot(_ key: SnapshotKey) -> Snapshot?? { known.withLock { $0[key] } }

  func note(_ snapshot: Snapshot?, _ key: SnapshotKey) {
    known.withLock { _ = $0.updateValue(snapshot, forKey: key) }
  }

  func forget(except keys: Set<SnapshotKey>) {
    known.withLock { known in known = known.filter { keys.contains($0.key) } }
  }
}
