import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Recovery
import RedisFormats
import RepositoryAccess
import TestSupport

/// A small complete repository: two timelines, a BASE of two pieces, a dump, a log across a fork, and one
/// operation of each kind. Its contents are what a shipper would write.
struct SmallRepository {
  let store: MemoryStore
  let repository: Repository
  let base: GenerationID
  let dump: GenerationID

  static let ordinalEnd: UInt64 = 54

  /// - Parameter value: the length of the BASE's string in bytes.
  init(
    _ compression: Compression = .none, value: Int = (4 << 20) + 999, keys: KeySource = .none
  ) async throws {
    store = MemoryStore()
    repository = try await Repository.openOrCreate(
      store, keys: keys, compression: compression, now: at(0))
    base = GenerationID(
      fingerprint: ShortDigest(bytes: [UInt8](repeating: 0xba, count: 16))!, nonce: nonce(1))
    dump = GenerationID(
      fingerprint: ShortDigest(bytes: [UInt8](repeating: 0xd0, count: 16))!, nonce: nonce(2))
    try await addGeneration(base, .base, SmallRepository.rdb(value: value))
    try await addGeneration(dump, .dump, SmallRepository.rdb(value: 10))
    try await addClaims()
    try await addSnapshots()
    try await addLog(1, SmallRepository.set("a"), from: 0, at: 100)
    try await addLog(1, SmallRepository.set("b"), from: 27, at: 200)
    try await addLog(2, SmallRepository.set("c"), from: 54, at: 1200)
    try await addLog(2, SmallRepository.set("d"), from: 81, at: 1300)
    try await addOperations()
  }

