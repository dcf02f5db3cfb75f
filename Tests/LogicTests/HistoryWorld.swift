import BackupFormat
import BackupTypes
import HistoryLogic
import TestSupport

/// A random repository with known bytes: timelines that fork from each other, logs with folds, fragments and
/// holes, files added after a timeline's end, and names that no reader may use.
struct HistoryWorld {
  /// A file of Redis, over all timelines that contain a part of it.
  struct File {
    var name: String
    var sequence: Int64
    var segments: [Snapshot.Segment]
    var bytes: [UInt8]
  }

  var random: SeededRandom
  var objects: [String: [UInt8]] = [:]
  var foreign: [String] = []
  var claims: [TimelineNumber: Claim] = [:]
  var snapshots: [TimelineNumber: [Int: Snapshot]] = [:]
  var indexes: [GenerationID: GenerationIndex] = [:]
  /// The bytes of each ordinal's log, which a restore has to give.
  var truth: [TimelineNumber: [Int: [UInt8]]] = [:]
  /// All marks that ever existed, by ordinal, including those inside a fold.
  var marks: [TimelineNumber: [Int: [Mark]]] = [:]
  var inner: [ObjectPath: [Mark]] = [:]
  /// The names that format 1 knows.
  private(set) var names: [ObjectPath] = []
  mutating func readNames() { names = objects.keys.compactMap { ObjectPath($0) } }
  private(set) var now: Int64 = 1000
  /// The time between two events, as a multiple of some hundred milliseconds.
  private let pace: Int64
  /// When each object was written.
  private(set) var written: [String: Int64] = [:]
  private var files: [File] = []
  private var base: Snapshot.Base?
  private var dump: Snapshot.Dump?
  private var lastFile: Int64 = 0
  private var lastGeneration: UInt64 = 0

  init(seed: UInt64, pace: Int64 = 1) {
    random = SeededRandom(seed: seed)
    self.pace = pace
    for number in 1...random.int(1...4) { addTimeline(TimelineNumber(number)!) }
    if random.chance(30),
      let name = objects.keys.filter({ $0.contains("/log/") }).sorted()
        .randomElement(using: &random)
    {
      objects[name] = nil
    }
    addForeign()
  }

  var catalogue: Catalogue {
    Catalogue(names: objects.map { ($0.key, $0.value.count) } + foreign.map { ($0, 1) })
  }
  var history: History { get throws { try History(catalogue: catalogue, claims: claims) } }

  // MARK: Timelines

  private mutating func addTimeline(_ number: TimelineNumber) {
    let parent = number.previous
    var made = claim(number.value, parent: parent?.value)
    now += 1000 * pace
    made.claimedAt = at(now)
    if let parent { made.end = end(of: parent) }
    var ordinal = 0
    // Either continues the parent's last file, from a place where it can be cut, or starts a new one.
    if parent != nil, random.chance(70), let cut = fork() {
      ordinal = 1
      files[files.count - 1].segments.append(
        .init(timeline: number, ordinal: 1, from: cut, to: nil))
    } else {
      (files, base) = ([], nil)
    }
    claims[number] = made
    put(.claim(number), [])
    if files.isEmpty {
      base = random.chance(80) ? newBase() : nil
      ordinal = 1
      openFile(number, ordinal)
    }
    addSnapshot(number)
    for _ in 0..<random.int(0...4) {
      addLog(number, ordinal)
      if random.chance(30) { addSnapshot(number) }
      if random.chance(40) {
        close()
        ordinal += 1
        openFile(number, ordinal)
        addSnapshot(number)
      }
      if random.chance(20) {
        // A new BASE replaces everything before the last file.
        base = newBase()
        files.removeFirst(files.count - 1)
        addSnapshot(number)
      }
      if random.chance(20) { addDump(number) }
    }
  }

  private func end(of parent: TimelineNumber) -> Claim.End? {
    try? history.contiguousEnd(of: parent, starts: [:])
  }

  /// Cuts the last file at a place where a reader of the parent could cut it.
  private mutating func fork() -> UInt64? {
    guard let file = files.last, let segment = file.segments.last else { return nil }
    let ends = objects.keys.compactMap { name -> UInt64? in
      guard case .log(segment.timeline, segment.ordinal, let span) = ObjectPath(name),
        span.mark != nil
      else { return nil }
      return span.to
    }
    guard let cut = ends.sorted().randomElement(using: &random), cut > segment.from else {
      return nil
    }
    files[files.count - 1].segments[file.segments.count - 1].to = cut
    files[files.count - 1].bytes.removeLast(file.bytes.count - Int(cut))
    return cut
  }

  private mutating func newBase() -> Snapshot.Base {
    let id = newGeneration(.base)
    return Snapshot.Base(generation: id, file: "a.\(lastGeneration).base.rdb", sequence: 1)
  }
  private mutating func newGeneration(_ kind: GenerationIndex.Kind) -> GenerationID {
    lastGeneration += 1
    let id = generationID(lastGeneration)
    indexes[id] = index(
      id, kind, file: "f", contentAt: now, dataset: random.chance(70) ? dataset(keys: 3) : nil)
    return id
  }

