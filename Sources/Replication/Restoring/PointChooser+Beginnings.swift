import BackupFormat
import BackupLogic
import BackupTypes

/// The state at a time, where one chain has ended and another begins with a state of its own: that of its
/// BASE, which no mark shows. A rewrite that nobody saw happen leaves such a place, and so do an AOF that
/// was switched off and on and a shipper that was away.
extension PointChooser {
  /// - Parameters:
  ///   - marked: the last mark not after `at`.
  ///   - followsOn: what the next timeline begins with counts, too.
  /// - Returns: nil if nothing of the timeline is that old.
  func state(
    at: Instant, marked: RestorePoint?, _ finder: PointFinder, followsOn: Bool
  ) async throws -> RestorePoint? {
    var best = marked
    var annotated: Instant?
    if let marked {
      let refined = try await refined(marked, at: at)
      if refined.isExact { return refined.point }
      (best, annotated) = (refined.point, refined.annotated)
    }
    var finder = finder
    if let best, best.timeline != finder.timeline {
      finder = try await self.finder(of: best.timeline)
    }
    if let best, goesOn(best, past: at, finder) { return best }
    var next = try await beginnings(behind: best, at: at, finder, followsOn: followsOn)
    if let begun = next.last {
      if best == nil { annotated = try await lastAnnotation(before: finder.timeline, at: at) }
      // Of a server that annotates: what stands before the first annotation is of the last second before
      // it, at the latest that of the BASE.
      let refined = try await refined(
        begun, at: at, annotated: annotated.map { max($0, begun.instant) })
      if refined.isExact { return refined.point }
      if refined.annotated != nil {
        best = refined.point
      } else {
        if next.lastOver != begun { next.later = begun.instant }
        best = next.lastOver ?? best
      }
      if let best, goesOn(best, past: at, next.finder) { return best }
    }
    if let point = best, point.primary == .aof, let later = next.later, later > point.instant {
      best?.unknownUntil = later
    }
    return best
  }

  /// The last annotation that the timeline before `timeline` has by `at`.
  private func lastAnnotation(before timeline: TimelineNumber, at: Instant) async throws -> Instant?
  {
    guard let parent = reader.history.claims[timeline]?.parent,
      let last = try await finder(of: parent).last(notAfter: at)
    else { return nil }
    return try await refined(last, at: at).annotated
  }

  private func finder(of timeline: TimelineNumber) async throws -> PointFinder {
    PointFinder(
      history: reader.history, timeline: timeline,
      snapshots: try await reader.snapshots(of: timeline))
  }

  /// Whether the point's own log shows that it went on for the whole second of `at`.
  private func goesOn(_ point: RestorePoint, past at: Instant, _ finder: PointFinder) -> Bool {
    guard point.primary == .aof, let last = finder.marks(of: point.snapshot).last else {
      return false
    }
    return last.time.since(at) >= 1000
  }

  private struct Beginnings {
    /// The last state that a chain begins with and that is not after the time.
    var last: RestorePoint?
    /// The last whose time is over by then. The time of an RDB is a second: the state is that of some
    /// moment in it. A BASE in AOF form has the time of its last byte, by which its log had gone on.
    var lastOver: RestorePoint?
    /// When the first begins that is after it.
    var later: Instant?
    var finder: PointFinder
  }

  /// What chains begin with that have nothing in common with the log of `point`, in order.
  private func beginnings(
    behind point: RestorePoint?, at: Instant, _ finder: PointFinder, followsOn: Bool
  ) async throws -> Beginnings {
    var found = Beginnings(finder: finder)
    while true {
      for sequence in found.finder.snapshots.keys.sorted() {
        let snapshot = found.finder.snapshots[sequence]!
        if let point, !isBehind(snapshot, point) { continue }
        guard let (start, isTimed) = try await start(of: snapshot, found.finder) else { continue }
        guard start.instant <= at else {
          found.later = start.instant
          return found
        }
        // An old copy that somebody put there is no state that came after the point's.
        let isLater = (point ?? found.last).map { start.instant.since($0.instant) > -1000 } ?? true
        guard snapshot.primary == .aof, isLater else { continue }
        // Where there is nothing before it, it was there when the timeline was claimed.
        let isFirst = point == nil && found.last == nil
        if isFirst || (isTimed && at.since(start.instant) >= 999) { found.lastOver = start }
        found.last = start
      }
      // One that forked off has its parent's state as its own, and is no later one.
      guard followsOn, point != nil || found.last != nil,
        let next = reader.history.claims.values.filter({ $0.parent == found.finder.timeline })
          .min(by: { $0.timeline < $1.timeline }), next.fork == nil
      else { return found }
      found.finder = try await self.finder(of: next.timeline)
    }
  }

  private func isBehind(_ snapshot: Snapshot, _ point: RestorePoint) -> Bool {
    let segments = snapshot.chain?.files.flatMap(\.segments) ?? []
    return (snapshot.timeline, snapshot.sequence) > (point.timeline, point.snapshot.sequence)
      && !segments.contains {
        $0.timeline == point.cut?.timeline && $0.ordinal == point.cut?.ordinal
      }
  }

  /// The state that a snapshot's point begins with, with its time; nil when it carries none.
  private func start(of snapshot: Snapshot, _ finder: PointFinder) async throws -> (
    point: RestorePoint, isTimed: Bool
  )? {
    guard let newest = finder.newest(of: snapshot) else { return nil }
    if newest.primary == .rdb { return (newest, true) }
    // A log without a BASE begins with nothing, which is no state to go back to.
    guard let base = snapshot.chain?.base else {
      return finder.marks(of: snapshot).first.map {
        (
          RestorePoint(snapshot: snapshot, primary: .aof, cut: $0.position, instant: $0.time), true
        )
      }
    }
    guard var start = finder.start(of: snapshot) else { return nil }
    let index = try await reader.repository.index(base.generation)
    start.instant = index.contentAt
    return (start, index.dataset != nil)
  }
}
