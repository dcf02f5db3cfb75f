import BackupFormat
import BackupTypes
import HistoryLogic
import TestSupport
import Testing

/// Random histories are copied in random portions. Meanwhile the source grows and is folded and pruned. The
/// copy has a retention of its own. After each object, the copy has everything that it refers to.
@Suite struct CopyPlanTests {
  @Test(arguments: 0..<150 as Range<UInt64>)
  func `after each object the copy has what it refers to`(seed: UInt64) throws {
    var world = CopyWorld(seed: seed)
    for _ in 0..<12 {
      world.live()
      let plan = try world.plan()
      let budget = world.random.int(0...2) == 0 ? Int.max : world.random.int(0...24)
      try world.perform(plan, atMost: budget)
    }
    try world.perform(try world.plan(), atMost: .max)
    let rest = try world.plan()
    #expect(rest.isEmpty, "seed \(seed): \(rest.steps)")
    try world.checkWhole()
  }
}

/// A source and its copy, as names, and what the snapshots refer to.
private struct CopyWorld {
  let seed: UInt64
  var random: SeededRandom
  private var source: Set<ObjectPath> = [.descriptor]
  private var copy: Set<ObjectPath> = []
  private var copied: Set<ObjectPath> = []
  private var snapshots: [SnapshotKey: Snapshot] = [:]
  private var claims: [TimelineNumber: Claim] = [:]
  private var gone: [SnapshotKey] = []
  private var copyGone: [SnapshotKey] = []
  /// Prune records that the plan has made.
  private var recorded = LetGo()

  private var timeline = TimelineNumber.first
  private var sequence = 0
  private var ordinal = 0
  private var offset: UInt64 = 0
  /// The end of each log of the timeline.
  private var ends: [Int: UInt64] = [:]
  private var base: GenerationID?
  private var made = 0

  init(seed: UInt64) {
    self.seed = seed
    random = SeededRandom(seed: seed)
    claim(parent: nil)
    rewrite()
  }

  // MARK: The source

  mutating func live() {
    for _ in 0..<random.int(0...11) {
      switch random.int(0...9) {
      case 0: rewrite()
      case 1: snapshot()
      case 2: fold()
      case 3: pruneSource()
      case 4: pruneCopy()
      case 5 where random.int(0...2) == 0: claim(parent: timeline)
      default: append()
      }
    }
  }

  private func nonce(_ timeline: TimelineNumber) -> Nonce {
    Nonce(bytes: [UInt8](repeating: UInt8(timeline.value), count: 16))!
  }

  private mutating func claim(parent: TimelineNumber?) {
    var end: Claim.End?
    if let parent, let next = parent.next {
      ends[ordinal] = offset
      end = .init(
        snapshots: sequence,
        ordinals: ends.sorted { $0.key < $1.key }.map { .init(ordinal: $0.key, offset: $0.value) })
      ends = [:]
      timeline = next
    }
    claims[timeline] = Claim(
      timeline: timeline, nonce: nonce(timeline), repository: nonce(.first), source: "s",
      instance: "i", directory: "d", claimedAt: Instant(milliseconds: Int64(timeline.value) * 1000),
      writer: "test", parent: parent, fork: nil, end: end, suspicion: nil)
    source.insert(.claim(timeline))
    guard parent != nil else { return }
    (sequence, ordinal, offset) = (0, 0, 0)
    rewrite()
  }

  /// A new BASE and a new log file.
  private mutating func rewrite() {
    made += 1
    let id = GenerationID(
      fingerprint: ShortDigest(bytes: littleEndianBytes(UInt64(made)) + littleEndianBytes(1))!,
      nonce: nonce(timeline))
    for number in 0..<(1 + random.int(0...2)) {
      source.insert(.piece(id, number: number, digest(UInt64(number))))
    }
    source.insert(.index(id))
    base = id
    ends[ordinal] = offset
    (ordinal, offset) = (ordinal + 1, 0)
    snapshot()
  }

