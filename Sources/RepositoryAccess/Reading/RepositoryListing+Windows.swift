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
      let near = near(span, finder, snapshots)
      var close = finder
      close.snapshots = Dictionary(uniqueKeysWithValues: near.map { ($0.sequence, $0) })
      let last = near.last
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

  /// How many snapshots before the end of a window, and after it, are considered. One of them nearly always
  /// has the end.
  private static let nearMax = 8

  /// The snapshots that describe the end of a window: those before it, and those after it whose newest state
  /// is in the window. A window ends with its last write, and a snapshot of that may be written later.
  private static func near(
    _ span: Chronicle.Window, _ finder: PointFinder, _ snapshots: [Snapshot]
  ) -> [Snapshot] {
    let split = snapshots.partitioningIndex { $0.at > span.to }
    let before = snapshots[..<split].suffix(nearMax).filter { $0.primary != nil }
    let after = snapshots[split...].prefix(nearMax).filter { snapshot in
      finder.newest(of: snapshot).map { $0.instant >= span.from && $0.instant <= span.to } ?? false
    }
    // A clock that went back can put the only snapshot after the end.
    let near = Array(before + after)
    return near.isEmpty ? Array(snapshots.lazy.filter { $0.primary != nil }.prefix(1)) : near
  }
}
