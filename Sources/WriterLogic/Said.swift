package import BackupFormat
import BackupTypes

/// What the durable snapshots have recorded so far.
package struct Said: Sendable {
  /// The last snapshot of this timeline.
  package private(set) var last: Snapshot?
  /// The kind of the newest restore point, also of one before this timeline.
  private(set) var primary: Snapshot.Primary?
  /// Ordinals that a snapshot names. Log of other ordinals is never sent.
  private(set) var named: Set<Int> = []
  /// The last mark of the history before this timeline, if that ended with a log.
  let historyEnd: Instant?

  init(_ comparison: Comparison) {
    primary = comparison.before.map { $0.position == nil ? .rdb : .aof }
    historyEnd = comparison.before?.position == nil ? nil : comparison.lastMark
  }

  /// A snapshot is durable.
  mutating func note(_ snapshot: Snapshot) {
    last = snapshot
    named.formUnion(snapshot.ownOrdinals)
    primary = snapshot.primary ?? primary
  }

  var isDumpNewest: Bool { primary == .rdb }
  var nextSequence: Int { (last?.sequence ?? 0) + 1 }
  /// A restore point of this timeline was named.
  var hasPoint: Bool { last?.primary != nil }
}