  private mutating func snapshot() {
    sequence += 1
    let key = SnapshotKey(timeline, sequence)
    let segment = Snapshot.Segment(timeline: timeline, ordinal: ordinal, from: 0, to: nil)
    var made = Snapshot(
      timeline: timeline, sequence: sequence, nonce: nonce(timeline),
      at: Instant(milliseconds: 0), cause: .chain, primary: .aof,
      chain: .init(
        form: .multiPart(directory: "d", manifest: "m"),
        base: .init(generation: base!, file: "b", sequence: 1),
        files: [.init(file: "f", sequence: 1, segments: [segment], identity: nil)]),
      dump: nil, detached: nil, isClean: false, destructive: nil)
    made.reached = offset
    snapshots[key] = made
    source.insert(.snapshot(timeline, sequence: sequence))
  }

  private func digest(_ number: UInt64) -> ShortDigest {
    ShortDigest(bytes: littleEndianBytes(number) + littleEndianBytes(2))!
  }

  /// Appends the next bytes of the open log.
  private mutating func append() {
    let to = offset + UInt64(1 + random.int(0...8))
    source.insert(
      .log(
        timeline, ordinal: ordinal,
        LogSpan(
          from: offset, to: to, mark: Instant(milliseconds: Int64(to)), digest: digest(to))))
    offset = to
  }

  private func spans(_ objects: Set<ObjectPath>, _ log: Prune.Log) -> [LogSpan] {
    objects.compactMap { path in
      if case .log(log.timeline, log.ordinal, let span) = path { return span }
      return nil
    }.sorted { ($0.from, $1.to) < ($1.from, $0.to) }
  }

  /// Merges small objects of the open log into one. Sometimes the small ones stay beside it.
  private mutating func fold() {
    let log = Prune.Log(timeline: timeline, ordinal: ordinal)
    let parts = spans(source, log)
    guard parts.count > 2, let first = parts.first, let last = parts.last, first.from == 0 else {
      return
    }
    guard parts.first(where: { $0.from == 0 && $0.to == last.to }) == nil else { return }
    let whole = LogSpan(from: 0, to: last.to, mark: last.mark, digest: digest(last.to + 1_000_000))
    source.insert(.log(timeline, ordinal: ordinal, whole))
    guard random.int(0...1) == 0 else { return }
    for part in parts { source.remove(.log(timeline, ordinal: ordinal, part)) }
  }

  /// Removes the oldest snapshots, then what nothing names any more.
  private mutating func pruneSource() {
    let old = snapshots.keys.sorted().filter { source.contains(path($0)) }.dropLast(2)
    for key in old.prefix(random.int(0...3)) {
      source.remove(path(key))
      gone.append(key)
    }
    source = CopyWorld.swept(source, snapshots)
  }

  private mutating func pruneCopy() {
    let old = snapshots.keys.sorted().filter { copy.contains(path($0)) }.dropLast(2)
    for key in old.prefix(random.int(0...3)) {
      copy.remove(path(key))
      copyGone.append(key)
    }
    copy = CopyWorld.swept(copy, snapshots)
  }

  private static func swept(
    _ objects: Set<ObjectPath>, _ snapshots: [SnapshotKey: Snapshot]
  ) -> Set<ObjectPath> {
    let kept = snapshots.values.filter {
      objects.contains(.snapshot($0.timeline, sequence: $0.sequence))
    }
    let bases = Set(kept.compactMap { $0.chain?.base?.generation })
    let logs = Set(kept.flatMap { $0.chain?.files ?? [] }.flatMap(\.segments).map(\.ordinalKey))
    return objects.filter { path in
      switch path {
      case .piece(let id, _, _), .index(let id): bases.contains(id)
      case .log(let timeline, let ordinal, _):
        logs.contains("\(timeline)/\(ordinal)")
      default: true
      }
    }
  }

  private func path(_ key: SnapshotKey) -> ObjectPath {
    .snapshot(key.timeline, sequence: key.sequence)
  }

  // MARK: The plan

  func plan() throws -> CopyPlan {
    func catalogue(_ objects: Set<ObjectPath>) -> Catalogue {
      Catalogue(names: objects.map { (name: $0.text, size: 1) })
    }
    let history = try History(catalogue: catalogue(source), claims: claims)
    var letGo = LetGo()
    letGo.add(gone)
    var copyLetGo = recorded
    copyLetGo.add(copyGone)
    var mentions = CopyMentions()
    for number in claims.keys.sorted() {
      for sequence in history.snapshots(of: number) where !copyLetGo.has(number, sequence) {
        let key = SnapshotKey(number, sequence)
        mentions.add(snapshots[key]!, isInCopy: copy.contains(path(key)))
      }
    }
    return CopyPlan(
      CopyFacts(
        history: history, mentions: mentions, letGo: letGo, copy: catalogue(copy),
        copyLetGo: copyLetGo, sharesKeys: true))
  }

