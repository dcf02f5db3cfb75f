import BackupFormat
package import BackupLogic
package import BackupTypes
import ObjectStorage

/// Which restore point was asked for.
package struct PointSelection: Sendable {
  package enum Suspect: String, Sendable, CaseIterable { case newest, before }
  package var at: Instant?
  package var point: String?
  package var timeline: TimelineNumber?
  package var suspect: Suspect?
  /// With `timeline`: its log whose BASE never became durable is restored without a BASE.
  package var isBaseEmpty = false
  /// The state just before the last command of this name, in capitals.
  package var before: String?
  package init() {}
  /// The caller named a restore point, so an older state was asked for.
  package var isNamed: Bool {
    at != nil || point != nil || timeline != nil || before != nil || suspect == .before
  }
}

/// Finds the requested restore point. Reads only the few records that it needs.
package struct PointChooser: Sendable {
  let reader: HistoryReader
  let now: Instant
  /// The value of `--repo`, for commands that are printed.
  let url: String?
  /// Reports progress for the log of each chain that is searched.
  let progress: @Sendable (_ done: UInt64, _ of: UInt64) -> Void

  package init(
    reader: HistoryReader, now: Instant, url: String? = nil,
    progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
  ) {
    self.reader = reader
    self.now = now
    self.url = url
    self.progress = progress
  }

  /// Nil: the repository has no restore point.
  package func choose(_ selection: PointSelection) async throws -> RestorePoint? {
    if let id = selection.point { return try await named(id) }
    if let command = selection.before { return try await last(before: command, selection) }
    if let at = selection.at {
      try await refuseFuture(at)
      return try await state(at: at, selection)
    }
    if selection.isBaseEmpty, let timeline = selection.timeline {
      return try await unfinished(of: timeline)
    }
    if let timeline = selection.timeline {
      guard let point = try await newest(of: timeline) else {
        throw LifeboatError(
          .noBackup, "timeline \(timeline) has no restore point", hint: "see `lifeboat list`")
      }
      return point
    }
    guard let newest = try await reader.newestPoint() else { return nil }
    return try await resolveSuspicion(newest, selection.suspect)
  }

  /// How far the clock of this machine may be behind the one that a person reads a time from.
  private static let clockSlack: Int64 = 60_000

  /// A time in the future is a mistake, as when somebody forgets the zone: what he expects is not what the
  /// newest restore point is.
  private func refuseFuture(_ at: Instant) async throws {
    guard at.since(now) > PointChooser.clockSlack else { return }
    let newest = try await reader.newestUnlessDamaged()
    // This machine's clock may be the one that is wrong.
    if let newest, at.since(newest.instant) <= PointChooser.clockSlack { return }
    throw LifeboatError(
      .usage, "\(at) is in the future: it is \(now)",
      hint: newest.map {
        "the newest restore point is of \($0.instant): restore it with --point \($0.id), or without --at"
      } ?? "`lifeboat list` shows the restore points")
  }

  /// An abandoned branch is read to its own end, past the position where its successor forked off.
  func newest(of timeline: TimelineNumber) async throws -> RestorePoint? {
    try require(timeline)
    return try await reader.newestPoint(of: timeline)
  }

  func require(_ timeline: TimelineNumber) throws(LifeboatError) {
    guard reader.history.claims[timeline] != nil else {
      throw LifeboatError(
        .noBackup, "there is no timeline \(timeline)", hint: "see `lifeboat list`")
    }
  }

  private func named(_ id: String) async throws -> RestorePoint {
    guard let parsed = PointID(id) else {
      throw LifeboatError(
        .usage, "\(printable(id)) is not the id of a restore point",
        hint: "ids look like 3.12 or 3.12@1:4096: see `lifeboat list`")
    }
    guard reader.history.snapshots(of: parsed.timeline).contains(parsed.sequence) else {
      throw LifeboatError(
        .noBackup, "there is no restore point \(printable(id))", hint: "see `lifeboat list`")
    }
    var snapshot = try await reader.snapshot(parsed.timeline, parsed.sequence)
    if parsed.position != nil, snapshot.primary == .rdb {
      // A position is one of the log, also where a server would load the dump instead.
      guard snapshot.chain != nil else {
        throw LifeboatError(
          .noBackup, "\(printable(id)) names a position in a log, and this restore point is a dump",
          hint: "take the dump with --point \(parsed.timeline).\(parsed.sequence)")
      }
      snapshot.primary = .aof
    }
    let finder = PointFinder(
      history: reader.history, timeline: parsed.timeline, snapshots: [parsed.sequence: snapshot])
    guard !reader.history.isQuarantined(snapshot) else {
      throw LifeboatError(
        .corrupt, "the restore point \(printable(id)) begins with a copy that was found damaged",
        cause: "its generation is quarantined",
        hint: "`lifeboat list` shows the others; `lifeboat verify` says what is wrong with it")
    }
    try await checkWhole(snapshot, at: parsed.position, id, by: [snapshot])
    guard var point = finder.newest() else {
      throw LifeboatError(
        .noBackup, "the snapshot \(printable(id)) carries no restore point",
        cause: "its BASE was not durable yet", hint: "see `lifeboat list`")
    }
    if let position = parsed.position {
      if let drop = snapshot.destructive, drop.before == position {
        (point.cut, point.instant) = (position, drop.at)
        return point
      }
      if let start = finder.start(of: snapshot), start.cut == position { return start }
      if point.cut == position { return point }
      guard let mark = reader.history.chain(of: snapshot).mark(at: position) else {
        // A fold replaced the object of that name.
        if let inner = finder.inner(of: snapshot, at: position),
          let point = inner.point(of: try await reader.marks(of: inner), at: position.offset)
        {
          return point
        }
        if let point = try await self.point(of: snapshot, at: position) { return point }
        let others = try await reader.readableSnapshots(of: parsed.timeline).read
        try await checkWhole(snapshot, at: position, id, by: Array(others.values))
        throw LifeboatError(
          .noBackup, "\(printable(id)) is no place where the log can be cut",
          hint: "see `lifeboat list`")
      }
      point.cut = mark.position
      point.instant = mark.time
    }
    return point
  }

  /// Refuses a time outside every recovery window: it has no restore point, and the error names those on
  /// both sides. A window that ends within the requested second contains it.
  func only(_ point: RestorePoint, at: Instant) throws(LifeboatError) -> RestorePoint {
    guard let gap = point.gap, isBefore(point, at) else { return point }
    throw LifeboatError(
      .noBackup, "\(at) lies between two recovery windows",
      cause: "from \(point.instant) until \(gap.until) no log was shipped, or none is kept",
      hint:
        "take the state before it with --point \(point.id) (of \(point.instant)), or the one behind "
        + "it with --point \(gap.next) (of \(gap.until))")
  }

  /// Whether the log of `point` was last seen at its cut before `at`.
  func isBefore(_ point: RestorePoint, _ at: Instant) -> Bool {
    let seen = point.cut.flatMap { reader.history.chain(of: point.snapshot).mark(at: $0)?.time }
    return max(seen ?? point.instant, point.instant) < at
  }

  /// The last known state at a time, with a gap if it is not proved to be the state at that time. Follows
  /// the ancestry of the newest timeline, or of the named one. Of each timeline only the part before its
  /// successor counts.
  package func known(at: Instant, _ selection: PointSelection) async throws -> RestorePoint {
    if let named = selection.timeline { try require(named) }
    var timeline = selection.timeline ?? reader.history.timeline(at: at)
    let limit = selection.timeline ?? reader.history.newestClaim?.timeline ?? .first
    while let number = timeline {
      let finder = PointFinder(
        history: reader.history, timeline: number, snapshots: try await reader.snapshots(of: number)
      )
      let marked = try await last(notAfter: at, finder)
      if let point = try await state(
        at: at, marked: marked, finder, upTo: limit)
      {
        return point
      }
      timeline = reader.history.claims[number]?.parent
    }
    var hint = "see `lifeboat list`"
    if let first = try await reader.firstState() {
      hint = "the first after it is --point \(first.id) of \(first.instant); " + hint
    }
    throw LifeboatError(.noBackup, "there is no restore point at or before \(at)", hint: hint)
  }

  /// Names show the marks at the ends of objects. The marks inside the object that covers the time are read
  /// from it.
  func last(notAfter at: Instant, _ finder: PointFinder) async throws -> RestorePoint? {
    var best = finder.last(notAfter: at)
    for inner in finder.inner(around: at) {
      guard let point = inner.last(of: try await reader.marks(of: inner), notAfter: at) else {
        continue
      }
      if best.map({ point.instant > $0.instant }) ?? true { best = point }
    }
    return best
  }

  /// A timeline that began suspect and whose pin is still in force is never chosen silently.
  private func resolveSuspicion(_ newest: RestorePoint, _ choice: PointSelection.Suspect?)
    async throws
    -> RestorePoint
  {
    guard choice != .newest, reader.history.claims.values.contains(where: { $0.suspicion != nil })
    else { return newest }
    let pins = try await reader.repository.pinsInForce(reader.history.catalogue, now: now).withNames
    guard let (suspicion, pin) = reader.history.openSuspicion(of: newest.timeline, pins: pins)
    else { return newest }
    let snapshot = try await reader.snapshot(pin.timeline, pin.snapshot)
    let finder = PointFinder(
      history: reader.history, timeline: pin.timeline, snapshots: [pin.snapshot: snapshot])
    guard var before = finder.newest(of: snapshot) else { return newest }
    if let position = pin.position {
      before.cut = position
      before = try await named(before.id)
    }
    if choice == .before { return before }
    throw LifeboatError(
      .suspect, "the newest state may be an accident: \(suspicion.detail)",
      cause:
        "newest: \(newest.id) of \(newest.instant); before it: \(before.id) of \(before.instant)",
      hint: "choose with --suspect newest or --suspect before; "
        + "`\(reader.repository.command(url).unpin(suspicion.pin))` accepts the newest for good")
  }
}

/// The id of a restore point, as printed by `list`: `3.12`, or `3.12@1:4096`.
struct PointID: Equatable {
  var timeline: TimelineNumber
  var sequence: Int
  var position: LogPosition?

  init?(_ text: String) {
    let parts = text.split(separator: "@", omittingEmptySubsequences: false)
    let numbers = parts[0].split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count <= 2, numbers.count == 2, let first = Int(numbers[0]),
      let timeline = TimelineNumber(first), let sequence = Int(numbers[1]), sequence > 0
    else { return nil }
    self.timeline = timeline
    self.sequence = sequence
    guard parts.count == 2 else { return }
    var rest = parts[1]
    var logTimeline = timeline
    if let slash = rest.firstIndex(of: "/") {
      guard let number = Int(rest[..<slash]), let other = TimelineNumber(number) else { return nil }
      logTimeline = other
      rest = rest[rest.index(after: slash)...]
    }
    let place = rest.split(separator: ":", omittingEmptySubsequences: false)
    guard place.count == 2, let ordinal = Int(place[0]), ordinal > 0, let offset = UInt64(place[1])
    else { return nil }
    position = LogPosition(timeline: logTimeline, ordinal: ordinal, offset: offset)
  }
}
