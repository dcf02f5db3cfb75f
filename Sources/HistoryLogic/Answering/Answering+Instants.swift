import BackupFormat
import BackupTypes

/// `--at`: the state at a time.
extension Answering {
  /// The last known state not after a time, and how precisely it matches that time.
  struct Known {
    var point: RestorePoint
    var precision: CutSurroundings.Precision
  }

  /// The state at a time. It is no answer if the state needs lost log, or if no log of that time was shipped.
  func state(at: Instant, in selected: TimelineNumber?) throws -> Answer {
    try refuseFuture(at)
    let timeline = selected ?? history.timeline(at: at)
    let message = "the state at \(at) needs a part of the log that is lost"
    guard let found = try known(at: at, in: selected) else {
      // If the beginning of a log without a full copy is lost, the log has no state at all.
      if let lost = try lost(of: timeline, from: nil, until: at) {
        throw try self.lost(message, lost)
      }
      try checkCopies(of: timeline, from: nil, until: at)
      var hint = "`lifeboat list` shows the restore points"
      if let first = try first() {
        hint = "the first after it is --point \(first.id) of \(first.instant); " + hint
      }
      throw LifeboatError(
        .noBackup, "there is no restore point at or before \(at)", hint: hint)
    }
    let point = found.point
    guard isBefore(point, at) else { return .point(point, found.precision) }
    let losses = LossFinder(history, snapshots: try evidence.readable(point.timeline).values)
    if let loss = losses.loss(rightBehind: point) {
      throw try lost(message, LostLog(loss: loss, snapshot: point.snapshot))
    }
    if let lost = try lost(of: timeline, from: point, until: at), isWithoutState(lost) {
      throw try self.lost(message, lost)
    }
    try checkCopies(of: timeline, from: point, until: at)
    // A window that ends within the requested second contains it.
    guard point.gap != nil else { return .point(point, found.precision) }
    let limit = selected ?? history.newestClaim?.timeline ?? .first
    guard try goesOn(point, past: at, by: 0, finder(of: point.timeline), upTo: limit) else {
      return .gap(at: at, before: point)
    }
    var inside = point
    inside.gap = nil
    return .point(inside, found.precision)
  }

  /// How far the clock of this machine may be behind the clock that a person uses.
  private static let clockSlack: Int64 = 60_000

  /// A time in the future is a mistake, for example a forgotten time zone. The caller does not want the
  /// newest restore point.
  private func refuseFuture(_ at: Instant) throws {
    guard at.since(now) > Answering.clockSlack else { return }
    let newest = try newestUnlessDamaged()
    // This machine's own clock may be wrong.
    if let newest, at.since(newest.instant) <= Answering.clockSlack { return }
    throw LifeboatError(
      .usage, "\(at) is in the future: it is \(now)",
      hint: newest.map {
        "the newest restore point is of \($0.instant): restore it with --point \($0.id), or without --at"
      } ?? "`lifeboat list` shows the restore points")
  }

  /// What a restore without a choice would give; nil if that would end at something damaged.
  package func newestUnlessDamaged() throws -> RestorePoint? {
    guard history.notPassed == nil else { return nil }
    do {
      return try newest()
    } catch let error as LifeboatError where error.code == .corrupt && error.missingObject == nil {
      return nil
    }
  }

  /// Whether the log of `point` was last seen at its cut before `at`.
  private func isBefore(_ point: RestorePoint, _ at: Instant) -> Bool {
    let seen = point.cut.flatMap { history.chain(of: point.snapshot).mark(at: $0)?.time }
    return max(seen ?? point.instant, point.instant) < at
  }

  /// The last known state at a time, with a gap if it is not proved to be the state at that time. Follows
  /// the ancestry of the newest timeline, or of the named one. Of each timeline only the part before its
  /// successor counts. Nil: no state is that old.
  func known(at: Instant, in selected: TimelineNumber?) throws -> Known? {
    if let selected { try require(selected) }
    let own = selected ?? history.timeline(at: at)
    var timeline = own
    let limit = selected ?? history.newestClaim?.timeline ?? .first
    while let number = timeline {
      let finder = try finder(of: number)
      let marked = try last(notAfter: at, finder)
      if let known = try known(at: at, marked: marked, finder, upTo: limit) {
        guard selected == nil, number != own, let later = try knownLater(at: at, upTo: limit),
          later.point.instant > known.point.instant
        else { return known }
        return later
      }
      timeline = history.claims[number]?.parent
    }
    return selected == nil ? try knownLater(at: at, upTo: limit) : nil
  }

  /// The state at a time whose timeline has no restore point, because another shipper claimed the next one
  /// before the first upload had ended, or from a listing without its snapshots. The state that the other
  /// shipper uploaded or continued was on disk before its claim, if the time in the file says so. It is the
  /// answer if it is later than what the timelines before have.
  private func knownLater(at: Instant, upTo limit: TimelineNumber) throws -> Known? {
    var timeline = history.timeline(at: at)
    while let number = timeline, let next = history.successor(of: number)?.timeline, next <= limit {
      let finder = try finder(of: next)
      let marked = try last(notAfter: at, finder)
      if let known = try known(at: at, marked: marked, finder, upTo: limit) { return known }
      timeline = next
    }
    return nil
  }

