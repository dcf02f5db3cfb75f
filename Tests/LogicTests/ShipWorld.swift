import BackupFormat
import BackupTypes
import HistoryLogic
import WriterLogic

struct Violation: Error, CustomStringConvertible { var description: String }

/// Performs a plan on an in-memory repository, and checks the invariants after every step.
struct ShipWorld {
  var disk: ModelDirectory
  var plan: Writing
  var catalogue = Catalogue()
  var objects: [String: [UInt8]] = [:]
  var snapshots: [Int: Snapshot] = [:]
  var indexes: [GenerationID: GenerationIndex] = [:]
  var generationStates: [GenerationID: Int] = [:]
  var named: Set<Int> = []
  var held: Set<PinID> = []
  var broke = false
  var newestState = -1
  var newestID = ""
  var isOver = false
  private var record: (Writing.Action, [UInt8])?
  private var upload: GenerationUpload?
  let claimed = claim(1)

  init(seed: UInt64) {
    disk = ModelDirectory(seed: seed, isLegacy: seed % 4 == 0)
    for _ in 0..<disk.random.int(0...8) { disk.act() }
    let view = disk.look()
    var comparison = Comparison(hasNews: true, hasPoint: false)
    comparison.chain = view.aof.set.map { Chain(fresh: $0) }
    var options = Writing.Options()
    if seed % 3 == 0 { options.dumpInterval = 20_000 }
    if seed % 5 == 0 { options.dumpIntervalAlone = 15_000 }
    options.foldGrace = 10_000
    plan = Writing(claim: claimed, comparison: comparison, view: view, options: options)
    held = disk.named.union(plan.neededPins)
  }

  func require(_ condition: Bool, _ what: @autoclosure () -> String) throws {
    if !condition { throw Violation(description: what()) }
  }

  // MARK: Events

  mutating func step() throws {
    switch disk.random.int(0...99) {
    case 0..<30: disk.act()
    case 30..<50: try look()
    case 50..<70: try consume(all: disk.random.chance(50))
    case 70..<85: try begin()
    case 85..<95: try endRecord()
    default: try endGeneration(mayBreak: true)
    }
    try checkPlan()
  }

  mutating func look() throws {
    plan.observe(disk.look())
    if plan.chains.files.contains(where: \.isCutBack) { isOver = true }
    held = disk.named.union(plan.neededPins)
  }

  mutating func consume(all: Bool) throws {
    for (pin, from, to) in plan.unscanned where from < to {
      try require(held.contains(pin), "a file that is to be scanned was let go: \(pin)")
      let file = disk.all[pin.value]!
      let most = min(Int(to), file.bytes.count)
      // A file that has shrunk since the look gives fewer bytes. The session starts the capture again.
      guard Int(to) == most else {
        isOver = true
        return
      }
      let end = all ? most : disk.random.int(Int(from)...most)
      file.bytes[Int(from)..<end].withUnsafeBytes { plan.consume($0, of: pin) }
      if !all { return }
    }
  }

  mutating func begin() throws {
    let (hadRecord, hadUpload) = (record != nil, upload != nil)
    var (records, uploads) = (0, 0)
    for action in plan.actions(now: at(disk.now)) {
      switch action {
      case .putLog(let shipment):
        records += 1
        try require(
          named.contains(shipment.ordinal), "log of ordinal \(shipment.ordinal), not named yet")
        try require(held.contains(shipment.pin), "a file that is to be shipped was let go")
        let bytes = disk.all[shipment.pin.value]!.bytes
        guard shipment.to <= bytes.count else {
          isOver = true  // the file shrank under us: the session ends the timeline
          return
        }
        record = (action, Array(bytes[Int(shipment.from)..<Int(shipment.to)]))
      case .putFold(let fold):
        records += 1
        try require(held.contains(fold.pin), "a file that is to be folded was let go")
        let bytes = disk.all[fold.pin.value]!.bytes
        record = (action, Array(bytes[Int(fold.from)..<Int(fold.to)]))
      case .putSnapshot(let snapshot):
        records += 1
        try checkReferences(snapshot)
        record = (action, [])
      case .putGuardRecord:
        records += 1
        record = (action, [])
      case .uploadGeneration(let made):
        uploads += 1
        try require(held.contains(made.pin), "a generation that is to be uploaded was let go")
        upload = made
      }
    }
    try require(records <= (hadRecord ? 0 : 1) && uploads <= (hadUpload ? 0 : 1), "two in one lane")
    for name in plan.takeRemovals(now: at(disk.now)) {
      try require(objects.removeValue(forKey: name) != nil, "\(name) is removed but not there")
      relist()
    }
  }

