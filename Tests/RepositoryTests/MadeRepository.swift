import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import TestSupport

/// A repository made record by record, as a shipper would leave it.
struct MadeRepository {
  let store: MemoryStore
  let repository: Repository

  /// - Parameter clock: the store's clock. Without it, the times are not useful.
  init(clock: (@Sendable () -> Instant)? = nil, keys: KeySource = .none) async throws {
    store = MemoryStore(clock: clock)
    repository = try await Repository.openOrCreate(
      store, keys: keys, compression: .none, now: at(0))
  }

  var reader: HistoryReader {
    get async throws {
      HistoryReader(repository: repository, history: try await repository.history())
    }
  }

  func choose(_ question: Question = .newest(), now: Instant = at(10_000)) async throws
    -> RestorePoint?
  {
    try await reader.point(question, now: now)
  }

  /// The last known state at a time.
  func known(at time: Int64, timeline: Int? = nil) async throws -> RestorePoint {
    try await reader.known(at: at(time), in: timeline.flatMap { TimelineNumber($0) })
  }

  func addClaim(
    _ number: Int, at time: Int64, parentSnapshots: Int? = nil,
    ordinals: [Claim.End.OrdinalEnd] = [], fork: UInt64? = nil, of forked: Int? = nil,
    suspicion: Claim.Suspicion? = nil, parent: Int? = nil
  ) async throws {
    let timeline = TimelineNumber(number)!
    let before = parent.flatMap { TimelineNumber($0) } ?? timeline.previous
    let claim = Claim(
      timeline: timeline, nonce: nonce(number), repository: repository.id, source: "s",
      instance: "i", directory: "d", claimedAt: at(time), writer: "test",
      parent: parentSnapshots == nil ? nil : before,
      fork: fork.map {
        LogPosition(
          timeline: forked.flatMap { TimelineNumber($0) } ?? before!, ordinal: 1, offset: $0)
      },
      end: parentSnapshots.map { Claim.End(snapshots: $0, ordinals: ordinals) },
      suspicion: suspicion, place: Claim.Place())
    _ = try await repository.create(claim, .claim(timeline), kind: .claim)
  }

  /// A snapshot whose point is a dump from `time`; without a point if `time` is nil.
  func addSnapshot(_ number: Int, _ sequence: Int, dumpAt time: Int64?, by writer: Int? = nil)
    async throws
  {
    let id = GenerationID(
      fingerprint: ShortDigest(bytes: littleEndianBytes(UInt64(number)) + littleEndianBytes(9))!,
      nonce: nonce(number))
    let dump = time.map {
      Snapshot.Dump(generation: id, file: "dump.rdb", contentAt: at($0), pinnedAt: nil)
    }
    try await add(snapshot(number, sequence, by: writer, chain: nil, dump: dump))
  }

  /// The index of the dump that `addSnapshot` names, for tests that read it.
  func addDumpIndex(_ number: Int) async throws {
    let id = GenerationID(
      fingerprint: ShortDigest(bytes: littleEndianBytes(UInt64(number)) + littleEndianBytes(9))!,
      nonce: nonce(number))
    let index = GenerationIndex(
      generation: id, kind: .dump, file: "dump.rdb", size: 1,
      pieces: [repository.frame.digest([1])], contentAt: at(0), verdict: .good, remark: nil,
      dataset: nil)
    _ = try await repository.create(index, .index(id), kind: .index)
  }

  /// A copy, for tests that write to the store.
  func copy() -> MemoryStore {
    let copy = MemoryStore()
    for (name, bytes) in store.contents { copy.overwrite(name, bytes) }
    return copy
  }