  func finder(of timeline: TimelineNumber) throws -> PointFinder {
    PointFinder(history: history, timeline: timeline, snapshots: try evidence.all(timeline))
  }

  /// The names show the marks at the ends of objects. The marks inside the object that covers the time have
  /// to be read.
  private func last(notAfter at: Instant, _ finder: PointFinder) throws -> RestorePoint? {
    var best = finder.last(notAfter: at)
    for (object, marks) in try evidence.marks(of: finder.inner(around: at)) {
      guard let point = object.last(of: marks, notAfter: at) else { continue }
      if best.map({ finder.isLater(point, than: $0, at: at) }) ?? true { best = point }
    }
    return best
  }

  /// The state at a time between two chains: the second chain begins with the state of its BASE, for which
  /// there is no mark. There are such times if no shipper ran during a rewrite, if the AOF was switched off
  /// and on, and after a pause of the shipper.
  /// - Parameters:
  ///   - marked: the last mark not after `at`.
  ///   - limit: the beginnings of chains in timelines up to this one count, too.
  private func known(
    at: Instant, marked: RestorePoint?, _ finder: PointFinder, upTo limit: TimelineNumber
  ) throws -> Known? {
    func precision(of point: RestorePoint) -> CutSurroundings.Precision {
      point.primary == .rdb ? .copy : .mark
    }
    var found = marked
    var annotated: Instant?
    if found == nil, let first = try firstStart(finder, at: at) {
      found = first
      annotated = try lastAnnotation(before: finder.timeline, at: at).map { max($0, first.instant) }
    }
    guard var known = found else { return nil }
    while true {
      let refined = try refined(known, at: at, annotated: annotated)
      if refined.isExact { return Known(point: refined.point, precision: .second) }
      annotated = refined.annotated
      var best = refined.point
      if annotated == nil { best = try continued(best, at: at, upTo: limit) }
      let finder = try self.finder(of: best.timeline)
      if try goesOn(best, past: at, by: 1000, finder, upTo: limit) {
        return Known(point: best, precision: precision(of: best))
      }
      let next = try beginnings(behind: best, at: at, finder, upTo: limit)
      guard let begun = next.last else {
        return Known(point: best.unknown(until: next.later), precision: precision(of: best))
      }
      // If the server writes annotations, the part before the first one belongs to the last second before it,
      // at the latest to that of the BASE.
      if annotated == nil {
        let tried = try self.refined(begun, at: at)
        if tried.isExact { return Known(point: tried.point, precision: .second) }
        annotated = tried.annotated
      }
      if let second = annotated {
        (known, annotated) = (begun, max(second, begun.instant))
      } else if let over = next.lastOver {
        known = try lastMark(behind: over, at: at)
      } else {
        let point = next.isContinued ? best : best.unknown(until: begun)
        return Known(point: point, precision: precision(of: best))
      }
    }
  }

  /// The last mark not after `at` in the chain that begins with `start`, or `start` itself. A file can have been
  /// written long before the claim under which its log was shipped.
  private func lastMark(behind start: RestorePoint, at: Instant) throws -> RestorePoint {
    guard let last = try last(notAfter: at, finder(of: start.timeline)),
      let cut = last.cut, let from = start.cut, cut > from,
      last.snapshot.chain?.base?.generation == start.snapshot.chain?.base?.generation
    else { return start }
    return last
  }

  /// The state that the timeline begins with, if it existed by `at`. It existed when the timeline was
  /// claimed, whatever the time of its BASE is.
  private func firstStart(_ finder: PointFinder, at: Instant) throws -> RestorePoint? {
    for sequence in finder.snapshots.keys.sorted() {
      let snapshot = finder.snapshots[sequence]!
      guard let start = try start(of: snapshot, finder)?.point else { continue }
      return snapshot.primary == .aof && start.instant <= at ? start : nil
    }
    return nil
  }

  /// Without annotations: if a log continued while no shipper ran, its next mark has the time of the file,
  /// which can be older than the claim under which it was shipped.
  private func continued(_ point: RestorePoint, at: Instant, upTo limit: TimelineNumber) throws
    -> RestorePoint
  {
    guard var cut = point.cut else { return point }
    var best = point
    var number = point.timeline
    while let next = history.continuation(of: number, from: cut), next <= limit {
      number = next
      let finder = try finder(of: next)
      guard finder.newestSnapshot(with: cut) != nil else {
        guard finder.newest() == nil else { break }
        continue
      }
      guard let later = try last(notAfter: at, finder), let end = later.cut, end > cut else {
        break
      }
      (best, cut) = (later, end)
    }
    return best
  }

  /// The last annotation not after `at` in the timeline before `timeline`.
  private func lastAnnotation(before timeline: TimelineNumber, at: Instant) throws -> Instant? {
    guard let parent = history.claims[timeline]?.parent,
      let last = try finder(of: parent).last(notAfter: at)
    else { return nil }
    return try refined(last, at: at).annotated
  }

