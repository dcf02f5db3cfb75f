package import BackupFormat
package import BackupTypes

/// Makes a `Chronicle` of a history whose records are read one after another. It keeps only what is shown.
package struct ChronicleBuilder: Sendable {
  package enum Bounds {
    package static let timelines = 100
    /// Of one timeline, of the present history and of abandoned branches each.
    package static let windows = 200
    package static let points = 400
    /// Of all timelines together.
    package static let windowsOfAll = 2000
    package static let pointsOfAll = 2000
    package static let earlier = 200
    /// Of each kind.
    package static let events = 100
    package static let generations = 400
    package static let removals = 5
    package static let pins = 100
  }
  /// How long a loss of keys without a known command counts as open, in milliseconds. There is no pin that a
  /// person could release to accept it.
  private static let openMax: Int64 = 7 * 86_400_000

  private let history: History
  private var chronicle: Chronicle
  private var events: [Chronicle.Event.Kind: [Chronicle.Event]] = [:]
  private var eventCounts: [Chronicle.Event.Kind: Int] = [:]
  private var cuts: [TimelineNumber: LogPosition] = [:]
  private var generations: [Chronicle.Generation] = []
  private var timelinesSeen = 0
  private var earlier = WindowUnion()
  private var counts = KeyCounts()
  private var removals: [Chronicle.Removal] = []
  private var pins: [Chronicle.PinEntry] = []

  package init(
    history: History, descriptor: Descriptor, location: String, now: Instant
  ) {
    self.history = history
    let catalogue = history.catalogue
    chronicle = Chronicle(
      repository: descriptor.repository.hexadecimal, location: printable(location),
      cipher: descriptor.cipher.rawValue, readAt: now, objects: catalogue.objects,
      bytes: catalogue.bytes, foreignObjects: catalogue.foreign)
    for claim in history.claims.values { cut(by: claim) }
  }

  /// The generations worth reading, the newest ones.
  package var generationsWanted: [GenerationID] {
    history.catalogue.times.generations.suffix(Bounds.generations)
  }

  /// Everything after a fork, up to the end of the parent, is not part of the present history.
  private mutating func cut(by claim: Claim) {
    guard let fork = claim.fork, let parent = claim.parent else { return }
    for number in history.claims.keys where number >= fork.timeline && number <= parent {
      cuts[number] = min(cuts[number] ?? fork, fork)
    }
  }

  /// Adds a timeline and its snapshots, by sequence. Call with timelines in ascending order.
  /// - Returns: the timeline as it is drawn; nil if it has no claim.
  @discardableResult
  package mutating func add(_ number: TimelineNumber, _ snapshots: some Sequence<SnapshotTrace>)
    -> Chronicle.Timeline?
  {
    guard let claim = history.claims[number] else { return nil }
    // If somebody went back to an earlier state, the question is answered. A suspect start asks its own
    // question.
    if claim.suspicion != nil || chronicle.timelines.last?.isAbandoned == true {
      counts = KeyCounts()
    }
    var windows = TimelineWindows(history: history, number: number, cut: cuts[number])
    note(claim)
    var previous: SnapshotTrace?
    var count = 0
    for snapshot in snapshots {
      windows.add(snapshot)
      note(snapshot, after: previous, number)
      if snapshot.primary != nil { previous = snapshot }
      count += 1
    }
    timelinesSeen += 1
    let made = Chronicle.Timeline(
      number: number, source: printable(claim.source), instance: printable(claim.instance),
      claimedAt: claim.claimedAt, parent: claim.parent, fork: claim.fork?.description,
      isClosed: windows.isClosed, suspicion: claim.suspicion.map { printable($0.detail) },
      snapshots: count, windows: windows.windows(atMost: Bounds.windows),
      points: windows.points.suffix(Bounds.points))
    chronicle.timelines.append(made)
    chronicle.pointsLeftOut += max(0, windows.points.count - Bounds.points)
    if chronicle.timelines.count > Bounds.timelines { leaveOutOldest() }
    return made
  }

  /// With a thousand restarts, the oldest timelines are not shown. Their windows in the present history stay.
  private mutating func leaveOutOldest() {
    let timeline = chronicle.timelines.removeFirst()
    for window in timeline.windows where !window.isAbandoned { earlier.add(window.from, window.to) }
    for point in timeline.points { earlier.add(point.at, point.at) }
    if earlier.spans.count > 2 * Bounds.earlier { earlier = earlier.reduced(to: Bounds.earlier) }
  }

  private func removals(pins: [Chronicle.PinEntry]) -> [Chronicle.Removal] {
    var made = Array(removals.suffix(Bounds.removals))
    for index in made.indices {
      let pin = pins.last { "--point " + $0.point == made[index].restore }
      made[index].pin = pin?.id
      made[index].isOpen =
        made[index].command != nil
        ? pin != nil
        : counts.isFallen && index == made.count - 1
          && chronicle.readAt.since(made[index].at) <= ChronicleBuilder.openMax
      made[index].isRefilled = isRefilled(made[index])
    }
    return made
  }

  /// Whether the snapshots, or else the full copies, say that there are about as many keys as before.
  private func isRefilled(_ removal: Chronicle.Removal) -> Bool {
    let copies = generations.filter { $0.keys != nil }.sorted { $0.at < $1.at }
    let before = removal.keysBefore ?? copies.last { $0.at <= removal.at }?.keys
    let now =
      counts.latest.flatMap { $0.at >= removal.at ? $0.keys : nil }
      ?? copies.last { $0.at > removal.at }?.keys
    guard let before, let now else { return false }
    return now >= max(1, before / KeyCounts.factor)
  }

  /// If all timelines together have too much to be drawn, each gets its share.
  private static func reduce(_ made: inout Chronicle) {
    let windows = made.timelines.reduce(0) { $0 + $1.windows.count }
    let points = made.timelines.reduce(0) { $0 + $1.points.count }
    for index in made.timelines.indices {
      if windows > Bounds.windowsOfAll {
        let share = max(2, Bounds.windowsOfAll / (2 * made.timelines.count))
        made.timelines[index].windows = reduced(made.timelines[index].windows, to: share)
      }
      if points > Bounds.pointsOfAll {
        let share = max(1, Bounds.pointsOfAll / made.timelines.count)
        let had = made.timelines[index].points
        made.timelines[index].points = had.suffix(share)
        made.pointsLeftOut += max(0, had.count - share)
      }
    }
  }

  private static func reduced(_ windows: [Chronicle.Window], to count: Int) -> [Chronicle.Window] {
    [false, true].flatMap { isAbandoned -> [Chronicle.Window] in
      var union = WindowUnion()
      for window in windows where window.isAbandoned == isAbandoned {
        union.add(window.from, window.to)
      }
      return union.closed(to: count).map {
        Chronicle.Window(from: $0.from, to: $0.to, isAbandoned: isAbandoned)
      }
    }.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
  }

  private mutating func note(_ claim: Claim) {
    let by = "\(printable(claim.source, limit: 80)), \(printable(claim.writer, limit: 40))"
    note(.claim, claim.claimedAt, claim.timeline, by)
    guard let suspicion = claim.suspicion else { return }
    note(.suspect, claim.claimedAt, claim.timeline, printable(suspicion.detail))
  }

  private mutating func note(
    _ snapshot: SnapshotTrace, after previous: SnapshotTrace?, _ number: TimelineNumber
  ) {
    if let drop = snapshot.destructive {
      let id = pointID(number, snapshot.sequence, drop.before)
      let command = printable(drop.command, limit: 40)
      note(.destructive, drop.at, number, command, restore: "--point \(id)")
      if !isAbandoned(drop.before, number) {
        removals.append(
          .init(
            command: command, from: drop.at, at: drop.at, keysBefore: counts.known?.keys,
            restore: "--point \(id)"))
      }
    }
    noteKeys(snapshot, number)
    if snapshot.primary == .aof, let base = snapshot.base, let previous, previous.primary == .aof,
      previous.base != base
    {
      note(.rewrite, snapshot.at, number, base.description)
    }
    if snapshot.isClean { note(.end, snapshot.at, number, "") }
  }

  private func isAbandoned(_ position: LogPosition?, _ number: TimelineNumber) -> Bool {
    guard let position, let cut = cuts[number] else { return false }
    return position >= cut
  }

  private mutating func noteKeys(_ snapshot: SnapshotTrace, _ number: TimelineNumber) {
    guard snapshot.primary != nil, let estimate = snapshot.estimate else { return }
    let isFurther = counts.isFallen
    let isFall = counts.add(
      estimate, at: snapshot.at, isExplained: snapshot.destructive != nil)
    guard isFall, let before = counts.known else { return }
    let restore = "--at \(before.at)"
    let detail = "from about \(counted(before.keys, "key")) to about \(estimate.keys)"
    let isAbandoned = isAbandoned(snapshot.position, number)
    if isFurther, let last = removals.indices.last, removals[last].command == nil,
      removals[last].from == before.at
    {
      removals[last].keysAfter = estimate.keys
    } else {
      note(.drop, snapshot.at, number, detail, restore: restore)
      guard !isAbandoned else { return }
      removals.append(
        .init(
          from: before.at, at: snapshot.at, keysBefore: before.keys, keysAfter: estimate.keys,
          restore: restore))
    }
    if removals.count > 4 * Bounds.removals { removals.removeFirst(2 * Bounds.removals) }
  }

  private mutating func note(
    _ kind: Chronicle.Event.Kind, _ at: Instant, _ timeline: TimelineNumber?, _ detail: String,
    restore: String? = nil
  ) {
    eventCounts[kind, default: 0] += 1
    events[kind, default: []].append(
      .init(kind: kind, at: at, timeline: timeline, detail: detail, restore: restore))
    if events[kind]!.count > 2 * Bounds.events { events[kind]!.removeFirst(Bounds.events) }
  }

  /// Notes unreadable or missing records.
  package mutating func addUnreadable(_ count: Int) { chronicle.recordsUnreadable += count }

  /// Adds an index. The order does not matter.
  package mutating func add(_ index: GenerationIndex) {
    guard generations.count < Bounds.generations else { return }
    generations.append(
      .init(index, isQuarantined: history.catalogue.quarantined.contains(index.generation)))
  }

  package mutating func add(_ quarantine: Quarantine) {
    note(
      .quarantine, quarantine.at, nil,
      "\(quarantine.generation): \(printable(quarantine.reason, limit: 120))")
  }

  package mutating func add(_ drill: Drill) {
    note(
      .drill, drill.at, nil,
      "\(drill.isPassed ? "passed" : "FAILED"), \(printable(drill.server, limit: 60))")
    if chronicle.lastDrill.map({ $0.at <= drill.at }) ?? true { chronicle.lastDrill = .init(drill) }
  }

  /// Only pins in force, not earlier ones.
  package mutating func add(_ pin: Pin) {
    let id = pointID(pin.timeline, pin.snapshot, pin.position)
    let name = pin.name.flatMap { Pin.isName($0) ? $0 : nil }
    pins.append(
      .init(
        id: printable(pin.id, limit: 70), name: name, reason: printable(pin.reason, limit: 120),
        at: pin.at,
        until: pin.until, point: id))
    note(
      .pin, pin.at, pin.timeline,
      "\(name ?? printable(pin.id, limit: 70)) keeps \(id) until \(pin.until): "
        + printable(pin.reason, limit: 120),
      restore: "--point \(id)")
  }

  /// - Parameter pins: those in force.
  package func chronicle(
    newest: RestorePoint?, pins: [Pin], unreadablePins: [String] = []
  ) -> Chronicle {
    var made = chronicle
    made.pins = self.pins.sorted { ($0.at, $0.id) < ($1.at, $1.id) }.suffix(Bounds.pins)
    made.unreadablePins = unreadablePins.prefix(Bounds.pins).map { printable($0) }
    made.removals = removals(pins: made.pins)
    made.newest = newest.map { .init(id: $0.id, at: $0.instant) }
    made.newestLoss = newest.flatMap { point in
      point.lostCopy?.what
        ?? LossFinder(history, snapshots: [point.snapshot]).loss(rightBehind: point).map {
          "\($0.what) are missing, with the writes from \($0.since) to \($0.until)"
        }
    }
    if let newest, let open = history.openSuspicion(of: newest.timeline, pins: pins) {
      made.suspicion = .init(
        timeline: newest.timeline, detail: printable(open.suspicion.detail),
        pin: printable(open.pin.id),
        before: pointID(open.pin.timeline, open.pin.snapshot, open.pin.position))
    }
    made.earlier = earlier.closed(to: Bounds.earlier).map { .init(from: $0.from, to: $0.to) }
    ChronicleBuilder.reduce(&made)
    made.timelinesLeftOut = timelinesSeen - made.timelines.count
    for (kind, all) in events {
      let kept = all.sorted { $0.at < $1.at }.suffix(Bounds.events)
      made.events += kept
      if eventCounts[kind]! > kept.count {
        made.eventsLeftOut[kind.rawValue] = eventCounts[kind]! - kept.count
      }
    }
    made.events.sort { ($0.at, $0.kind.rawValue) < ($1.at, $1.kind.rawValue) }
    made.generations = generations.sorted { ($0.at, $0.id) < ($1.at, $1.id) }
    made.generationsLeftOut = max(
      0, history.catalogue.times.generations.count - generations.count)
    made.log = history.catalogue.times.logSeries
    return made
  }
}
