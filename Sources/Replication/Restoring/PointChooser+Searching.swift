import BackupFormat
import BackupLogic
import BackupTypes
import RedisFormats

/// Restore points that names and marks don't show. They are found by reading the log.
extension PointChooser {
  /// A restore point just before something in the log.
  struct Found {
    var occurrence: LogSearch.Occurrence
    var point: RestorePoint
  }

  // MARK: Before a command

  /// The state just before the last `command`. Follows the ancestry of the newest timeline, as for a time.
  func last(before command: String, _ selection: PointSelection) async throws -> RestorePoint {
    var all: [Found] = []
    var isSearched = false
    var isAll = true
    var newest = try await reader.newestPoint()
    if let timeline = selection.timeline { newest = try await self.newest(of: timeline) }
    guard let newest else { throw LifeboatError(.noBackup, "there is no restore point yet") }
    try await search(
      .command(command), from: newest.snapshot, followsAncestry: selection.timeline == nil
    ) { found, leftOut in
      isSearched = true
      isAll = isAll && leftOut == 0
      all = found + all
      // Only if the last one leads nowhere is everything searched, to show what there is.
      return all.last.map { $0.occurrence.keysBefore == 0 } ?? true
    }
    let timeline = newest.timeline
    guard let last = all.last else {
      if let lost = try await lost(of: timeline, from: nil, until: now) {
        throw try await lostError(
          "there is no \(printable(command)) in the log, and some of the log is lost", lost)
      }
      throw LifeboatError(
        .noBackup, "there is no \(printable(command)) in the log",
        cause: isSearched
          ? "the log of every restore point was read"
          : "no restore point has a log: there are only dumps",
        hint: "`lifeboat inspect` shows what removed data; choose a time with --at")
    }
    guard last.occurrence.keysBefore == 0 else {
      var point = last.point
      if let lost = try await lost(of: timeline, from: point, until: now) ?? lost(in: point) {
        point.warning =
          "log behind this \(printable(command)) is lost: a later one may have been in it "
          + "(\(lost.loss.what))"
      }
      return point
    }
    let listed = all.suffix(20).map {
      "--point \($0.point.id) (\($0.occurrence.at), \($0.occurrence.keysBefore) keys)"
    }
    throw LifeboatError(
      .suspect,
      "before the last \(printable(command)), of \(last.occurrence.at), there were no keys",
      cause: "\(all.count)\(isAll ? "" : " and more") in the log: "
        + listed.joined(separator: ", "),
      hint: "choose one: restore --point ID")
  }

  /// Searches the log of `newest`, and of the snapshots before it in its timeline and that timeline's
  /// ancestors. `take` gets what one chain contains and no later chain did, in order. It returns whether to
  /// continue.
  /// - Parameter known: the result for the chain of `newest`, if it was read before.
  func search(
    _ question: LogSearch.Question, from newest: Snapshot, followsAncestry: Bool,
    known: LogSearch? = nil, take: (_ found: [Found], _ leftOut: Int) -> Bool
  ) async throws {
    struct File: Hashable {
      var timeline: TimelineNumber
      var ordinal: Int
    }
    var searched: Set<File> = []
    var fork: LogPosition?
    var timeline: TimelineNumber? = newest.timeline
    while let number = timeline {
      let snapshots = try await reader.snapshots(of: number)
      for (sequence, snapshot) in snapshots.sorted(by: { $0.key > $1.key })
      where snapshot.primary == .aof && snapshot.chain != nil
        && (number < newest.timeline || sequence <= newest.sequence)
      {
        let files = Set(
          snapshot.chain!.files.flatMap(\.segments).map {
            File(timeline: $0.timeline, ordinal: $0.ordinal)
          })
        guard !files.isSubset(of: searched) else { continue }
        let (found, leftOut) =
          if let known, snapshot == newest { self.found(by: known, snapshot) } else {
            try await search(question, snapshot)
          }
        let new = found.filter { one in
          let before = one.occurrence.before
          if let fork, before.timeline == number, before >= fork { return false }
          return !searched.contains(File(timeline: before.timeline, ordinal: before.ordinal))
        }
        searched.formUnion(files)
        guard take(new, leftOut) else { return }
      }
      let claim = reader.history.claims[number]
      fork = claim?.fork
      timeline = followsAncestry ? claim?.parent : nil
    }
  }