  /// An RDB of version 10 with one string of this many bytes.
  static func rdb(value count: Int) -> [UInt8] {
    var bytes = Array("REDIS0010".utf8) + [0xfe, 0, 0xfb, 1, 0, 0, 1, UInt8(ascii: "k"), 0x80]
    bytes += withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) }
    bytes += (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    bytes.append(0xff)
    var crc = CRC64()
    bytes.withUnsafeBytes { crc.update($0) }
    return bytes + littleEndianBytes(crc.value)
  }

  /// A command of 27 bytes.
  static func set(_ key: String) -> [UInt8] {
    Array("*3\r\n$3\r\nSET\r\n$1\r\n\(key)\r\n$1\r\nv\r\n".utf8)
  }

  func addGeneration(
    _ id: GenerationID, _ kind: GenerationIndex.Kind, _ bytes: [UInt8], keys: UInt64 = 1
  ) async throws {
    let size = GenerationIndex.pieceBytes
    var digests: [Digest] = []
    for start in stride(from: 0, to: bytes.count, by: size) {
      let piece = Array(bytes[start..<min(start + size, bytes.count)])
      let digest = repository.frame.digest(piece)
      try await repository.createContent(
        piece, .piece(id, number: digests.count, digest.short), kind: .piece)
      digests.append(digest)
    }
    let index = GenerationIndex(
      generation: id, kind: kind, file: kind == .dump ? "dump.rdb" : "a.1.base.rdb",
      size: UInt64(bytes.count), pieces: digests, contentAt: at(10), verdict: .good, remark: nil,
      dataset: DatasetRecord(
        server: nil, rdbVersion: 10, isValkey: false,
        databases: [
          .init(
            number: 0, keys: keys, expires: 0,
            types: ["string": .init(keys: keys, elements: 0, bytes: UInt64(bytes.count) - 27)])
        ], functions: 0))
    _ = try await repository.create(index, .index(id), kind: .index)
  }

  private func addClaims() async throws {
    for number in 1...2 {
      let timeline = TimelineNumber(number)!
      let claim = Claim(
        timeline: timeline, nonce: nonce(number), repository: repository.id, source: "s",
        instance: "i", directory: "d", claimedAt: at(Int64(number) * 1000), writer: "test",
        parent: timeline.previous,
        fork: number == 1 ? nil : LogPosition(timeline: .first, ordinal: 1, offset: 54),
        end: number == 1 ? nil : .init(snapshots: 2, ordinals: [.init(ordinal: 1, offset: 54)]),
        suspicion: nil)
      _ = try await repository.create(claim, .claim(timeline), kind: .claim)
    }
  }

  private func addSnapshots() async throws {
    let own = Snapshot.Segment(timeline: .first, ordinal: 1, from: 0, to: nil)
    let forked = [
      Snapshot.Segment(timeline: .first, ordinal: 1, from: 0, to: 54),
      Snapshot.Segment(timeline: TimelineNumber(2)!, ordinal: 1, from: 54, to: nil),
    ]
    var named = snapshot(1, 1, [own])
    (named.primary, named.chain) = (nil, nil)
    named.detached = .init(
      form: .multiPart(directory: "appendonlydir", manifest: "a.manifest"),
      awaitedBase: "a.1.base.rdb",
      files: [.init(file: "a.1.incr.aof", sequence: 1, segments: [own], identity: nil)])
    var last = snapshot(2, 2, forked)
    last.dump = .init(
      generation: dump, file: "dump.rdb", contentAt: at(1100),
      pinnedAt: LogPosition(timeline: TimelineNumber(2)!, ordinal: 1, offset: 81))
    for made in [named, snapshot(1, 2, [own]), snapshot(2, 1, forked), last] {
      let name = ObjectPath.snapshot(made.timeline, sequence: made.sequence)
      _ = try await repository.create(made, name, kind: .snapshot)
    }
  }

  private func snapshot(_ number: Int, _ sequence: Int, _ segments: [Snapshot.Segment]) -> Snapshot
  {
    Snapshot(
      timeline: TimelineNumber(number)!, sequence: sequence, nonce: nonce(number),
      at: at(Int64(number) * 1000 + Int64(sequence)), cause: .generation, primary: .aof,
      chain: .init(
        form: .multiPart(directory: "appendonlydir", manifest: "a.manifest"),
        base: .init(generation: base, file: "a.1.base.rdb", sequence: 1),
        files: [.init(file: "a.1.incr.aof", sequence: 1, segments: segments, identity: nil)]),
      dump: nil, detached: nil, isClean: false, destructive: nil)
  }

  /// Returns the object's name.
  @discardableResult
  func addLog(
    _ number: Int, _ bytes: [UInt8], from: UInt64, at time: Int64, inner: [UInt64] = []
  ) async throws -> String {
    let span = LogSpan(
      from: from, to: from + UInt64(bytes.count), mark: at(time),
      digest: repository.frame.digest(bytes).short)
    let marks = inner.map { Mark(offset: $0, time: at(time), kind: .seen) }
    let payload = LogPayload(nonce: nonce(number), marks: marks, bytes: bytes)
    let name = ObjectPath.log(TimelineNumber(number)!, ordinal: 1, span)
    try await repository.createContent(payload.encoded(), name, kind: .log)
    return name.text
  }

  private func addOperations() async throws {
    let pin = Pin(
      id: "p", repository: repository.id, origin: .drop, reason: "test", at: at(0), until: at(9),
      timeline: .first, snapshot: 2, position: nil)
    let release = Release(pin: "p", repository: repository.id, at: at(1), by: "test")
    let drill = Drill(
      id: "d1", repository: repository.id, at: at(2), point: "1.2", instant: at(1), isPassed: true,
      restoreMilliseconds: 1, loadMilliseconds: 2, bytes: 3, server: "redis 7.4.1", keys: 1,
      elements: 1, values: 1, differences: [])
    let other = GenerationID(fingerprint: base.fingerprint, nonce: nonce(9))
    let quarantine = Quarantine(
      generation: other, repository: repository.id, at: at(3), object: "x", reason: "test",
      by: "test")
    func add(_ record: some Encodable, _ kind: OperationKind, _ id: String) async throws {
      _ = try await repository.create(record, .operation(kind, id: id), kind: .operation)
    }
    try await add(pin, .pins, "p")
    try await add(release, .releases, "p")
    try await add(drill, .drills, "d1")
    try await add(quarantine, .quarantines, other.description)
  }

  func verify(_ store: (any ObjectStore)? = nil, sample: Double? = nil) async throws -> VerifyReport
  {
    try await Verifier(
      store ?? self.store, options: .init(sample: sample, by: "test"), now: { at(5000) },
      draw: { Double.random(in: 0..<100) }, progress: { _, _ in }
    ).run()
  }
}