  /// A snapshot whose point is a log of one file, open from 0.
  func addLogSnapshot(_ number: Int, _ sequence: Int, destructive: Snapshot.Destructive? = nil)
    async throws
  {
    let segment = Snapshot.Segment(timeline: TimelineNumber(number)!, ordinal: 1, from: 0, to: nil)
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"), base: nil,
      files: [.init(file: "a.1.incr.aof", sequence: 1, segments: [segment], identity: nil)])
    var made = snapshot(number, sequence, by: nil, chain: chain, dump: nil)
    made.destructive = destructive
    try await add(made)
  }

  /// A snapshot whose point is a log of one file, open from 0, after a BASE from `time`.
  /// - Parameters:
  ///   - clean: the time when everything on disk was durable, as at a clean shutdown.
  ///   - written: when the snapshot was written, if not at 0.
  ///   - keys: how many keys it estimates.
  ///   - fork: up to here, the log is that of the timeline `forked`, or of the one before.
  func addChain(
    _ number: Int, _ sequence: Int, ordinal: Int, baseAt time: Int64, cleanAt clean: Int64? = nil,
    writtenAt written: Int64? = nil, keys: UInt64? = nil, reached: UInt64? = nil,
    fork: UInt64? = nil, of forked: Int? = nil
  ) async throws {
    let id = baseID(number, time)
    let index = GenerationIndex(
      generation: id, kind: .base, file: "a.\(ordinal).base.rdb", size: 1,
      pieces: [repository.frame.digest([1])], contentAt: at(time), verdict: .good, remark: nil,
      dataset: DatasetRecord(
        server: nil, rdbVersion: 11, isValkey: false, databases: [], functions: 0))
    _ = try await repository.create(index, .index(id), kind: .index)
    let timeline = TimelineNumber(number)!
    var segments = [
      Snapshot.Segment(timeline: timeline, ordinal: ordinal, from: fork ?? 0, to: nil)
    ]
    if let fork {
      let before = forked.flatMap { TimelineNumber($0) } ?? timeline.previous!
      segments.insert(.init(timeline: before, ordinal: ordinal, from: 0, to: fork), at: 0)
    }
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: .init(generation: id, file: index.file, sequence: Int64(ordinal)),
      files: [
        .init(
          file: "a.\(ordinal).incr.aof", sequence: Int64(ordinal), segments: segments,
          identity: nil)
      ])
    var made = snapshot(number, sequence, by: nil, chain: chain, dump: nil)
    if let written { made.at = at(written) }
    made.estimate = keys.map { .init(keys: $0, expires: 0) }
    made.reached = reached
    if let clean { (made.at, made.isClean) = (at(clean), true) }
    try await add(made)
  }

  /// A snapshot during a rewrite: the BASE from `time` and the file of `ordinal` are still in use, and the
  /// next file is open.
  func addRewrite(
    _ number: Int, _ sequence: Int, closing ordinal: Int, at end: UInt64, baseAt time: Int64
  ) async throws {
    let timeline = TimelineNumber(number)!
    let files = [(ordinal, UInt64?.some(end)), (ordinal + 1, nil)].map { ordinal, end in
      Snapshot.LogFile(
        file: "a.\(ordinal).incr.aof", sequence: Int64(ordinal),
        segments: [.init(timeline: timeline, ordinal: ordinal, from: 0, to: end)], identity: nil)
    }
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: .init(
        generation: baseID(number, time), file: "a.\(ordinal).base.rdb", sequence: Int64(ordinal)),
      files: files)
    try await add(snapshot(number, sequence, by: nil, chain: chain, dump: nil))
  }

  func baseID(_ number: Int, _ time: Int64) -> GenerationID {
    GenerationID(
      fingerprint: ShortDigest(bytes: littleEndianBytes(UInt64(time)) + littleEndianBytes(8))!,
      nonce: nonce(number))
  }

  func quarantine(_ id: GenerationID) async throws {
    let record = Quarantine(
      generation: id, repository: repository.id, at: at(1), object: "x", reason: "test", by: "test")
    let name = ObjectPath.operation(.quarantines, id: id.description)
    _ = try await repository.create(record, name, kind: .operation)
  }

  /// A snapshot without a point. It names one file that waits for its BASE.
  func addDetached(
    _ number: Int, _ sequence: Int, ordinal: Int = 1, awaits base: String? = "a.1.base.rdb",
    isBaseEmpty: Bool? = nil, form: AOFForm? = nil
  ) async throws {
    let segment = Snapshot.Segment(
      timeline: TimelineNumber(number)!, ordinal: ordinal, from: 0, to: nil)
    var made = snapshot(number, sequence, by: nil, chain: nil, dump: nil)
    made.detached = Snapshot.Detached(
      form: form
        ?? .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      awaitedBase: base,
      files: [.init(file: "a.1.incr.aof", sequence: 1, segments: [segment], identity: nil)],
      isBaseEmpty: isBaseEmpty)
    try await add(made)
  }

  /// `inner` are the marks inside; nil makes an object that can't be read.
  func addLog(
    _ number: Int, _ from: UInt64, _ to: UInt64, at time: Int64, inner: [(UInt64, Int64)]? = [],
    kind: Mark.Kind = .seen, by writer: Int? = nil
  ) async throws {
    let bytes = [UInt8](repeating: 7, count: Int(to - from))
    let span = LogSpan(
      from: from, to: to, mark: at(time), digest: repository.frame.digest(bytes).short)
    let name = ObjectPath.log(TimelineNumber(number)!, ordinal: 1, span)
    guard let inner else {
      _ = try await store.create(name.text, [0])
      return
    }
    let marks = inner.map { Mark(offset: $0.0, time: at($0.1), kind: kind) }
    let payload = LogPayload(nonce: nonce(writer ?? number), marks: marks, bytes: bytes)
    try await repository.createContent(payload.encoded(), name, kind: .log)
  }

  /// A log object with exactly these bytes of Redis's file. If `time` is nil, no command ends with it.
  func addLog(_ number: Int, ordinal: Int = 1, _ from: UInt64, bytes: [UInt8], at time: Int64?)
    async throws
  {
    let span = LogSpan(
      from: from, to: from + UInt64(bytes.count), mark: time.map { at($0) },
      digest: repository.frame.digest(bytes).short)
    let name = ObjectPath.log(TimelineNumber(number)!, ordinal: ordinal, span)
    let payload = LogPayload(nonce: nonce(number), marks: [], bytes: bytes)
    try await repository.createContent(payload.encoded(), name, kind: .log)
  }

  /// A snapshot whose log is the parent's up to `fork`, and its own after that.
  func addForkedSnapshot(_ number: Int, _ sequence: Int, at fork: UInt64) async throws {
    let timeline = TimelineNumber(number)!
    let segments = [
      Snapshot.Segment(timeline: timeline.previous!, ordinal: 1, from: 0, to: fork),
      Snapshot.Segment(timeline: timeline, ordinal: 1, from: fork, to: nil),
    ]
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"), base: nil,
      files: [.init(file: "a.1.incr.aof", sequence: 1, segments: segments, identity: nil)])
    try await add(snapshot(number, sequence, by: nil, chain: chain, dump: nil))
  }

  func addPin(_ id: String, _ number: Int, _ sequence: Int, until: Int64) async throws {
    let pin = Pin(
      id: id, repository: repository.id, origin: .start, reason: "test", at: at(0),
      until: at(until), timeline: TimelineNumber(number)!, snapshot: sequence, position: nil)
    _ = try await repository.create(pin, .operation(.pins, id: id), kind: .operation)
  }

  private func snapshot(
    _ number: Int, _ sequence: Int, by writer: Int?, chain: Snapshot.Chain?, dump: Snapshot.Dump?
  ) -> Snapshot {
    Snapshot(
      timeline: TimelineNumber(number)!, sequence: sequence, nonce: nonce(writer ?? number),
      at: dump?.contentAt ?? at(0), cause: .generation,
      primary: chain != nil ? .aof : (dump == nil ? nil : .rdb), chain: chain, dump: dump,
      detached: nil, isClean: false, destructive: nil)
  }
  private func add(_ snapshot: Snapshot) async throws {
    let name = ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence)
    _ = try await repository.create(snapshot, name, kind: .snapshot)
  }
}

func at(_ milliseconds: Int64) -> Instant { Instant(milliseconds: milliseconds) }

func nonce(_ number: Int) -> Nonce {
  Nonce(bytes: littleEndianBytes(UInt64(number)) + littleEndianBytes(7))!
}

/// The code of the error that `body` throws; nil if it does not throw.
func code(_ body: () async throws -> Void) async -> ExitCode? {
  do {
    try await body()
    return nil
  } catch {
    return (error as? LifeboatError)?.code ?? .failure
  }
}

extension HistoryReader {
  /// The last known state at a time, even if log of that time was not shipped.
  func known(at instant: Instant, in timeline: TimelineNumber? = nil) async throws -> RestorePoint {
    switch try await answer(.at(instant, in: timeline), now: instant) {
    case .point(let point, _), .gap(_, let point): return point
    case let other:
      return try other.point { _ in "" }!
    }
  }
}
