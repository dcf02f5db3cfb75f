import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import TestSupport
import Testing
import WriterLogic

/// A comparison decides from facts alone, so it has to end with any facts.
@Suite struct CompareEvidenceTests {
  /// Random histories and directories. Each fact alone could be true, but together they contradict each
  /// other.
  @Test func `it ends, and asks for nothing twice, whatever the facts are`() async throws {
    let (first, count) = seeds(default: 400)
    var relations: Set<String> = []
    var kinds: Set<String> = []
    for seed in first..<(first + count) {
      await Task.yield()  // tests that wait need a thread
      let world = HistoryWorld(seed: seed)
      let history = try world.history
      var made = Facts(world: world, history: history, random: SeededRandom(seed: seed))
      let view = made.view()
      let owner = Ownership(
        source: SourceName(given: "s"), instance: "i",
        directory: made.random.chance(50) ? "d" : "e",
        takesOver: false)
      let isWatched = made.random.chance(30)
      var evidence = Evidence()
      var asked: Set<Need> = []
      var found: Comparison?
      while found == nil {
        switch compare(
          view, history, in: nonce(99), by: owner, isWatched: isWatched, evidence)
        {
        case .done(let comparison): found = comparison
        case .needs(let needs):
          try #require(!needs.isEmpty && asked.count < 1000, "seed \(seed)")
          for need in needs {
            try #require(asked.insert(need).inserted, "seed \(seed): \(need) again")
            evidence.add(made.fact(need), for: need)
            kinds.insert(String("\(need)".prefix { $0 != "(" }))
          }
        }
      }
      let result = try #require(found)
      relations.insert(String("\(result.relation)".prefix { $0 != " " }))
      let files = result.chain?.files ?? []
      #expect(files.allSatisfy { $0.start <= $0.size }, "seed \(seed)")
      #expect(result.hasNews == (result.relation != .nothingNew), "seed \(seed)")
      #expect(result.suspicion == nil || result.hasNews, "seed \(seed)")
    }
    if count > 100 {
      #expect(relations == ["nothing", "continues", "restored", "back", "fresh"])
      #expect(kinds.count == 16, "\(kinds.sorted())")
    }
  }
}

/// Random facts about a random repository.
private struct Facts {
  let world: HistoryWorld
  let history: History
  var random: SeededRandom

  init(world: HistoryWorld, history: History, random: SeededRandom) {
    (self.world, self.history, self.random) = (world, history, random)
  }

  private mutating func snapshot(_ timeline: TimelineNumber) -> Snapshot? {
    let sorted = (world.snapshots[timeline] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
    return sorted.randomElement(using: &random)
  }
  private mutating func anySnapshot() -> Snapshot? {
    guard let timeline = world.claims.keys.sorted().randomElement(using: &random) else {
      return nil
    }
    return snapshot(timeline)
  }

  /// A directory with some of the files that a snapshot names, or other ones, of any size.
  mutating func view() -> CaptureView {
    let named = anySnapshot()
    var set: AOFSetView?
    if let chain = named?.chain, random.chance(85) {
      var number = 10
      var increments: [AOFSetView.Entry] = []
      for file in chain.files.dropFirst(random.chance(30) ? 1 : 0) {
        number += 1
        increments.append(
          .init(
            file: pinned(number, random.chance(5) ? "x" : file.file, file.identity),
            sequence: file.sequence))
      }
      let base = chain.base.map {
        AOFSetView.Entry(file: pinned(1, $0.file, nil), sequence: $0.sequence)
      }
      set = AOFSetView(
        form: chain.form, base: random.chance(90) ? base : nil, increments: increments,
        manifestModified: nil)
    }
    let dump = random.chance(50) ? pinned(2, "dump.rdb", nil) : nil
    return CaptureView(at: at(5000), dump: dump, aof: set.map { .set($0) } ?? .absent)
  }

  private mutating func pinned(_ pin: Int, _ name: String, _ identity: FileIdentity?)
    -> PinnedFile
  {
    PinnedFile(
      pin: PinID(pin), name: name, size: UInt64(random.int(0...400)),
      modified: FileMoment(seconds: Int64(random.int(1...9)), nanoseconds: 0), born: nil,
      identity: random.chance(80)
        ? identity ?? CompareScene.identity(UInt64(pin))
        : CompareScene.identity(UInt64(pin)))
  }

  mutating func fact(_ need: Need) -> Fact {
    switch need {
    case .lastSnapshot(let timeline): return .snapshot(random.chance(90) ? snapshot(timeline) : nil)
    case .snapshot(let timeline, let sequence):
      return .snapshot(random.chance(90) ? world.snapshots[timeline]?[sequence] : nil)
    case .newestPoint:
      guard let snapshot = anySnapshot() else { return .point(nil) }
      let finder = PointFinder(history: history, timeline: snapshot.timeline, snapshots: [:])
      return .point(finder.newest(of: snapshot))
    case .firstPoint: return .instant(random.chance(80) ? at(1000) : nil)
    case .indexes(let key):
      let snapshot = world.snapshots[key.timeline]?[key.sequence]
      let named = [snapshot?.chain?.base?.generation, snapshot?.dump?.generation]
      var kept: [GenerationID: GenerationIndex] = [:]
      for id in named.compactMap({ $0 }) where random.chance(90) { kept[id] = world.indexes[id] }
      return .indexes(kept)
    case .pins: return .pins([])
    case .receipt: return .receipt(random.chance(60) ? makeReceipt() : nil)
    case .isEmpty: return .answer(random.chance(20))
    case .fingerprint:
      let snapshot = anySnapshot()
      let known = random.chance(50) ? snapshot?.chain?.base?.generation : snapshot?.dump?.generation
      return .fingerprint((known ?? generationID(500)).fingerprint)
    case .copy:
      let keys = UInt64(random.int(0...300))
      return .copy(
        keys: random.chance(80) ? KeyBounds(dataset(keys: keys)) : .unknown,
        contentAt: random.chance(50) ? at(Int64(random.int(0...200_000))) : nil)
    case .agreement(_, let size, let range):
      let ends = history.log(
        of: range.timeline, ordinal: range.ordinal, from: range.from, limit: range.limit
      ).spans.map(\.to).filter { $0 <= size }
      return .offset(random.chance(70) ? ends.last ?? range.from : ends.first ?? range.from)
    case .shared(_, let size, _, let span):
      return .offset(UInt64(random.int(Int(span.from)...Int(max(span.from, min(span.to, size))))))
    case .boundary(_, let from, let to): return .offset(UInt64(random.int(Int(from)...Int(to))))
    case .command, .content: return .answer(random.chance(50))
    case .keys: return .keys(random.chance(80) ? KeySample() : nil, isWhole: random.chance(80))
    }
  }

  private mutating func makeReceipt() -> Receipt? {
    guard let newest = history.newestClaim?.timeline, let snapshot = anySnapshot() else {
      return nil
    }
    let finder = PointFinder(history: history, timeline: snapshot.timeline, snapshots: [:])
    let point = Receipt.Point(
      timeline: snapshot.timeline, sequence: snapshot.sequence,
      cut: random.chance(50) ? finder.newest(of: snapshot)?.cut : nil)
    return Receipt(
      repository: nonce(random.chance(90) ? 99 : 98), point: random.chance(90) ? point : nil,
      isDeliberate: random.chance(70), newest: newest,
      end: history.contiguousEnd(of: newest, starts: [:]))
  }
}