  mutating func perform(_ plan: CopyPlan, atMost budget: Int) throws {
    var left = budget
    #expect(plan.missing.isEmpty, "seed \(seed)")
    for step in plan.steps {
      var names: [ObjectPath]
      switch step {
      case .objects(let some): names = some.shuffled(using: &random)
      case .inOrder(let some): names = some
      case .record(let name): names = [name]
      case .descriptor: names = [.descriptor]
      case .generation(let id):
        names = source.filter { path in
          if case .piece(id, _, _) = path { return !copy.contains(path) }
          return false
        }
        names.append(.index(id))
      case .prune(let ranges, _):
        for range in ranges {
          recorded.add([range.from...range.to], of: range.timeline)
        }
        continue
      }
      for name in names {
        guard left > 0 else { return }
        left -= 1
        #expect(source.contains(name), "seed \(seed): \(name.text)")
        copy.insert(name)
        copied.insert(name)
        check(name)
      }
    }
  }

  // MARK: What must hold

  /// Checks the copy after this object was written.
  private func check(_ name: ObjectPath) {
    switch name {
    case .snapshot(let timeline, let sequence):
      let snapshot = snapshots[SnapshotKey(timeline, sequence)]!
      #expect(copy.contains(.descriptor) && copy.contains(.claim(timeline)), "seed \(seed)")
      #expect(copy.contains(.index(snapshot.chain!.base!.generation)), "seed \(seed)")
      #expect(!copyGone.contains(SnapshotKey(timeline, sequence)), "seed \(seed): it came back")
      let segment = snapshot.chain!.openSegment!
      #expect(
        reach(.init(timeline: timeline, ordinal: segment.ordinal)) >= snapshot.reached ?? 0,
        "seed \(seed): \(name.text)")
    case .index(let id):
      for case .piece(id, let number, let digest) in source {
        #expect(copy.contains(.piece(id, number: number, digest)), "seed \(seed)")
      }
    case .claim(let number):
      for parent in claims.keys where parent < number {
        #expect(copy.contains(.claim(parent)), "seed \(seed)")
        for key in snapshots.keys where key.timeline == parent {
          let isThere = !source.contains(path(key)) || copy.contains(path(key))
          #expect(isThere || copyGone.contains(key), "seed \(seed): \(name.text) before \(key)")
        }
      }
    default: break
    }
    // Log that a snapshot of the copy names never has a hole.
    for snapshot in snapshots.values
    where copy.contains(.snapshot(snapshot.timeline, sequence: snapshot.sequence)) {
      for file in snapshot.chain!.files {
        for segment in file.segments {
          let log = Prune.Log(timeline: segment.timeline, ordinal: segment.ordinal)
          let last = spans(copy, log).map(\.to).max() ?? 0
          #expect(reach(log) == last, "seed \(seed): a hole after \(name.text)")
        }
      }
    }
  }

  private func reach(_ log: Prune.Log) -> UInt64 {
    var reached: UInt64 = 0
    for span in spans(copy, log) where span.from <= reached { reached = max(reached, span.to) }
    return reached
  }

  func checkWhole() throws {
    for key in snapshots.keys where source.contains(path(key)) {
      #expect(copy.contains(path(key)) || copyGone.contains(key), "seed \(seed): \(key)")
    }
    #expect(claims.keys.allSatisfy { copy.contains(.claim($0)) })
    for snapshot in snapshots.values
    where copy.contains(.snapshot(snapshot.timeline, sequence: snapshot.sequence))
      && source.contains(.snapshot(snapshot.timeline, sequence: snapshot.sequence))
    {
      let segment = snapshot.chain!.openSegment!
      let log = Prune.Log(timeline: segment.timeline, ordinal: segment.ordinal)
      let last = spans(source, log).map(\.to).max() ?? 0
      #expect(reach(log) == last, "seed \(seed): the log of \(snapshot.key)")
    }
  }
}

extension Snapshot.Segment {
  fileprivate var ordinalKey: String { "\(timeline)/\(ordinal)" }
}
