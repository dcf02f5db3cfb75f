import BackupFormat
import BackupTypes
import HistoryLogic
import WriterLogic

extension ShipWorld {
  func checkPlan() throws {
    for file in plan.chains.files where !file.isCutBack {
      try require(
        file.start <= file.durable && file.durable <= file.boundary
          && file.boundary <= file.scanned && file.scanned <= file.size,
        "\(file.name): \(file.start) ≤ \(file.durable) ≤ \(file.boundary) ≤ \(file.scanned)"
          + " ≤ \(file.size) does not hold")
    }
  }

  /// Invariant (data before reference).
  func checkReferences(_ snapshot: Snapshot) throws {
    for id in [snapshot.chain?.base?.generation, snapshot.dump?.generation].compactMap({ $0 }) {
      try require(indexes[id] != nil, "a snapshot refers to a generation that is not durable")
    }
    if let open = snapshot.chain?.openSegment, let reached = snapshot.reached {
      let spans = catalogue.timelines[open.timeline]?.log[open.ordinal] ?? []
      try require(
        LogRun(spans, from: open.from).end >= reached,
        "snapshot \(snapshot.sequence) says that more of its open log is durable than is")
    }
    let files = (snapshot.chain?.files ?? []) + (snapshot.detached?.files ?? [])
    for (position, file) in files.enumerated() {
      for segment in file.segments {
        let spans = catalogue.timelines[segment.timeline]?.log[segment.ordinal] ?? []
        guard let to = segment.to else { continue }
        try require(
          LogRun(spans, from: segment.from).end >= to,
          "snapshot \(snapshot.sequence) refers to log that is not durable")
      }
      let isLast = position == (snapshot.chain?.files.count ?? 0) - 1
      if snapshot.detached == nil, !isLast {
        try require(file.segments.last?.to != nil, "an open file that others follow")
      }
    }
  }

  func history() throws -> History {
    try History(catalogue: catalogue, claims: [claimed.timeline: claimed])
  }
  func finder() throws -> PointFinder {
    PointFinder(history: try history(), timeline: claimed.timeline, snapshots: snapshots)
  }

  /// The state that a restore of `point` gives. Checks that the model had this state.
  func restore(_ point: RestorePoint) throws -> Int {
    var options = RestorePlan.Options()
    options.appendOnly = point.primary == .aof ? .unknown : .yes
    let made = try RestorePlanner(
      history: try history(), point: point, indexes: indexes, options: options
    ).plan()
    var start = 0
    var logs: [[UInt8]] = []
    var dumpState: Int?
    for file in made.files {
      switch file.content {
      case .generation(let index):
        let state = generationStates[index.generation]!
        if file.role == .dump { dumpState = state }
        if file.role == .base || point.primary == .rdb { start = state }
      case .log(let parts):
        logs.append(
          parts.flatMap {
            objects[$0.name.text]![Int($0.from - $0.span.from)..<Int($0.to - $0.span.from)]
          })
        try require(logs.last!.count == Int(file.size), "\(file.name): size")
      case .bytes, .same, .stream: break
      }
    }
    guard let state = replay(logs, from: start) else {
      throw Violation(description: "\(point.id) gives a state that never was")
    }
    try require(
      disk.stateTimes[state] <= point.instant.milliseconds + (point.primary == .rdb ? 999 : 0),
      "\(point.id) says \(point.instant), before its state began")
    if point.primary == .aof, let dumpState, !disk.wasAOFOff {
      try require(dumpState <= state, "\(point.id): the dump that joins is newer than the cut")
    }
    return state
  }

  mutating func checkRestores() throws {
    let finder = try finder()
    if let newest = finder.newest() {
      let state = try restore(newest)
      try require(
        state >= newestState,
        "the newest point went back from \(newestState) (\(newestID)) to \(state) (\(newest.id) "
          + "\(newest.primary) \(newest.snapshot.cause)), AOF was off: \(disk.wasAOFOff), "
          + plan.describe)
      (newestState, newestID) = (state, "\(newest.id) \(newest.primary) \(newest.instant)")
    } else {
      try require(newestState < 0, "there is no restore point any more")
    }
    if disk.random.chance(15) {
      let time = at(disk.now - Int64(disk.random.int(0...60_000)))
      if let point = finder.last(notAfter: time) {
        _ = try restore(point)
        try require(point.instant <= time, "a point after the instant asked for")
      }
      for snapshot in snapshots.values.shuffled(using: &disk.random).prefix(2) {
        if let point = finder.newest(of: snapshot) { _ = try restore(point) }
      }
    }
  }

  // MARK: Stillness

  /// If everything succeeds and the directory does not change, the plan must become idle.
  mutating func settle() throws {
    disk.becomeStill()
    plan.flush()
    for round in 0..<2000 {
      disk.now += 1000
      if round % 5 == 0 || round < 3 { try lookStill() }
      if isOver { return }
      try consume(all: true)
      try begin()
      try endRecord()
      try endGeneration(mayBreak: false)
      try checkPlan()
      // A possible accident ends the timeline, and the session starts the next one.
      if plan.suspicion != nil { return isOver = true }
      if plan.isSettled(now: at(disk.now)), round > 10 {
        if !plan.isClosing { plan.close(isProved: true) }
        if plan.isClosed { return try checkSettled() }
      }
    }
    throw Violation(
      description: "the plan never settles: unscanned \(plan.unscanned), pending "
        + "\(plan.pendingLogBytes), chain \(plan.describe), wake \(String(describing: plan.nextWake(now: at(disk.now))))"
    )
  }

  mutating func lookStill() throws {
    plan.observe(disk.stillView())
    if plan.chains.files.contains(where: \.isCutBack) { isOver = true }
    held = disk.named.union(plan.neededPins)
  }

  func checkSettled() throws {
    guard !broke, !disk.wasTorn else { return }
    guard let newest = try finder().newest() else {
      return try require(disk.stateOnDisk == 0, "there is no point for \(disk.stateOnDisk)")
    }
    let state = try restore(newest)
    try require(
      state == disk.stateOnDisk,
      "settled at \(state) (\(newest.primary)), and the disk has \(disk.stateOnDisk)")
    try require(plan.unshipped.bytes == 0, "settled with \(plan.unshipped.bytes) bytes unshipped")
  }
}
