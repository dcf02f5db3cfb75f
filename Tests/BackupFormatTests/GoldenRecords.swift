import BackupFormat
import BackupTypes
import Codec

/// The objects of a repository in format 1, one of every kind and with every field. They are the files in
/// `Golden`, which every later release has to read.
struct GoldenRecords {
  /// Each variant is a directory of `Golden`.
  enum Variant: String, CaseIterable, Sendable {
    /// `encrypted` is also compressed. `sealed` is not compressed, so that we make every byte of it. Its slot
    /// has the name and the kind of key that `ship` uses.
    case none, zstd, gzip, encrypted, sealed
    var codec: Compression { self == .sealed ? .none : Compression(rawValue: rawValue) ?? .zstd }
    var isEncrypted: Bool { self == .encrypted || self == .sealed }
  }

  static let repository = Nonce(bytes: Array(0..<16))!
  static let repositoryKey = [UInt8](repeating: 0x42, count: 32)
  static let key = EncryptionKey(bytes: [UInt8](repeating: 0x77, count: 32))
  var personalKey: [UInt8] {
    variant == .sealed ? GoldenRecords.key.bytes : Array("correct horse battery staple".utf8)
  }
  var slotName: ObjectPath {
    .key(variant == .sealed ? GoldenRecords.repository.hexadecimal : "first")
  }
  private static let first = Nonce(bytes: [UInt8](repeating: 0x11, count: 16))!
  private static let second = Nonce(bytes: [UInt8](repeating: 0x22, count: 16))!
  private static let two = TimelineNumber(2)!

  let variant: Variant
  let frame: Frame

  init(_ variant: Variant) {
    self.variant = variant
    frame = Frame(
      compression: variant.codec,
      secrets: variant.isEncrypted
        ? RepositorySecrets(
          repositoryKey: GoldenRecords.repositoryKey, repository: GoldenRecords.repository) : nil,
      randomBytes: { [UInt8](repeating: 0x33, count: $0) })
  }

  private func time(_ milliseconds: Int64) -> Instant {
    Instant(milliseconds: 1_700_000_000_000 + milliseconds)
  }

  // MARK: Records

  var descriptor: Descriptor {
    Descriptor(
      repository: GoldenRecords.repository, created: time(0),
      cipher: variant.isEncrypted ? .aes256gcm : .none)
  }
  /// An unencrypted repository would not have it. Its form is the same.
  var keySlot: KeySlot {
    get throws {
      try KeySlot(
        wrapping: GoldenRecords.repositoryKey, with: personalKey,
        salt: [UInt8](repeating: 0x44, count: 16), nonce: [UInt8](repeating: 0x55, count: 12),
        repository: GoldenRecords.repository)
    }
  }
  var claims: [Claim] {
    [
      Claim(
        timeline: .first, nonce: GoldenRecords.first, repository: GoldenRecords.repository,
        source: "ns/redis-0", instance: "pod-1", directory: "dir-1", claimedAt: time(1),
        writer: "lifeboat 0.1.0", parent: nil, fork: nil, end: nil, suspicion: nil),
      Claim(
        timeline: GoldenRecords.two, nonce: GoldenRecords.second,
        repository: GoldenRecords.repository, source: "ns/redis-0 \"é\"", instance: "pod-2",
        directory: "dir-1", claimedAt: time(90_000), writer: "lifeboat 0.1.0", parent: .first,
        fork: LogPosition(timeline: .first, ordinal: 1, offset: 12),
        end: .init(snapshots: 3, ordinals: [.init(ordinal: 1, offset: 60)]),
        suspicion: .init(reason: .older, detail: "75 s of log are missing", pin: "p-1")),
    ]
  }
  var base: GenerationID {
    GenerationID(
      fingerprint: frame.digest(Array("base".utf8)).short, nonce: GoldenRecords.first)
  }
  var dump: GenerationID {
    GenerationID(
      fingerprint: frame.digest(Array("dump".utf8)).short, nonce: GoldenRecords.second)
  }
  var piece: [UInt8] { Array("REDIS0011".utf8) + [UInt8](repeating: 0xfa, count: 300) }
  var indexes: [GenerationIndex] {
    [
      GenerationIndex(
        generation: base, kind: .base, file: "appendonly.aof.1.base.rdb",
        size: UInt64(piece.count), pieces: [frame.digest(piece)], contentAt: time(0),
        verdict: .good, remark: nil,
        dataset: DatasetRecord(
          server: "redis 7.4.1", rdbVersion: 12, isValkey: false,
          databases: [
            .init(
              number: 0, keys: 2, expires: 1,
              types: [
                "hash": .init(keys: 1, elements: .max, bytes: 700),
                "string": .init(keys: 1, elements: 1, bytes: 5),
              ])
          ], functions: 1)),
      GenerationIndex(
        generation: dump, kind: .dump, file: "dump.rdb", size: UInt64(piece.count),
        pieces: [frame.digest(piece)], contentAt: time(5000), verdict: .unverified,
        remark: "RDB version 99 is not known", dataset: nil),
    ]
  }

