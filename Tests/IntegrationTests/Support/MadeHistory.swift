import BackupFormat
import BackupTypes
import Codec
import Glibc
import ObjectStorage
import RepositoryAccess
import SystemPackage
import TestSupport

/// A repository in a directory, written record by record as shippers would have written it over hours and
/// days, including the times of its files. It is only for what pages draw, so the log contains zeros.
final class MadeHistory {
  let path: String
  private let repository: Repository
  private(set) var timeline = 0
  /// The number of keys that snapshots record.
  var keys: UInt64?
  private var sequence = 0
  private var ordinal = 0
  private var offset: UInt64 = 0
  private var ends: [Int: UInt64] = [:]
  private var files: [Snapshot.LogFile] = []
  private var base: Snapshot.Base?
  private var generations: UInt64 = 0

  init(_ path: String, at time: Instant) async throws {
    self.path = path
    try TestFiles.makeDirectory(path)
    repository = try await Repository.openOrCreate(
      DirectoryStore(root: FilePath(path)), keys: .none, compression: .zstd, now: time)
  }

  // MARK: What shippers do

  /// A shipper claims the next timeline. It continues where the one before ended, or this many bytes earlier.
  func start(
    at time: Instant, source: String = "ray/redis", cutBack: UInt64 = 0, hasCommonLog: Bool = true,
    suspicion: Claim.Suspicion? = nil
  ) async throws {
    let parent = TimelineNumber(timeline)
    let goesOn = parent != nil && hasCommonLog && !files.isEmpty
    let fork = goesOn ? position(offset - min(cutBack, offset)) : nil
    let end = Claim.End(
      snapshots: sequence,
      ordinals: ends.sorted { $0.key < $1.key }.map { .init(ordinal: $0.key, offset: $0.value) })
    timeline += 1
    (sequence, ends) = (0, [:])
    let claim = Claim(
      timeline: number, nonce: nonce, repository: repository.id, source: source,
      instance: "pod-\(timeline)", directory: "d", claimedAt: time, writer: "lifeboat 0.1.0",
      parent: parent, fork: fork, end: parent == nil ? nil : end, suspicion: suspicion)
    _ = try await repository.create(claim, .claim(number), kind: .claim)
    ordinal = 1
    if let fork {
      offset = fork.offset
      files[files.count - 1].segments[files[files.count - 1].segments.count - 1].to = offset
      files[files.count - 1].segments.append(
        .init(timeline: number, ordinal: 1, from: offset, to: nil))
      try await snapshot(at: time, .claim)
    } else {
      (files, base, offset) = ([], nil, 0)
    }
  }

  /// A new full copy of the AOF and a new file after it. Without `isProved`, the log does not continue.
  func rewrite(at time: Instant, bytes: UInt64, keys: UInt64, isProved: Bool = true) async throws {
    if !files.isEmpty {
      let last = files[files.count - 1].segments.count - 1
      files[files.count - 1].segments[last].to = offset
      ordinal += 1
    }
    offset = 0
    let file = Snapshot.LogFile(
      file: "appendonly.aof.\(ordinal).incr.aof", sequence: Int64(ordinal),
      segments: [.init(timeline: number, ordinal: ordinal, from: 0, to: nil)], identity: nil)
    let id = try await generation(.base, at: time, bytes: bytes, keys: keys)
    base = Snapshot.Base(
      generation: id, file: "appendonly.aof.\(ordinal).base.rdb", sequence: Int64(ordinal))
    files = isProved && base != nil && !files.isEmpty ? [files[files.count - 1], file] : [file]
    if files.count == 2 { try await snapshot(at: time, .chain, base: nil) }
    files = [file]
    try await snapshot(at: time.advanced(byMilliseconds: 4000), .generation)
  }

  /// A log object whose last byte was on disk at `time`, and in the store `lag` later.
  func write(_ bytes: UInt64, at time: Instant, lag: Int64 = 600) async throws {
    let content = [UInt8](repeating: 0, count: Int(bytes))
    let span = LogSpan(
      from: offset, to: offset + bytes, mark: time,
      digest: repository.frame.digest(content).short)
    let name = ObjectPath.log(number, ordinal: ordinal, span)
    let payload = LogPayload(nonce: nonce, marks: [], bytes: content)
    try await repository.createContent(payload.encoded(), name, kind: .log)
    offset += bytes
    ends[ordinal] = offset
    try stamp(name.text, time.advanced(byMilliseconds: lag))
  }

  /// A dump that is a restore point by itself.
  func dump(at time: Instant, bytes: UInt64, keys: UInt64) async throws {
    let id = try await generation(.dump, at: time, bytes: bytes, keys: keys)
    sequence += 1
    let dump = Snapshot.Dump(generation: id, file: "dump.rdb", contentAt: time, pinnedAt: nil)
    try await add(made(at: time, .generation, primary: .rdb, chain: nil, dump: dump))
  }

  /// A command that removed everything: the snapshot that records it, and the guard's pin.
  func drop(_ command: String, at time: Instant) async throws {
    sequence += 1
    var snapshot = made(at: time, .destructive, primary: .aof, chain: chain(base), dump: nil)
    let before = position(offset > 20 ? offset - 20 : 0)
    snapshot.destructive = .init(command: command, before: before, at: time)
    snapshot.reached = offset
    try await add(snapshot)
    let id = "p\(time.milliseconds)-\(timeline)-\(sequence)-0"
    try await pin(id, .drop, command, at: time, at: before)
  }

