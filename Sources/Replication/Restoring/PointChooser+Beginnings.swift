import BackupFormat
import BackupLogic
import BackupTypes

/// The state at a time between two chains: the second chain begins with the state of its BASE, which no
/// mark shows. Such a place exists after a rewrite that no shipper saw, after the AOF was switched off and
/// on, and after a pause of the shipper.
extension PointChooser {
  /// - Parameters:
  ///   - marked: the last mark not after `at`.
  ///   - limit: the beginnings of timelines up to this one count, too.
  /// - Returns: nil if nothing in the timeline is that old.
  func state(
    at: Instant, marked: RestorePoint?, _ finder: PointFinder, upTo limit: TimelineNumber
  ) async throws -> RestorePoint? {
    var known = marked
    var annotated: Instant?
    if known == nil, let first = try await firstStart(finder, at: at) {
      known = first
      annotated = try await lastAnnotation(before: finder.timeline, at: at).map {
        max($0, first.instant)
      }
    }
    guard var known else { return nil }
    while true {
      let refined = try await refined(known, at: at, annotated: annotated)
      if refined.isExact { return refined.point }
      annotated = refined.annotated
      var best = refined.point
      if annotated == nil { best = try await continued(best, at: at, upTo: limit) }
      let finder = try await self.finder(of: best.timeline)
      if goesOn(best, past: at, finder) { return best }
      let next = try await beginnings(behind: best, at: at, finder, upTo: limit)
      guard let begun = next.last else { return best.unknown(until: next.later) }
      // For a server that annotates: the part before the first annotation belongs to the last second before
      // it, at the latest to that of the BASE.
      if annotated == nil {
        let tried = try await self.refined(begun, at: at)
        if tried.isExact { return tried.point }
        annotated = tried.annotated
      }
      if let second = annotated {
        (known, annotated) = (begun, max(second, begun.instant))
      } else if let over = next.lastOver {
        known = over
      } else {
        return best.unknown(until: begun)
      }
    }
  }

  /// The state with which the timeline begins, if it existed by `at`. The state exists when the timeline is
  /// claimed, whatever the time of its BASE.
  private func firstStart(_ finder: PointFinder, at: Instant) async throws -> RestorePoint? {
    for sequence in finder.snapshots.keys.sorted() {
      let snapshot = finder.snapshots[sequence]!
      guard let start = try await start(of: snapshot, finder)?.point else { continue }
      return snapshot.primary == .aof && start.instant <= at ? start : nil
    }
    return nil
  }

  /// Without annotations: if a log continued while no shipper ran, its next mark comes from the file
  /// itself, and can be older than the claim under which it was shipped.
  private func continued(_ point: RestorePoint, at: Instant, upTo limit: TimelineNumber)
    async throws
    -> RestorePoint
  {
    guard var cut = point.cut else { return point }
    var best = point
    var number = point.timeline
    while let next = continuation(of: number, from: cut), next <= limit {
      number = next
      let finder = try await finder(of: next)
      guard try await newestSnapshot(with: cut, of: next) != nil else {
        guard finder.newest() == nil else { break }
        continue
      }
      guard let later = try await last(notAfter: at, finder), let end = later.cut, end > cut else {
        break
      }
      (best, cut) = (later, end)
    }
    return best
  }

  /// The last annotation not after `at` in the timeline before `timeline`.
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

  /// Whether the point's own log shows that it continued for the whole second of `at`, or a clean end shows
  /// that nothing was written until then.
  private func goesOn(_ point: RestorePoint, past at: Instant, _ finder: PointFinder) -> Bool {
    guard point.primary == .aof, let last = reader.history.chain(of: point.snapshot).last else {
      return false
    }
    if last.time.since(at) >= 1000 { return true }
    return finder.snapshots.values.contains {
      $0.isClean && $0.at >= at && finder.newest(of: $0)?.cut == point.cut
    }
  }

