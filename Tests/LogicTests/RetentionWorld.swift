import BackupFormat
import BackupTypes
import HistoryLogic
import TestSupport
import WriterLogic

/// A random history of some weeks, as in a store. What is deleted is gone.
struct RetentionWorld {
  var random: SeededRandom
  /// When each object was stored.
  var objects: [ObjectPath: Instant] = [:]
  var records: [Prune] = []
  var pins: [Pin] = []
  var now: Instant
  let claims: [TimelineNumber: Claim]
  private let snapshots: [SnapshotKey: Snapshot]
  private let indexes: [GenerationID: GenerationIndex]
  private let inner: [ObjectPath: [Mark]]

  init(seed: UInt64) {
    // A world of some 40 steps spans about as many days.
    let world = HistoryWorld(seed: seed, pace: 300_000)
    random = SeededRandom(seed: ~seed)
    // Release 0.1.0 does not write a place, and uses generations of earlier timelines as long as it runs.
    claims =
      seed % 2 == 0
      ? world.claims
      : world.claims.mapValues { claim in
        var claim = claim
        claim.place = Claim.Place()
        return claim
      }
    indexes = world.indexes
    inner = world.inner
    var snapshots: [SnapshotKey: Snapshot] = [:]
    for snapshot in world.snapshots.values.flatMap(\.values) { snapshots[snapshot.key] = snapshot }
    self.snapshots = snapshots
    now = at(world.now + Int64(random.int(0...20)) * RetentionPolicy.day / 4)
    for name in world.objects.keys {
      objects[ObjectPath(name)!] = at(world.written[name] ?? world.now)
    }
    for index in indexes.values {
      objects[.index(index.generation)] = index.contentAt
      objects[.piece(index.generation, number: 0, index.pieces[0].short)] = index.contentAt
    }
    addPins()
    addUnfinished()
  }

  private mutating func addPins() {
    for key in snapshots.keys.sorted() where random.chance(5) && snapshots[key]!.primary != nil {
      let pin = Pin(
        id: "p\(pins.count)", repository: nonce(99), origin: .drop, reason: "FLUSHALL",
        at: snapshots[key]!.at,
        until: snapshots[key]!.at.advanced(
          byMilliseconds: Int64(random.int(1...60)) * RetentionPolicy.day),
        timeline: key.timeline, snapshot: key.sequence, position: nil)
      pins.append(pin)
      objects[.operation(.pins, id: pin.id)] = pin.at
      if random.chance(30) { objects[.operation(.releases, id: pin.id)] = pin.at }
    }
  }

  /// Adds interrupted uploads by the writers of any claim.
  private mutating func addUnfinished() {
    for number in claims.keys.sorted() where random.chance(40) {
      let id = generationID(9000 + UInt64(number.value), UInt64(number.value))
      objects[.piece(id, number: 3, fakeDigest([1]))] = claims[number]!.claimedAt
    }
  }

  /// Makes the store's copies of some log objects only hours old, however old their content is.
  mutating func foldLately() {
    for path in objects.keys.sorted(by: { $0.text < $1.text }) {
      if case .log = path, random.chance(5) { objects[path] = now.advanced(byMilliseconds: -1) }
    }
  }

  func listedLogs() -> Set<Prune.Log> {
    Set(
      objects.keys.compactMap { path in
        guard case .log(let timeline, let ordinal, _) = path else { return nil }
        return Prune.Log(timeline: timeline, ordinal: ordinal)
      })
  }

  /// The logs that a snapshot names.
  func namedLogs() throws -> Set<Prune.Log> {
    let segments = try basis().snapshots.values.flatMap { snapshot in
      ((snapshot.chain?.files ?? []) + (snapshot.detached?.files ?? [])).flatMap(\.segments)
    }
    return Set(segments.map { Prune.Log(timeline: $0.timeline, ordinal: $0.ordinal) })
  }

  // MARK: What is there

  func history() throws(LifeboatError) -> History {
    var catalogue = Catalogue(youngAfter: now.advanced(byMilliseconds: -RetentionPolicy.grace))
    for (path, modified) in objects { catalogue.add(name: path.text, size: 1, modified: modified) }
    return try History(catalogue: catalogue, claims: claims)
  }

  func basis() throws -> RetentionBasis {
    let history = try history()
    let visible = claims.keys.flatMap { number in
      history.snapshots(of: number).map { SnapshotKey(number, $0) }
    }
    var basis = RetentionBasis(
      history: history, snapshots: [:],
      pins: pins.filter { objects[.operation(.pins, id: $0.id)] != nil },
      released: history.catalogue.operations[.releases] ?? [], letGo: LetGo(records), now: now)
    for key in visible { basis.snapshots[key] = snapshots[key] }
    return basis
  }

  func plan(_ policy: RetentionPolicy) throws -> PrunePlan { PrunePlan(try basis(), policy) }

  /// Everything that the plan would delete, in one of the orders that a run may use.
  mutating func deletions(_ plan: PrunePlan) -> [ObjectPath] {
    var stages = plan.stages
    stages.append(
      plan.covered.flatMap { covered in
        covered.parts.map { .log(covered.timeline, ordinal: covered.ordinal, $0) }
      })
    return stages.flatMap { $0.shuffled(using: &random) }
  }

  mutating func record(_ plan: PrunePlan) {
    let id = "\(decimal(now.milliseconds, width: 13))-\(records.count)"
    records.append(
      PruneRecords.deleting(plan).record(id: id, repository: nonce(99), at: now, by: "test"))
  }