  private mutating func openFile(_ number: TimelineNumber, _ ordinal: Int) {
    lastFile += 1
    files.append(
      File(
        name: "a.\(lastFile).incr.aof", sequence: lastFile,
        segments: [.init(timeline: number, ordinal: ordinal, from: 0, to: nil)], bytes: []))
  }
  private mutating func close() {
    let size = UInt64(files[files.count - 1].bytes.count)
    let last = files[files.count - 1].segments.count - 1
    files[files.count - 1].segments[last].to = size
  }

  /// Adds some objects of the last file. Some of those that can be folded are folded.
  private mutating func addLog(_ number: TimelineNumber, _ ordinal: Int) {
    var made: [LogSpan] = []
    for _ in 0..<random.int(1...6) {
      now += Int64(random.int(1...500)) * pace
      let start = files[files.count - 1].bytes.count
      let count = random.int(1...9)
      files[files.count - 1].bytes += (0..<count).map { _ in UInt8(random.int(0...255)) }
      made.append(
        addObject(number, ordinal, start, start + count, at: random.chance(85) ? now : nil))
    }
    truth[number, default: [:]][ordinal] = files[files.count - 1].bytes
    guard random.chance(30), let first = made.indices.randomElement(using: &random) else { return }
    let run = made[first...].prefix { $0.mark != nil }.prefix(4)
    guard run.count > 1 else { return }
    let fold = addObject(
      number, ordinal, Int(run.first!.from), Int(run.last!.to),
      at: run.last!.mark!.milliseconds)
    inner[.log(number, ordinal: ordinal, fold)] = run.dropLast().map {
      Mark(offset: $0.to, time: $0.mark!, kind: .seen)
    }
    let isGracePast = random.chance(50)
    for part in run where isGracePast {
      objects[ObjectPath.log(number, ordinal: ordinal, part).text] = nil
    }
  }

  private mutating func addObject(
    _ number: TimelineNumber, _ ordinal: Int, _ from: Int, _ to: Int, at time: Int64?
  ) -> LogSpan {
    let bytes = Array(files[files.count - 1].bytes[from..<to])
    let made = LogSpan(
      from: UInt64(from), to: UInt64(to), mark: time.map { at($0) }, digest: fakeDigest(bytes))
    put(.log(number, ordinal: ordinal, made), bytes)
    if let mark = made.mark {
      marks[number, default: [:]][ordinal, default: []].append(
        Mark(offset: made.to, time: mark, kind: .seen))
    }
    return made
  }

  // MARK: Records

  private mutating func addSnapshot(_ number: TimelineNumber) {
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: base,
      files: files.map {
        .init(file: $0.name, sequence: $0.sequence, segments: $0.segments, identity: nil)
      })
    // A chain whose log is the complete state needs no BASE.
    add(number, primary: .aof, chain: chain, dump: dump)
  }
  private mutating func addDump(_ number: TimelineNumber) {
    let id = newGeneration(.dump)
    let dump = Snapshot.Dump(
      generation: id, file: "dump.rdb", contentAt: at(now), pinnedAt: nil)
    // Only in a long history is there also a dump beside a chain. A plan then has two generations.
    if pace > 1 { self.dump = dump }
    add(number, primary: random.chance(80) ? .rdb : nil, chain: nil, dump: dump)
  }
  private mutating func add(
    _ number: TimelineNumber, primary: Snapshot.Primary?, chain: Snapshot.Chain?,
    dump: Snapshot.Dump?
  ) {
    let sequence = (snapshots[number]?.count ?? 0) + 1
    snapshots[number, default: [:]][sequence] = Snapshot(
      timeline: number, sequence: sequence, nonce: claims[number]!.nonce, at: at(now),
      cause: .chain, primary: primary, chain: chain, dump: dump, detached: nil, isClean: false,
      destructive: nil)
    put(.snapshot(number, sequence: sequence), [])
  }
  private mutating func put(_ path: ObjectPath, _ bytes: [UInt8]) {
    objects[path.text] = bytes
    written[path.text] = now
  }

  private mutating func addForeign() {
    let hex = String(repeating: "a", count: 32)
    let digits = String(repeating: "9", count: 16)
    let names = [
      "timelines/00000001/log/../../x", "timelines/00000001/log/00000001/../../x",
      "timelines/00000000/claim", "timelines/99999999999/claim", "../../etc/passwd", "",
      "timelines/00000001/log/00000001/\(digits)-\(digits)-0000000000000-\(hex)",
      "timelines/00000001/snapshots/-0000001", "generations/\(hex)/index", "x\u{0}y",
    ]
    foreign = names.filter { _ in random.chance(40) }
    // A stale writer adds to a timeline that has a successor, far after its end.
    guard claims.count > 1, random.chance(50) else { return }
    let late = LogSpan(
      from: 0, to: 9_999_999_999_999_999, mark: at(now), digest: fakeDigest([1]))
    objects[ObjectPath.log(.first, ordinal: 1, late).text] = []
    objects[ObjectPath.log(.first, ordinal: 99_999_999, late).text] = []
    objects[ObjectPath.snapshot(.first, sequence: 99_999_999).text] = []
  }
}
