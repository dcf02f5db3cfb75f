import BackupFormat
import BackupTypes

/// Where the chains of a history begin.
extension Answering {
  struct Beginnings {
    /// The last beginning of a chain that is not after the time.
    var last: RestorePoint?
    /// The last beginning whose time is completely over by then. The time of an RDB is a whole second, and
    /// its state is from some moment within it. A requested time in whole seconds means all of that second. A
    /// BASE in AOF form has the time of its last byte; its log had already continued by then.
    var lastOver: RestorePoint?
    /// Whether nothing was written between the point's cut and `last`.
    var isContinued = false
    /// The first beginning after it that does not continue the point's chain.
    var later: RestorePoint?
    var finder: PointFinder
  }

  /// The beginnings of chains that share no log with that of `point`, in order.
  func beginnings(
    behind point: RestorePoint, at: Instant, _ finder: PointFinder, upTo limit: TimelineNumber
  ) throws -> Beginnings {
    var found = Beginnings(finder: finder)
    var logs = logs(behind: point)
    // The timelines since the last one with a state. A timeline has none if its shipper was killed before its
    // BASE was uploaded. The next one may continue its log.
    var withoutState: Set<TimelineNumber> = []
    while true {
      let losses = LossFinder(history, snapshots: found.finder.snapshots.values)
      for sequence in found.finder.snapshots.keys.sorted() {
        let snapshot = found.finder.snapshots[sequence]!
        guard isBehind(snapshot, point) else { continue }
        // A rewrite replaced the files of the point, and nothing was written before it.
        let isContinued = goesOn(snapshot, with: &logs, losses)
        guard let (start, isTimed) = try start(of: snapshot, found.finder) else { continue }
        guard start.instant <= at else {
          if isContinued { continue }
          found.later = start
          return found
        }
        // An old copy that someone put there is not later than the state of the point.
        let before = found.last ?? point
        guard snapshot.primary == .aof, start.instant.since(before.instant) > -1000 else {
          continue
        }
        (found.last, found.isContinued) = (start, isContinued)
        let isOver = at.since(start.instant) >= 999 || at.milliseconds % 1000 == 0
        if isTimed, isOver { found.lastOver = start }
      }
      let number = found.finder.timeline
      guard let next = history.successor(of: number), next.timeline <= limit else { return found }
      let finder = try self.finder(of: next.timeline)
      let isContinued = point.cut.flatMap { history.continuation(of: number, from: $0) } != nil
      if found.finder.snapshots.values.allSatisfy({ $0.primary == nil }) {
        withoutState.insert(number)
      } else {
        withoutState = []
      }
      let isFromThem = next.fork.map { withoutState.contains($0.timeline) } ?? false
      guard
        try isContinued || isFromThem
          || (next.fork == nil && !isBack(finder, behind: found.finder, point))
      else {
        return found
      }
      found.finder = finder
    }
  }

  /// The logs of the point's chain from its cut on.
  private func logs(behind point: RestorePoint) -> Set<Prune.Log> {
    let segments = point.snapshot.chain?.files.flatMap(\.segments) ?? []
    guard let cut = point.cut, let first = segments.firstIndex(where: { $0.isOf(cut) }) else {
      return []
    }
    return Set(segments[first...].map(\.log))
  }

  /// Whether a snapshot shows that its chain directly continues one of `logs`: its chain has one of them,
  /// too, and lost nothing. If so, its logs are added to `logs`.
  ///
  /// For example, snapshot 3 has the files 1 and 2, and snapshot 4, after a rewrite, only file 2. All writes
  /// in between are in file 1 or 2.
  private func goesOn(
    _ snapshot: Snapshot, with logs: inout Set<Prune.Log>, _ losses: LossFinder
  ) -> Bool {
    let own = (snapshot.chain?.files ?? []).flatMap(\.segments).map(\.log)
    guard !logs.isDisjoint(with: own), losses.loss(of: snapshot) == nil else { return false }
    logs.formUnion(own)
    return true
  }

  /// Whether someone went back to an earlier state: a timeline without common log begins with a full copy
  /// that the timeline before it had already continued, or with one that is older than the point. (The second
  /// case is needed because retention may have deleted the evidence for the first.)
  private func isBack(
    _ finder: PointFinder, behind parent: PointFinder, _ point: RestorePoint
  ) throws -> Bool {
    func base(_ snapshot: Snapshot) -> GenerationID? { snapshot.chain?.base?.generation }
    let first = finder.snapshots.sorted { $0.key < $1.key }.map(\.value).first { $0.primary != nil }
    guard let first, let begun = base(first) else { return false }
    let start = first.primary == .aof ? try start(of: first, finder)?.point : nil
    if let start, start.instant.since(point.instant) <= -1000 { return true }
    return parent.snapshots.values.contains {
      base($0) == begun && !history.chain(of: $0).isEmpty
    }
  }

  private func isBehind(_ snapshot: Snapshot, _ point: RestorePoint) -> Bool {
    snapshot.key > point.snapshot.key
      && !(snapshot.chain?.files.flatMap(\.segments) ?? []).contains {
        point.cut.map($0.isOf) ?? false
      }
  }

  /// The state with which a snapshot's point begins, with its time; nil if the snapshot has none.
  func start(of snapshot: Snapshot, _ finder: PointFinder) throws -> (
    point: RestorePoint, isTimed: Bool
  )? {
    guard let newest = finder.newest(of: snapshot) else { return nil }
    if newest.primary == .rdb { return (newest, true) }
    // A log without a BASE begins with an empty state, which nobody wants back.
    guard let base = snapshot.chain?.base else {
      return history.chain(of: snapshot).first.map {
        (
          RestorePoint(snapshot: snapshot, primary: .aof, cut: $0.position, instant: $0.time), true
        )
      }
    }
    guard var start = finder.start(of: snapshot) else { return nil }
    let index = try evidence.index(base.generation)
    start.instant = Instant(
      milliseconds: index.contentAt.milliseconds - index.contentAt.milliseconds % 1000)
    return (start, index.dataset != nil)
  }
}

extension Snapshot.Segment {
  fileprivate var log: Prune.Log { Prune.Log(timeline: timeline, ordinal: ordinal) }
}