  mutating func endRecord() throws {
    guard let (action, bytes) = record else { return }
    record = nil
    if case .putFold = action, disk.random.chance(20) {
      try require(plan.recordFailed(), "a fold that fails must not end the plan")
      return
    }
    var made: LogSpan?
    switch action {
    case .putLog(let shipment):
      let spans = catalogue.timelines[claimed.timeline]?.log[shipment.ordinal] ?? []
      try require(
        LogRun(spans, from: 0).end == shipment.from,
        "a gap before \(shipment.from) of ordinal \(shipment.ordinal)")
      let new = LogSpan(
        from: shipment.from, to: shipment.to, mark: shipment.mark, digest: fakeDigest(bytes))
      let payload = LogPayload(nonce: claimed.nonce, marks: shipment.marks, bytes: bytes)
      _ = try LogPayload(decoding: payload.encoded(), span: new)
      put(.log(claimed.timeline, ordinal: shipment.ordinal, new), bytes)
      made = new
    case .putFold(let fold):
      let parts = fold.parts.flatMap {
        objects[ObjectPath.log(claimed.timeline, ordinal: fold.ordinal, $0).text] ?? []
      }
      try require(parts == bytes, "a fold differs from what it replaces")
      let new = LogSpan(
        from: fold.from, to: fold.to, mark: fold.parts.last!.mark, digest: fakeDigest(bytes))
      put(.log(claimed.timeline, ordinal: fold.ordinal, new), bytes)
    case .putSnapshot(let snapshot):
      try require(snapshots[snapshot.sequence] == nil, "a snapshot's name is used twice")
      snapshots[snapshot.sequence] = snapshot
      put(.snapshot(claimed.timeline, sequence: snapshot.sequence), [])
      let files = (snapshot.chain?.files ?? []) + (snapshot.detached?.files ?? [])
      named.formUnion(files.flatMap(\.segments).map(\.ordinal))
    case .putGuardRecord, .uploadGeneration: break
    }
    plan.recordDurable(span: made, now: at(disk.now))
    try checkRestores()
  }

  mutating func endGeneration(mayBreak: Bool) throws {
    guard let made = upload else { return }
    upload = nil
    if mayBreak, disk.random.chance(4) {
      broke = true
      _ = plan.generationBroken()
      return
    }
    let file = disk.all[made.pin.value]!
    let id = generationID(UInt64(made.pin.value))
    generationStates[id] = file.state
    indexes[id] = index(
      id, made.kind, file: file.name, contentAt: file.contentAt / 1000 * 1000,
      size: UInt64(file.bytes.count))
    put(.index(id), [])
    plan.generationDurable(GenerationResult(index: indexes[id]!))
  }

  private mutating func put(_ path: ObjectPath, _ bytes: [UInt8]) {
    objects[path.text] = bytes
    catalogue.add(name: path.text, size: bytes.count)
  }
  private mutating func relist() {
    catalogue = Catalogue(names: objects.map { ($0.key, $0.value.count) })
  }
}

extension Writing {
  /// For failure messages.
  var describe: String {
    func text(_ chain: Chain) -> String {
      "[anchor \(chain.anchor.map { "\($0.first)" } ?? "none"), candidate "
        + "\(chain.candidate.map { "\($0.first)\($0.upload == .refused ? " refused" : "")" } ?? "none"): "
        + chain.files.map {
          "\($0.name) #\($0.ordinal ?? 0) \($0.start)/\($0.durable)/\($0.boundary)/\($0.scanned)/"
            + "\($0.size)\($0.isFinal ? " final" : "")\($0.fault.map { " \($0)" } ?? "")"
        }.joined(separator: ", ") + "]"
    }
    return (chains.followed.map(text) ?? "none")
      + ", draining \(chains.draining.map { text($0.chain) })"
  }
}