  private struct Beginnings {
    /// The last beginning of a chain that is not after the time.
    var last: RestorePoint?
    /// The last beginning whose time is completely over by then. The time of an RDB is a whole second, and
    /// its state is from some moment in it; a time to the second means all of that second. A BASE in AOF
    /// form has the time of its last byte, by which its log had continued.
    var lastOver: RestorePoint?
    /// The first beginning after it.
    var later: RestorePoint?
    var finder: PointFinder
  }

  /// The beginnings of chains that share no log with that of `point`, in order.
  private func beginnings(
    behind point: RestorePoint, at: Instant, _ finder: PointFinder, upTo limit: TimelineNumber
  ) async throws -> Beginnings {
    var found = Beginnings(finder: finder)
    while true {
      for sequence in found.finder.snapshots.keys.sorted() {
        let snapshot = found.finder.snapshots[sequence]!
        guard isBehind(snapshot, point),
          let (start, isTimed) = try await start(of: snapshot, found.finder)
        else { continue }
        guard start.instant <= at else {
          found.later = start
          return found
        }
        // An old copy that somebody put there is not a state from after the point's.
        let before = found.last ?? point
        guard snapshot.primary == .aof, start.instant.since(before.instant) > -1000 else {
          continue
        }
        found.last = start
        let isOver = at.since(start.instant) >= 999 || at.milliseconds % 1000 == 0
        if isTimed, isOver { found.lastOver = start }
      }
      let number = found.finder.timeline
      guard
        let next = reader.history.successor(of: number), next.timeline <= limit
      else { return found }
      let finder = try await self.finder(of: next.timeline)
      let isContinued = point.cut.flatMap { continuation(of: number, from: $0) } != nil
      guard isContinued || (next.fork == nil && !isBack(finder, behind: found.finder)) else {
        return found
      }
      found.finder = finder
    }
  }

  /// Whether a timeline without common log begins with a full copy from which the timeline before it had
  /// continued: somebody went back to it.
  private func isBack(_ finder: PointFinder, behind parent: PointFinder) -> Bool {
    func base(_ snapshot: Snapshot) -> GenerationID? { snapshot.chain?.base?.generation }
    let first = finder.snapshots.sorted { $0.key < $1.key }.map(\.value).first { $0.primary != nil }
    guard let first, let begun = base(first) else { return false }
    return parent.snapshots.values.contains {
      base($0) == begun && !reader.history.chain(of: $0).isEmpty
    }
  }

  private func isBehind(_ snapshot: Snapshot, _ point: RestorePoint) -> Bool {
    let segments = snapshot.chain?.files.flatMap(\.segments) ?? []
    return (snapshot.timeline, snapshot.sequence) > (point.timeline, point.snapshot.sequence)
      && !segments.contains {
        $0.timeline == point.cut?.timeline && $0.ordinal == point.cut?.ordinal
      }
  }

  /// The state with which a snapshot's point begins, with its time; nil if the snapshot has none.
  private func start(of snapshot: Snapshot, _ finder: PointFinder) async throws -> (
    point: RestorePoint, isTimed: Bool
  )? {
    guard let newest = finder.newest(of: snapshot) else { return nil }
    if newest.primary == .rdb { return (newest, true) }
    // A log without a BASE begins with nothing, which is not a state to go back to.
    guard let base = snapshot.chain?.base else {
      return reader.history.chain(of: snapshot).first.map {
        (
          RestorePoint(snapshot: snapshot, primary: .aof, cut: $0.position, instant: $0.time), true
        )
      }
    }
    guard var start = finder.start(of: snapshot) else { return nil }
    let index = try await reader.repository.index(base.generation)
    start.instant = Instant(
      milliseconds: index.contentAt.milliseconds - index.contentAt.milliseconds % 1000)
    return (start, index.dataset != nil)
  }
}

extension RestorePoint {
  fileprivate func unknown(until later: RestorePoint?) -> RestorePoint {
    var copy = self
    if primary == .aof {
      copy.gap = later.map { Gap(until: max($0.instant, instant), next: $0.id) }
    }
    return copy
  }
}