  /// Whether the log of the point shows that it continued until `margin` after `at`: its own log, or that of
  /// a timeline that continued it. A clean end also counts, since it shows that nothing was written until
  /// then.
  /// - Parameter margin: in milliseconds; a time in whole seconds means all of the second.
  private func goesOn(
    _ point: RestorePoint, past at: Instant, by margin: Int64, _ finder: PointFinder,
    upTo limit: TimelineNumber
  ) throws -> Bool {
    guard point.primary == .aof else { return false }
    func reaches(_ snapshot: Snapshot) -> Bool {
      history.chain(of: snapshot).last.map { $0.time.since(at) >= margin } ?? false
    }
    if reaches(point.snapshot) { return true }
    let isClean = finder.snapshots.values.contains {
      $0.isClean && $0.at.since(at) >= margin && finder.newest(of: $0)?.cut == point.cut
    }
    if isClean { return true }
    var number = point.timeline
    while let cut = point.cut, let next = history.continuation(of: number, from: cut), next <= limit
    {
      number = next
      if let later = try self.finder(of: next).newestSnapshot(with: cut) { return reaches(later) }
    }
    return false
  }

  // MARK: To the second

  private struct Refined {
    var point: RestorePoint
    /// An annotation of a later second proves that nothing is missing.
    var isExact = false
    /// The last annotation not after the time; nil if the server wrote none.
    var annotated: Instant?
  }

  /// With `#TS:` annotations the log itself shows which commands had been executed at `at`: those before the
  /// first annotation of a later second. The part that was not shipped by then is in the log of the timeline
  /// that continued from there. Without annotations, `point` is the answer.
  /// - Parameter annotated: the second of the log after `point`, up to the next annotation.
  private func refined(_ point: RestorePoint, at: Instant, annotated: Instant? = nil) throws
    -> Refined
  {
    var best = Refined(point: point, annotated: annotated)
    guard point.primary == .aof, var cut = point.cut else { return best }
    var timeline: TimelineNumber? = point.timeline
    do {
      while let number = timeline {
        let next = history.continuation(of: number, from: cut)
        let finder = try finder(of: number)
        guard let snapshot = finder.newestSnapshot(with: cut) else {
          // If the shipper of a timeline was killed before there was a restore point, the timeline only marks
          // the end of its predecessor.
          guard finder.newest() == nil else { return best }
          timeline = next
          continue
        }
        let reading = try second(
          SecondQuestion(
            snapshot: snapshot.key, from: cut, fromAt: best.point.instant, margin: 1, at: at,
            annotated: best.annotated))
        guard let end = reading.cut else { return best }
        if !reading.isDoubtful, reading.annotated != nil || reading.isExact,
          end != cut || best.point.cut != cut || number != point.timeline
        {
          best.point = RestorePoint(
            snapshot: snapshot, primary: .aof, cut: end,
            instant: max(point.instant, reading.annotated ?? point.instant))
        }
        if !reading.isDoubtful { best.annotated = reading.annotated }
        best.isExact = reading.isExact
        guard !reading.isExact else { return best }
        cut = end
        // A rewrite after this snapshot may have closed the last file and begun another one.
        if finder.newestSnapshot(with: cut)?.sequence == snapshot.sequence {
          timeline = history.continuation(of: number, from: cut)
        }
      }
    } catch let error as LifeboatError where error.code == .corrupt {
      return best  // the points before what is damaged stay
    }
    return best
  }

  /// Among this many objects there is an annotation, if the server writes any, because each object spans at
  /// least a second.
  private static let annotationSpan = 12

  private func second(_ asked: SecondQuestion) throws -> SecondReading {
    var question = asked
    let reading = try evidence.second(question)
    guard !reading.isExact, reading.annotated == nil else { return reading }
    question.margin = Answering.annotationSpan
    let wider = try evidence.second(question)
    guard wider.isUndated else { return wider }
    // The server writes annotations, at least later. Under high load one second has many objects.
    question.margin = 10 * Answering.annotationSpan
    return try evidence.second(question)
  }
}

extension History {
  /// The timeline that continues where `number` ends, if `cut` is that end; nil if it forked off earlier
  /// because someone went back to an earlier state.
  func continuation(of number: TimelineNumber, from cut: LogPosition) -> TimelineNumber? {
    guard let next = successor(of: number) else { return nil }
    // A timeline without its own log ends where it began.
    guard let end = next.end?.ordinals.last else { return next.timeline }
    let last = LogPosition(timeline: number, ordinal: end.ordinal, offset: end.offset)
    return cut.timeline == number && cut >= last ? next.timeline : nil
  }
}

extension PointFinder {
  /// The newest snapshot whose chain contains `position`: it shows how the log continues.
  func newestSnapshot(with position: LogPosition) -> Snapshot? {
    snapshots.sorted { $0.key > $1.key }.map(\.value).first {
      $0.primary == .aof
        && $0.chain?.files.flatMap(\.segments).contains {
          $0.isOf(position) && $0.from <= position.offset
            && $0.to.map { position.offset <= $0 } ?? true
        } ?? false
    }
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
