import BackupFormat
import BackupTypes
import HistoryLogic

extension RepositoryListing {
  /// The information in the index of a snapshot's full copy.
  struct Copy {
    var keys: UInt64?
    var isUnverified: Bool
  }

  /// The windows of one timeline, in the order of their ends.
  static func windows(
    _ timeline: Chronicle.Timeline, _ finder: PointFinder, _ snapshots: [Snapshot],
    _ copies: [Int: Copy]
  ) -> [Window] {
    let spans = timeline.windows.map { span -> Window in
      let near = near(span, finder, snapshots)
      var close = finder
      close.snapshots = Dictionary(uniqueKeysWithValues: near.map { ($0.sequence, $0) })
      let last = near.last
      let end = close.last(notAfter: span.to)
      return Window(
        from: span.from, to: span.to, point: end?.id,
        keys: last.flatMap { keys($0, at: end?.cut) }, isCounted: false, isCopy: false,
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

  /// How many keys there are at the end of a window, according to the snapshot nearest to it. Nil if unknown.
  ///
  /// A writer writes a snapshot when the number of keys has changed by much. Below `keysMin` keys it waits
  /// for more of them. So if the snapshot of an emptied database is followed by log that can contain more
  /// keys than the snapshot counts, the number at the end is unknown.
  private static func keys(_ snapshot: Snapshot, at end: LogPosition?) -> UInt64? {
    guard let keys = snapshot.estimate?.keys, keys < KeyCounts.keysMin, let end else {
      return snapshot.estimate?.keys
    }
    guard let open = snapshot.chain?.openSegment, open.timeline == end.timeline,
      open.ordinal == end.ordinal
    else { return nil }
    let reached = snapshot.reached ?? open.from
    let bytes = end.offset > reached ? end.offset - reached : 0
    return bytes / bytesOfKeyMin > keys ? nil : keys
  }

  /// A command that adds a key takes at least this many bytes of log: name and value, each with a length.
  private static let bytesOfKeyMin: UInt64 = 12

  /// How many snapshots before and after the end of a window are considered. One of them nearly always
  /// describes the end.
  private static let nearMax = 8

  /// The snapshots that describe the end of a window: those before it, and those after it whose newest state
  /// is in the window. A window ends with its last write, and the snapshot with that write may be written
  /// later.
  private static func near(
    _ span: Chronicle.Window, _ finder: PointFinder, _ snapshots: [Snapshot]
  ) -> [Snapshot] {
    let split = snapshots.partitioningIndex { $0.at > span.to }
    let before = snapshots[..<split].suffix(nearMax).filter { $0.primary != nil }
    let after = snapshots[split...].prefix(nearMax).filter { snapshot in
      finder.newest(of: snapshot).map { $0.instant >= span.from && $0.instant <= span.to } ?? false
    }
    // If the clock was set back, the only snapshot may be after the end.
    let near = Array(before + after)
    return near.isEmpty ? Array(snapshots.lazy.filter { $0.primary != nil }.prefix(1)) : near
  }
}
