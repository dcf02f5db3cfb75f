import BackupFormat
package import ObjectStorage
import SystemIO

/// Notices a revoked role, or a store that is gone, while Redis is idle: one small authenticated read
/// when nothing else was asked of the store for a while.
package struct StoreProbe: Sendable {
  package var store: any ObjectStore
  package var statistics: StoreStatistics
  /// Milliseconds; at least a second.
  package var interval: Int64

  package init(store: any ObjectStore, statistics: StoreStatistics, interval: Int64) {
    self.store = store
    self.statistics = statistics
    self.interval = max(1000, interval)
  }

  /// Runs until its task is cancelled. The store itself retries, and reports what fails.
  package func run() async {
    let begun = SystemClock.monotonicMilliseconds()
    while !Task.isCancelled {
      let last = statistics.current.lastCall ?? begun
      let left = last + interval - SystemClock.monotonicMilliseconds()
      if left > 0 {
        try? await Task.sleep(for: .milliseconds(left))
      } else if (try? await store.read(ObjectPath.descriptor.text)) == nil {
        // Not there yet, or given up on: the next one is due as ever.
        try? await Task.sleep(for: .milliseconds(interval))
      }
    }
  }
}