  /// What the disk still has if nothing was written since: what the newest point needs, and what a shipper
  /// compares with.
  func onDisk() throws -> (generations: Set<GenerationID>, logs: Set<Prune.Log>) {
    let basis = try basis()
    let highest = basis.snapshots.keys.map(\.timeline).max()
    let last = highest.flatMap { number in
      basis.snapshots.keys.filter { $0.timeline == number }.max()
    }
    let snapshots = [try newest()?.snapshot, last.flatMap { basis.snapshots[$0] }].compactMap { $0 }
    let files = snapshots.flatMap { ($0.chain?.files ?? []) + ($0.detached?.files ?? []) }
    return (
      Set(
        snapshots.flatMap { [$0.chain?.base?.generation, $0.dump?.generation].compactMap { $0 } }),
      Set(
        files.flatMap(\.segments).map { Prune.Log(timeline: $0.timeline, ordinal: $0.ordinal) })
    )
  }

  // MARK: Restoring

  /// The result of `--at`. The log has no annotations.
  func answer(
    at instant: Instant, in timeline: TimelineNumber? = nil, _ known: History? = nil
  ) throws -> RestorePoint? {
    let history = try known ?? history()
    var evidence = Answering.Evidence()
    for number in history.claims.keys {
      evidence.snapshots[number] = .init(read: present(number, history))
    }
    for (id, index) in indexes { evidence.indexes[id] = .success(index) }
    while true {
      do throws(any Error) {
        switch try Answering(history, evidence, now: now).answer(.at(instant, in: timeline)) {
        case .point(let point, _), .gap(_, let point): return point
        default: return nil
        }
      } catch let unknown as Answering.Unknown {
        for need in unknown.needs {
          switch need {
          case .marks(let name): evidence.marks[name] = inner[name] ?? []
          case .second(let question):
            let snapshot = snapshots[question.snapshot]!
            evidence.seconds[question] = .success(SecondReading(question, snapshot))
          default: throw HarnessError("\(need) is not among the records")
          }
        }
      }
    }
  }

  func newest() throws -> RestorePoint? {
    let history = try history()
    for number in claims.keys.sorted(by: >) {
      let finder = PointFinder(
        history: history, timeline: number, snapshots: present(number, history))
      if let point = finder.newest() { return point }
    }
    return nil
  }

  /// The restore point of one snapshot, if it exists.
  func newest(of key: SnapshotKey, _ known: History? = nil) throws -> RestorePoint? {
    guard objects[.snapshot(key.timeline, sequence: key.sequence)] != nil,
      let snapshot = snapshots[key]
    else { return nil }
    return PointFinder(
      history: try known ?? history(), timeline: key.timeline, snapshots: [key.sequence: snapshot]
    ).newest()
  }

  /// The last restore point of a timeline according to the names.
  func lastMark(of timeline: TimelineNumber) throws -> RestorePoint? {
    let history = try history()
    return PointFinder(
      history: history, timeline: timeline, snapshots: present(timeline, history)
    ).last(notAfter: now)
  }

  private func present(_ number: TimelineNumber, _ history: History) -> [Int: Snapshot] {
    var found: [Int: Snapshot] = [:]
    for sequence in history.snapshots(of: number) {
      found[sequence] = snapshots[SnapshotKey(number, sequence)]
    }
    return found
  }

  /// Checks that every object that a restore of `point` reads exists. Returns a problem, or nil.
  func problem(
    restoring point: RestorePoint, _ known: History? = nil
  ) throws(LifeboatError) -> String? {
    let history: History
    if let known { history = known } else { history = try self.history() }
    let snapshot = point.snapshot
    let needed =
      snapshot.primary == .rdb ? snapshot.dump?.generation : snapshot.chain?.base?.generation
    var found: [GenerationID: GenerationIndex] = [:]
    for id in [snapshot.chain?.base?.generation, snapshot.dump?.generation].compactMap({ $0 })
    where id == needed || history.catalogue.generations[id]?.hasIndex == true {
      guard objects[.index(id)] != nil else { return "\(point.id): the index of \(id) is gone" }
      if let index = indexes[id], id == needed || history.catalogue.isWhole(index) {
        found[id] = index
      }
    }
    let plan = try RestorePlanner(
      history: history, point: point, indexes: found, options: .init()
    ).plan()
    for file in plan.files {
      switch file.content {
      case .generation(let index):
        for (number, digest) in index.pieces.enumerated()
        where objects[.piece(index.generation, number: number, digest.short)] == nil {
          return "\(point.id): a piece of \(file.name) is gone"
        }
      case .log(let parts), .stream(_, let parts):
        for part in parts where objects[part.name] == nil { return "\(part.name.text) is gone" }
      case .bytes, .same: break
      }
    }
    return nil
  }

  /// Checks that everything that a new shipper compares with and reuses is complete. Returns a problem, or
  /// nil.
  func problemOfClaiming() throws -> String? {
    let history = try history()
    let last = claims.keys.sorted(by: >).lazy.compactMap { number in
      history.snapshots(of: number).last.flatMap { snapshots[SnapshotKey(number, $0)] }
    }.first
    guard let last else { return nil }
    for id in [last.chain?.base?.generation, last.dump?.generation].compactMap({ $0 })
    where objects[.index(id)] == nil {
      return "the last snapshot's generation \(id) is gone"
    }
    return nil
  }
}