  var snapshots: [Snapshot] {
    let increment = "appendonly.aof.1.incr.aof"
    let form = AOFForm.multiPart(
      directory: "appendonlydir", manifest: "appendonly.aof.manifest")
    let identity = FileIdentity(inode: .max, bornSeconds: 1_700_000_000, bornNanoseconds: 999)
    let open = Snapshot.Segment(timeline: .first, ordinal: 1, from: 0, to: nil)
    let forked = [
      Snapshot.Segment(timeline: .first, ordinal: 1, from: 0, to: 12),
      Snapshot.Segment(timeline: GoldenRecords.two, ordinal: 1, from: 12, to: nil),
    ]
    let baseRecord = Snapshot.Base(generation: base, file: "appendonly.aof.1.base.rdb", sequence: 1)
    var named = snapshot(.first, 1, .detached)
    named.detached = .init(
      form: form, awaitedBase: "appendonly.aof.1.base.rdb",
      files: [.init(file: increment, sequence: 1, segments: [open], identity: nil)])
    var chained = snapshot(.first, 2, .generation)
    chained.primary = .aof
    chained.chain = .init(
      form: form, base: baseRecord,
      files: [.init(file: increment, sequence: 1, segments: [open], identity: identity)])
    chained.destructive = .init(
      command: "FLUSHALL", before: LogPosition(timeline: .first, ordinal: 1, offset: 42),
      at: time(40_000))
    var legacy = snapshot(.first, 3, .chain)
    legacy.primary = .aof
    legacy.chain = .init(
      form: .legacy, base: nil,
      files: [.init(file: "appendonly.aof", sequence: 0, segments: [open], identity: nil)])
    var last = snapshot(GoldenRecords.two, 1, .end)
    last.primary = .rdb
    last.chain = .init(
      form: form, base: baseRecord,
      files: [
        .init(
          file: increment, sequence: 1, segments: forked,
          identity: FileIdentity(inode: 7, bornSeconds: nil, bornNanoseconds: nil))
      ])
    last.dump = .init(
      generation: dump, file: "dump.rdb", contentAt: time(95_000),
      pinnedAt: LogPosition(timeline: GoldenRecords.two, ordinal: 1, offset: 20))
    last.isClean = true
    // As later writers write it, with the durable end of its open log.
    var reaching = last
    reaching.sequence = 2
    reaching.reached = .max
    // And with the number of keys.
    var estimated = reaching
    estimated.sequence = 3
    estimated.estimate = .init(keys: .max, expires: 7)
    return [named, chained, legacy, last, reaching, estimated]
  }
  private func snapshot(_ timeline: TimelineNumber, _ sequence: Int, _ cause: Snapshot.Cause)
    -> Snapshot
  {
    Snapshot(
      timeline: timeline, sequence: sequence,
      nonce: timeline == .first ? GoldenRecords.first : GoldenRecords.second,
      at: time(Int64(timeline.value * 100_000 + sequence)), cause: cause, primary: nil, chain: nil,
      dump: nil, detached: nil, isClean: false, destructive: nil)
  }