  // MARK: To the second

  struct Refined {
    var point: RestorePoint
    /// An annotation of a later second proves that nothing is missing.
    var isExact = false
    /// The last annotation not after the time; nil if the server wrote none.
    var annotated: Instant?
  }

  /// With `#TS:` annotations the log itself shows what had been executed at `at`: everything up to the
  /// first annotation of a later second. The part that was not shipped by then is in the log of the
  /// timeline that continued from there. Without any annotation, `point` is the answer.
  /// - Parameter annotated: the second of the log after `point`, up to the next annotation.
  func refined(_ point: RestorePoint, at: Instant, annotated: Instant? = nil) async throws
    -> Refined
  {
    var best = Refined(point: point, annotated: annotated)
    guard point.primary == .aof, var cut = point.cut else { return best }
    var timeline: TimelineNumber? = point.timeline
    do {
      while let number = timeline {
        let next = continuation(of: number, from: cut)
        guard let snapshot = try await newestSnapshot(with: cut, of: number) else {
          // A timeline that was killed before it had a restore point only marks an end.
          guard try await reader.newestPoint(of: number) == nil else { return best }
          timeline = next
          continue
        }
        let reading = try await read(
          snapshot, from: cut, of: best.point.instant, at: at, annotated: best.annotated)
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
        // A rewrite after this snapshot may have closed its last file and opened another.
        let newest = try await newestSnapshot(with: cut, of: number)
        if newest?.sequence == snapshot.sequence { timeline = continuation(of: number, from: cut) }
      }
    } catch let error as LifeboatError where error.code == .corrupt {
      return best  // the points before what is damaged stay
    }
    return best
  }

  /// The timeline that continues where `number` ends, if `cut` is that end; nil if it forked off earlier
  /// because somebody went back to an earlier state.
  func continuation(of number: TimelineNumber, from cut: LogPosition) -> TimelineNumber? {
    let claims = reader.history.claims.values
    guard let next = claims.filter({ $0.parent == number }).min(by: { $0.timeline < $1.timeline })
    else { return nil }
    // A timeline without log of its own ends where it began.
    guard let end = next.end?.ordinals.last else { return next.timeline }
    let last = LogPosition(timeline: number, ordinal: end.ordinal, offset: end.offset)
    return cut.timeline == number && cut >= last ? next.timeline : nil
  }

  private struct Reading {
    /// Where everything up to the wanted second ends, as far as it was read; nil if the log does not show
    /// it.
    var cut: LogPosition?
    var annotated: Instant?
    /// Something of a later second was found.
    var isExact = false
    /// The log continued for long after its last annotation: either the server stopped writing annotations,
    /// or this is the beginning of a large transaction.
    var isDoubtful = false
    /// An annotation of a later second was found, but no annotation comes before the commands in front of it.
    var isUndated = false
  }

  /// This many objects contain an annotation, if the server writes any, because each object spans at least
  /// a second.
  private static let annotationSpan = 12

  private func read(
    _ snapshot: Snapshot, from cut: LogPosition, of cutAt: Instant, at: Instant,
    annotated: Instant?
  ) async throws -> Reading {
    func read(margin: Int) async throws -> Reading {
      try await self.read(
        snapshot, from: cut, of: cutAt, margin: margin, at: at, annotated: annotated)
    }
    let reading = try await read(margin: 1)
    guard !reading.isExact, reading.annotated == nil else { return reading }
    let second = try await read(margin: PointChooser.annotationSpan)
    guard second.isUndated else { return second }
    // The server writes annotations, at least later. At full speed a second has many objects.
    return try await read(margin: 10 * PointChooser.annotationSpan)
  }

