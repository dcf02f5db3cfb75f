import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import WriterLogic

/// A data directory and a repository in memory. All facts about them are known.
///
/// At first the repository has one timeline: a BASE (generation 1), and a log of three commands, one per
/// object. The directory has the same data.
struct CompareScene {
  static let set = command("SET", "k", "v")
  static let form = AOFForm.multiPart(directory: "d", manifest: "m")
  static let step = UInt64(set.count)
  static let (basePin, logPin, dumpPin) = (PinID(1), PinID(2), PinID(3))

  /// The repository.
  var claims: [TimelineNumber: Claim] = [.first: claim(1)]
  var snapshots: [SnapshotKey: Snapshot] = [:]
  /// Snapshots of another process.
  var foreign: Set<SnapshotKey> = []
  var log: [ObjectPath: [UInt8]] = [:]
  /// Objects that are listed but missing.
  var gone: Set<ObjectPath> = []
  var indexes: [GenerationID: GenerationIndex] = [:]
  var quarantined: Set<GenerationID> = []
  var pins: [Pin] = []
  /// The directory.
  var owner = Ownership(
    source: SourceName(given: "s"), instance: "i", directory: "d", takesOver: false)
  var receipt: Receipt?
  var isEmpty = false
  var bytes: [PinID: [UInt8]] = [:]
  var fingerprints: [PinID: ShortDigest] = [:]
  var copies: [PinID: KeyBounds] = [:]
  var base: PinnedFile?
  var increments: [PinnedFile] = []
  var dump: PinnedFile?

  init() {
    for number in 0..<3 { addLog(from: UInt64(number) * Self.step, CompareScene.set) }
    indexes[generationID(1)] = index(
      generationID(1), .base, file: "b", contentAt: 999_000, dataset: dataset(keys: 100))
    addSnapshot { _ in }
    setBase(generationID(1).fingerprint)
    setLog(Self.set + Self.set + Self.set)
  }

  // MARK: The repository

  /// - Parameter time: the time of the mark at its end, in seconds.
  mutating func addLog(
    _ timeline: Int = 1, ordinal: Int = 1, from: UInt64, _ bytes: [UInt8], at time: Int64? = nil
  ) {
    let span = LogSpan(
      from: from, to: from + UInt64(bytes.count),
      mark: at((time ?? 1000 + Int64(from)) * 1000), digest: fakeDigest(bytes))
    log[.log(TimelineNumber(timeline)!, ordinal: ordinal, span)] = bytes
  }

  mutating func addSnapshot(
    _ timeline: Int = 1, _ sequence: Int = 1, _ change: (inout Snapshot) -> Void
  ) {
    let number = TimelineNumber(timeline)!
    var made = Snapshot(
      timeline: number, sequence: sequence, nonce: nonce(UInt64(timeline)), at: at(1_000_000),
      cause: .claim, primary: .aof,
      chain: .init(
        form: Self.form, base: .init(generation: generationID(1), file: "b", sequence: 1),
        files: [Self.file("i1", 1, to: nil)]), dump: nil, detached: nil, isClean: false,
      destructive: nil)
    change(&made)
    snapshots[SnapshotKey(number, sequence)] = made
  }

  static func file(_ name: String, _ sequence: Int64, _ ordinal: Int = 1, to: UInt64?)
    -> Snapshot.LogFile
  {
    Snapshot.LogFile(
      file: name, sequence: sequence,
      segments: [.init(timeline: .first, ordinal: ordinal, from: 0, to: to)],
      identity: identity(UInt64(1 + sequence)))
  }

  static func identity(_ inode: UInt64) -> FileIdentity {
    FileIdentity(inode: inode, bornSeconds: 1, bornNanoseconds: 0)
  }

  var history: History {
    get throws {
      var names: [ObjectPath] = [.descriptor] + Array(log.keys)
      names += claims.keys.map { .claim($0) } + indexes.keys.map { .index($0) }
      names += snapshots.keys.map { .snapshot($0.timeline, sequence: $0.sequence) }
      names += quarantined.map { .operation(.quarantines, id: "\($0)") }
      return try History(
        catalogue: Catalogue(names: names.map { ($0.text, 1) }), claims: claims)
    }
  }

  // MARK: The directory

  static func pinned(_ pin: PinID, _ name: String, size: Int, inode: UInt64? = nil) -> PinnedFile {
    PinnedFile(
      pin: pin, name: name, size: UInt64(size), modified: FileMoment(seconds: 2000, nanoseconds: 0),
      born: FileMoment(seconds: 1, nanoseconds: 0),
      identity: identity(inode ?? UInt64(pin.value)))
  }

  mutating func setBase(_ fingerprint: ShortDigest, keys: UInt64 = 100) {
    base = Self.pinned(Self.basePin, "b", size: 50)
    fingerprints[Self.basePin] = fingerprint
    copies[Self.basePin] = KeyBounds(dataset(keys: keys))
  }