  var pin: Pin {
    Pin(
      id: "p-1", repository: GoldenRecords.repository, origin: .start, reason: "older",
      at: time(90_000), until: time(2_592_090_000), timeline: .first, snapshot: 2,
      position: LogPosition(timeline: .first, ordinal: 1, offset: 60))
  }
  var release: Release {
    Release(pin: "p-1", repository: GoldenRecords.repository, at: time(100_000), by: "a person")
  }
  var drill: Drill {
    Drill(
      id: "d1700000110000-0badcafe", repository: GoldenRecords.repository, at: time(110_000),
      point: "2.1", instant: time(95_000), isPassed: false, restoreMilliseconds: 1234,
      loadMilliseconds: 567, bytes: .max, server: "redis 7.4.1", keys: 2, elements: 3, values: 1,
      differences: ["db 0, keys: recorded 3, found 2 in the server"])
  }
  var quarantine: Quarantine {
    Quarantine(
      generation: dump, repository: GoldenRecords.repository, at: time(120_000),
      object: ObjectPath.index(dump).text, reason: "its checksum does not match",
      by: "lifeboat verify")
  }

  var prune: Prune {
    Prune(
      id: "1700000130000-0a1b2c3d", repository: GoldenRecords.repository, at: time(130_000),
      by: "lifeboat prune", gone: [.init(timeline: .first, from: 1, to: 2)], dumps: [dump],
      logs: [.init(timeline: .first, ordinal: 1)], generations: [base],
      announced: .init(at: time(130_000), points: 3, of: 4))
  }

  /// Two objects of one file: one ends inside a command and has no mark, the other has the rest.
  var logs: [(name: ObjectPath, payload: LogPayload)] {
    let set = Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n".utf8)
    let (head, tail) = (Array(set[..<12]), Array(set[12...]) + set)
    let marks = [
      Mark(offset: 27, time: time(2000), kind: .seen),
      Mark(offset: 27, time: time(1000), kind: .annotation),
    ]
    return [
      log(0, nil, LogPayload(nonce: GoldenRecords.first, marks: [], bytes: head)),
      log(12, time(3000), LogPayload(nonce: GoldenRecords.first, marks: marks, bytes: tail)),
    ]
  }
  private func log(_ from: UInt64, _ mark: Instant?, _ payload: LogPayload)
    -> (name: ObjectPath, payload: LogPayload)
  {
    let span = LogSpan(
      from: from, to: from + UInt64(payload.bytes.count), mark: mark,
      digest: frame.digest(payload.bytes).short)
    return (.log(.first, ordinal: 1, span), payload)
  }

  // MARK: Objects

  /// All objects except the descriptor, framed, with their names.
  func objects() throws -> [(name: ObjectPath, kind: ObjectKind, content: [UInt8])] {
    func record(_ name: ObjectPath, _ kind: ObjectKind, _ value: some Encodable) throws -> (
      name: ObjectPath, kind: ObjectKind, content: [UInt8]
    ) { (name, kind, try RecordCoding.encode(value)) }
    var all = [try record(slotName, .keySlot, try keySlot)]
    all += try claims.map { try record(.claim($0.timeline), .claim, $0) }
    all += try snapshots.map {
      try record(.snapshot($0.timeline, sequence: $0.sequence), .snapshot, $0)
    }
    all += try indexes.map { try record(.index($0.generation), .index, $0) }
    all.append((.piece(base, number: 0, frame.digest(piece).short), .piece, piece))
    all += logs.map { ($0.name, .log, $0.payload.encoded()) }
    all.append(try record(.operation(.pins, id: pin.id), .operation, pin))
    all.append(try record(.operation(.releases, id: pin.id), .operation, release))
    all.append(try record(.operation(.drills, id: drill.id), .operation, drill))
    all.append(
      try record(.operation(.quarantines, id: dump.description), .operation, quarantine))
    all.append(try record(.operation(.prunes, id: prune.id), .operation, prune))
    return all
  }
}