  /// A snapshot that only records a new number of keys.
  func count(_ keys: UInt64, at time: Instant) async throws {
    self.keys = keys
    sequence += 1
    var snapshot = made(at: time, .chain, primary: .aof, chain: chain(base), dump: nil)
    snapshot.reached = offset
    try await add(snapshot)
  }

  func end(at time: Instant) async throws {
    try await snapshot(at: time, .end, isClean: true)
  }

  // MARK: What others do

  func pin(
    _ id: String, _ origin: Pin.Origin, _ reason: String, at time: Instant,
    at position: LogPosition? = nil
  ) async throws {
    let pin = Pin(
      id: id, repository: repository.id, origin: origin, reason: reason, at: time,
      until: time.advanced(byMilliseconds: 30 * 86_400_000), timeline: number, snapshot: sequence,
      position: position)
    _ = try await repository.create(pin, .operation(.pins, id: id), kind: .operation)
  }

  func drill(at time: Instant, isPassed: Bool = true) async throws {
    let id = decimal(time.milliseconds, width: 13) + "-1"
    let drill = Drill(
      id: id, repository: repository.id, at: time, point: "\(timeline).\(sequence)", instant: time,
      isPassed: isPassed, restoreMilliseconds: 8200, loadMilliseconds: 5400, bytes: 900 << 20,
      server: "redis 7.4.1", keys: 120_000, elements: 460_000, values: 1021,
      differences: isPassed ? [] : ["key 17 of database 0 differs"])
    _ = try await repository.create(drill, .operation(.drills, id: id), kind: .operation)
  }

  // MARK: Records

  private var number: TimelineNumber { TimelineNumber(max(1, timeline))! }
  private var nonce: Nonce {
    Nonce(bytes: littleEndianBytes(UInt64(timeline)) + littleEndianBytes(7))!
  }
  private func position(_ offset: UInt64) -> LogPosition {
    let segment = files.last?.segments.last
    return LogPosition(
      timeline: segment?.timeline ?? number, ordinal: segment?.ordinal ?? ordinal, offset: offset)
  }

  private func generation(
    _ kind: GenerationIndex.Kind, at time: Instant, bytes: UInt64, keys: UInt64
  ) async throws -> GenerationID {
    generations += 1
    let id = GenerationID(
      fingerprint: ShortDigest(
        bytes: littleEndianBytes(generations &* 0x9e37_79b9_7f4a_7c15) + littleEndianBytes(3))!,
      nonce: nonce)
    let counts = DatasetRecord.Database.Kind(keys: keys, elements: keys * 4, bytes: bytes)
    let index = GenerationIndex(
      generation: id, kind: kind, file: kind == .dump ? "dump.rdb" : "base.rdb", size: bytes,
      pieces: [], contentAt: time, verdict: .good, remark: nil,
      dataset: DatasetRecord(
        server: "redis 7.4.1", rdbVersion: 12, isValkey: false,
        databases: [.init(number: 0, keys: keys, expires: 0, types: ["hash": counts])],
        functions: 0))
    _ = try await repository.create(index, .index(id), kind: .index)
    try stamp(ObjectPath.index(id).text, time.advanced(byMilliseconds: 4000))
    return id
  }

  private func chain(_ base: Snapshot.Base?) -> Snapshot.Chain {
    Snapshot.Chain(
      form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
      base: base, files: files)
  }

  private func snapshot(at time: Instant, _ cause: Snapshot.Cause, isClean: Bool = false)
    async throws
  {
    try await snapshot(at: time, cause, base: base, isClean: isClean)
  }
  private func snapshot(
    at time: Instant, _ cause: Snapshot.Cause, base: Snapshot.Base?, isClean: Bool = false
  ) async throws {
    sequence += 1
    var snapshot = made(at: time, cause, primary: .aof, chain: chain(base), dump: nil)
    snapshot.isClean = isClean
    try await add(snapshot)
  }

  private func made(
    at time: Instant, _ cause: Snapshot.Cause, primary: Snapshot.Primary?, chain: Snapshot.Chain?,
    dump: Snapshot.Dump?
  ) -> Snapshot {
    Snapshot(
      timeline: number, sequence: sequence, nonce: nonce, at: time, cause: cause, primary: primary,
      chain: chain, dump: dump, detached: nil, isClean: false, destructive: nil)
  }

  private func add(_ snapshot: Snapshot) async throws {
    var snapshot = snapshot
    snapshot.estimate = keys.map { .init(keys: $0, expires: 0) }
    let name = ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence)
    _ = try await repository.create(snapshot, name, kind: .snapshot)
    try stamp(name.text, snapshot.at)
  }

  /// Sets the object's time in the store.
  private func stamp(_ name: String, _ time: Instant) throws {
    let (seconds, milliseconds) = time.milliseconds.quotientAndRemainder(dividingBy: 1000)
    let one = timespec(tv_sec: Int(seconds), tv_nsec: Int(milliseconds) * 1_000_000)
    guard utimensat(AT_FDCWD, path + "/" + name, [one, one], 0) == 0 else {
      throw HarnessError("can't set the time of \(name)")
    }
  }
}