  mutating func setLog(_ content: [UInt8], name: String = "i1", inode: UInt64? = nil) {
    bytes[Self.logPin] = content
    increments = [Self.pinned(Self.logPin, name, size: content.count, inode: inode)]
  }

  mutating func setDump(_ fingerprint: ShortDigest, keys: UInt64 = 100) {
    dump = Self.pinned(Self.dumpPin, "dump.rdb", size: 60)
    fingerprints[Self.dumpPin] = fingerprint
    copies[Self.dumpPin] = KeyBounds(dataset(keys: keys))
  }

  mutating func setNoLog() { (base, increments) = (nil, []) }

  var sequences: [Int64] = [1]
  var form = CompareScene.form
  var lookedAt = at(2_000_000)
  var view: CaptureView {
    let set = AOFSetView(
      form: form, base: base.map { .init(file: $0, sequence: 1) },
      increments: zip(increments, sequences).map { .init(file: $0, sequence: $1) },
      manifestModified: nil)
    return CaptureView(
      at: lookedAt, dump: dump, aof: base == nil && increments.isEmpty ? .absent : .set(set))
  }

  // MARK: Facts

  /// The result of the comparison, and what it asked for, in order.
  func compared(isWatched: Bool = false) throws -> (result: Comparison, asked: [Need]) {
    let history = try history
    var (evidence, asked) = (Evidence(), [Need]())
    while true {
      switch compare(
        view, history, in: nonce(99), by: owner, isWatched: isWatched, evidence)
      {
      case .done(let result): return (result, asked)
      case .needs(let needs):
        for need in needs {
          evidence.add(try fact(need, history), for: need)
          asked.append(need)
        }
      }
    }
  }

  private func own(_ key: SnapshotKey) -> Snapshot? { foreign.contains(key) ? nil : snapshots[key] }

  private func points(_ history: History) -> [RestorePoint] {
    snapshots.keys.sorted().compactMap { key in
      own(key).flatMap {
        PointFinder(history: history, timeline: key.timeline, snapshots: [:]).newest(of: $0)
      }
    }
  }

  private func fact(_ need: Need, _ history: History) throws -> Fact {
    switch need {
    case .lastSnapshot(let timeline):
      return .snapshot(
        history.snapshots(of: timeline).compactMap { own(SnapshotKey(timeline, $0)) }.last)
    case .snapshot(let timeline, let sequence):
      return .snapshot(own(SnapshotKey(timeline, sequence)))
    case .newestPoint: return .point(points(history).last)
    case .firstPoint: return .instant(points(history).first?.instant)
    case .indexes(let key):
      let named = snapshots[key].map { [$0.chain?.base?.generation, $0.dump?.generation] } ?? []
      return .indexes(
        indexes.filter { id, _ in named.contains(id) && !quarantined.contains(id) })
    case .pins: return .pins(pins)
    case .receipt: return .receipt(receipt)
    case .isEmpty: return .answer(isEmpty)
    case .fingerprint(let pin, _): return .fingerprint(fingerprints[pin]!)
    case .copy(let pin, _, _): return .copy(keys: copies[pin]!, contentAt: nil)
    case .agreement(let pin, let size, let range):
      let spans = history.log(
        of: range.timeline, ordinal: range.ordinal, from: range.from, limit: range.limit
      ).spans
      var agreed = range.from
      for span in spans {
        guard span.to <= size,
          fakeDigest(bytes[pin]![Int(span.from)..<Int(span.to)]) == span.digest
        else { break }
        agreed = span.to
      }
      return .offset(agreed)
    case .shared(let pin, _, let range, let span):
      let name = ObjectPath.log(range.timeline, ordinal: range.ordinal, span)
      guard !gone.contains(name), let object = log[name] else { return .offset(span.from) }
      let common = zip(bytes[pin]![Int(span.from)...], object).prefix { $0 == $1 }.count
      return .offset(span.from + UInt64(common))
    case .boundary(let pin, let from, let to): return .offset(scan(pin, from, to).boundary)
    case .command(let pin, let from, let to):
      return .answer(scan(pin, from, to).boundary > from)
    case .content(let pin, let to): return .answer(scan(pin, 0, to).hasContent)
    case .keys(let pin, let to):
      let scanner = scan(pin, 0, to)
      return .keys(scanner.keys, isWhole: scanner.fault == nil)
    }
  }

  private func scan(_ pin: PinID, _ from: UInt64, _ to: UInt64) -> AOFScanner {
    var scanner = AOFScanner(at: from)
    scanner.keys = KeySample()
    Array(bytes[pin]![Int(from)..<Int(to)]).withUnsafeBytes { scanner.consume($0) }
    return scanner
  }
}
