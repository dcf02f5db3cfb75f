import BackupFormat
import BackupTypes
import HistoryLogic

extension RepositoryListing {
  /// What the index of a snapshot's full copy says.
  struct Copy {
    var keys: UInt64?
    var isUnverified: Bool
  }

  /// Of one timeline, in the order of their ends.
  static func windows(
    _ timeline: Chronicle.Timeline, _ finder: PointFinder, _ snapshots: [Snapshot],
    _ copies: [Int: Copy]
  ) -> [Window] {
    let spans = timeline.windows.map { span -> Window in
      let before = snapshots[..<snapshots.partitioningIndex { $0.at > span.to }].suffix(nearMax)
      // A clock that went back can leave all of them behind the end.
      let near = before.isEmpty ? snapshots.prefix(1) : before
      var close = finder
      close.snapshots = Dictionary(uniqueKeysWithValues: near.map { ($0.sequence, $0) })
      let last = near.last { $0.primary != nil }
      return Window(
        from: span.from, to: span.to, point: close.last(notAfter: span.to)?.id,
        keys: last?.estimate?.keys, isCounted: false, isCopy: false,
        isAbandoned: span.isAbandoned,
        isUnverified: last.flatMap { copies[$0.sequence]?.isUnverified } ?? false)
    }
    let points = timeline.points.map { point -> Window in
      let copy = PointID(point.id).flatMap { copies[$0.sequence] }
      return Window(
        from: point.at, to: point.at, point: point.id, keys: copy?.keys, isCounted: true,
        isCopy: true, isAbandoned: false, isUnverified: copy?.isUnverified ?? false)
    }
    return (spans + points).sorted { ($0.to, $0.from) < ($1.to, $1.from) }
  }

  /// How many snapshots before the end of a window are read at most. The last one nearly always reaches it.
  private static let nearMax = 8
}