  private func read(
    _ snapshot: Snapshot, from cut: LogPosition, of cutAt: Instant, margin: Int, at: Instant,
    annotated: Instant?
  ) async throws -> Reading {
    var reading = Reading(annotated: annotated)
    var lastCut = cut
    var seenAt: Instant?
    var isSilent = false
    // Whether there is a command after the cut and after the last annotation.
    var hasMore = false
    let cutPlace = place(cut, in: snapshot)
    // Starts before the cut, because the last annotation there applies to what follows, too.
    let walk = LogWalk(reader: reader, snapshot: snapshot)
    let end = try await walk.run(from: cut, margin: margin) { step in
      if step.isCut { lastCut = step.place }
      if case .timestamp(let seconds, _) = step.event {
        let second = Instant(seconds: seconds)
        if second > at {
          guard
            !hasMore
              || isDated(until: second, seenAt, after: reading.annotated, cutAt)
          else {
            isSilent = true
            reading.isUndated = reading.annotated == nil
            return false
          }
          reading.cut = lastCut
          reading.isExact = true
          return false
        }
        reading.annotated = second
        hasMore = false
      } else if !hasMore, place(step.place, in: snapshot) >= cutPlace {
        hasMore = true
      } else if reading.annotated == nil, let seenAt, step.seenAt > seenAt,
        seenAt.since(at) > PointChooser.annotationGapMax
      {
        // A whole object from so long after it contains none: the server writes no annotations.
        isSilent = true
        return false
      }
      seenAt = step.seenAt
      return true
    }
    guard !isSilent, !reading.isExact, let end, let seenAt else { return reading }
    // A log without any annotation yet continues in the second in which it began.
    reading.isDoubtful =
      reading.annotated.map { seenAt.since($0) >= PointChooser.annotationGapMax } ?? false
    reading.cut = later(end, cut, in: snapshot)
    return reading
  }

  /// Whether annotations date the commands between the cut and the annotation of `next`.
  ///
  /// An annotation dates what follows it. What is before it belongs to the second of the annotation before,
  /// if the server wrote annotations then. For example, they were switched on after an accident: nothing dates
  /// the accident, which may have happened after the wanted time. A file begins without an annotation for at most a
  /// second, which is the last one of the file before it.
  /// - Parameters:
  ///   - seenAt: when the last command was seen.
  ///   - annotated: the annotation before these commands; nil if there is none.
  ///   - cutAt: a time at which the state at the cut existed.
  private func isDated(
    until next: Instant, _ seenAt: Instant?, after annotated: Instant?, _ cutAt: Instant
  ) -> Bool {
    guard let seenAt else { return true }
    if let annotated {
      // If they were seen together with `next`, nothing shows that there was a pause.
      return seenAt >= next || seenAt.since(annotated) <= PointChooser.annotationGapMax
    }
    let last = seenAt < next ? seenAt : next.advanced(byMilliseconds: 1000)
    return last.since(cutAt) <= 3000
  }

  private func place(_ position: LogPosition, in snapshot: Snapshot) -> (
    segment: Int, offset: UInt64
  ) {
    snapshot.chain?.order(of: position) ?? (0, position.offset)
  }

  /// The later of two positions in a chain. Its first files can belong to an earlier timeline than the
  /// files before them.
  private func later(_ one: LogPosition, _ other: LogPosition, in snapshot: Snapshot) -> LogPosition
  {
    guard let chain = snapshot.chain else { return other }
    return chain.order(of: one) < chain.order(of: other) ? other : one
  }

  /// If a log continued for longer than this after its last annotation, the server had stopped writing
  /// annotations; in milliseconds.
  private static let annotationGapMax: Int64 = 10_000

  /// The newest snapshot of a timeline whose chain contains `position`: it shows how the log continues.
  func newestSnapshot(with position: LogPosition, of timeline: TimelineNumber) async throws
    -> Snapshot?
  {
    try await reader.snapshots(of: timeline).sorted { $0.key > $1.key }.map(\.value).first {
      $0.primary == .aof
        && $0.chain?.files.flatMap(\.segments).contains {
          $0.timeline == position.timeline && $0.ordinal == position.ordinal
            && $0.from <= position.offset && $0.to.map { position.offset <= $0 } ?? true
        } ?? false
    }
  }

  // MARK: By its id

  /// The restore point of `snapshot` at `position`, if a command begins there and no transaction is open.
  func point(of snapshot: Snapshot, at position: LogPosition) async throws -> RestorePoint? {
    guard snapshot.primary == .aof else { return nil }
    var found: Instant?
    do {
      try await LogWalk(reader: reader, snapshot: snapshot).run(from: position) { step in
        if step.place == position, step.isCut { found = step.seenAt }
        return step.place < position
      }
    } catch let error as LifeboatError where error.code == .corrupt {
      return nil
    }
    return found.map {
      RestorePoint(snapshot: snapshot, primary: .aof, cut: position, instant: $0)
    }
  }
}
