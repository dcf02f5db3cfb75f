import Auditing
import BackupFormat
import BackupTypes
import Codec
import ObjectStorage
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// What an auditor requests from the repository, and when.
@Suite struct AuditorTests {
  private let timeline = TimelineNumber(1)!
  private let nonce = Nonce(bytes: [UInt8](repeating: 7, count: Nonce.byteCount))!
  private let frame = Frame(compression: .none, secrets: nil, randomBytes: { _ in [] })
  private let acknowledged = Acknowledgements(time: SystemClock())
  private let store = MemoryStore()

  private var claim: Claim {
    Claim(
      timeline: timeline, nonce: nonce, repository: nonce, source: "s", instance: "i",
      directory: "d", claimedAt: Instant(seconds: 1), writer: "w", parent: nil, fork: nil, end: nil,
      suspicion: nil)
  }

  private func log(_ from: UInt64, _ to: UInt64, ordinal: Int = 1) -> ObjectPath {
    .log(
      timeline, ordinal: ordinal,
      LogSpan(
        from: from, to: to, mark: Instant(seconds: 1),
        digest: ShortDigest(bytes: [UInt8](repeating: 1, count: ShortDigest.byteCount))!))
  }

  private func segment(_ ordinal: Int, to: UInt64?) -> Snapshot.Segment {
    .init(timeline: timeline, ordinal: ordinal, from: 0, to: to)
  }

  /// Writes the claim and acknowledges a snapshot, without any log. The last of `segments` grows.
  private func begin(_ segments: [Snapshot.Segment]? = nil) async throws {
    let name = ObjectPath.claim(timeline)
    let object = try frame.seal(try RecordCoding.encode(claim), kind: .claim, name: name)
    _ = try await store.create(name.text, object)
    acknowledged.claimed(claim)
    let files = (segments ?? [segment(1, to: nil)]).map {
      Snapshot.LogFile(
        file: "incr.\($0.ordinal)", sequence: Int64($0.ordinal), segments: [$0],
        identity: FileIdentity(inode: UInt64(10 + $0.ordinal), bornSeconds: 1, bornNanoseconds: 0))
    }
    let snapshot = Snapshot(
      timeline: timeline, sequence: 1, nonce: nonce, at: Instant(seconds: 2), cause: .claim,
      primary: .aof,
      chain: .init(
        form: .multiPart(directory: "appendonlydir", manifest: "appendonly.aof.manifest"),
        base: nil, files: files),
      dump: nil, detached: nil, isClean: false, destructive: nil)
    let path = ObjectPath.snapshot(timeline, sequence: 1)
    _ = try await store.create(
      path.text, try frame.seal(try RecordCoding.encode(snapshot), kind: .snapshot, name: path))
    acknowledged.stored(snapshot)
  }

  private func auditor(
    _ store: any ObjectStore, _ change: (inout Auditor.Options) -> Void = { _ in }
  )
    -> Auditor
  {
    var options = Auditor.Options()
    options.probeInterval = nil
    change(&options)
    let auditor = Auditor(
      path: FilePath("/nowhere"), names: ServerNames(), acknowledged: acknowledged, options: options
    )
    auditor.watch(store, frame)
    return auditor
  }

  private func put(_ name: ObjectPath, bytes: Int) async throws {
    let payload = LogPayload(nonce: nonce, marks: [], bytes: [UInt8](repeating: 1, count: bytes))
    let object = try frame.seal(payload.encoded(), kind: .log, name: name)
    _ = try await store.create(name.text, object)
  }

  @Test(arguments: [0, 40, 90])
  func `a log object that is cut off is found when it is asked for`(size: Int) async throws {
    try await begin()
    try await put(log(0, 100), bytes: 100)
    acknowledged.stored(log(0, 100))
    let whole = try #require(try await store.read(log(0, 100).text))
    _ = try await store.delete([log(0, 100).text])
    _ = try await store.create(log(0, 100).text, Array(whole.prefix(size)))
    let auditor = auditor(store)
    let watching = Task { await auditor.watchRepository {} }
    defer { watching.cancel() }
    let question = auditor.askForLog()
    try await eventually("it is answered", condition: { auditor.isAnswered(question) })
    #expect(auditor.loss != nil && auditor.damaged == [log(0, 100)], "\(auditor.loss ?? "none")")
  }

  @Test func `log that was acknowledged and never put is found when it is asked for`() async throws
  {
    try await begin()
    try await put(log(0, 100), bytes: 100)
    acknowledged.stored(log(0, 100))
    let auditor = auditor(store)
    let watching = Task { await auditor.watchRepository {} }
    defer { watching.cancel() }
    let first = auditor.askForLog()
    try await eventually("it is answered", condition: { auditor.isAnswered(first) })
    #expect(auditor.loss == nil)
    #expect(store.requests(.list) == 1)
    acknowledged.stored(log(100, 150))
    #expect(auditor.loss == nil)
    let second = auditor.askForLog()
    #expect(!auditor.isAnswered(second + 1))
    try await eventually("it is answered", condition: { auditor.isAnswered(second) })
    #expect(auditor.loss?.contains("log is missing from") == true, "\(auditor.loss ?? "none")")
  }

  /// After the last write, the auditor checks once more whether another claim has cut it off.
  @Test func `a claim of the next timeline is found when nothing is written any more`() async throws
  {
    try await begin()
    try await put(log(0, 100), bytes: 100)
    acknowledged.stored(log(0, 100))
    _ = try await store.create(ObjectPath.claim(try #require(timeline.next)).text, [1])
    // A write counts as new for two looks. The claims are read after that.
    let auditor = auditor(store) { ($0.lookInterval, $0.claimInterval) = (1, 200) }
    let watching = Task {
      async let _: Void = auditor.watchRepository {}
      await auditor.run {}
    }
    defer { watching.cancel() }
    try await eventually("it is found", condition: { auditor.loss != nil })
    #expect(auditor.loss?.contains("claimed timeline") == true, "\(auditor.loss ?? "none")")
  }

  /// During a rewrite, a restore also needs the log of the previous file.
  @Test(arguments: [true, false])
  func `the log of a file that no longer grows is missed`(isThere: Bool) async throws {
    try await begin([segment(1, to: 60), segment(2, to: nil)])
    let descriptor = Descriptor(repository: nonce, created: Instant(seconds: 1), cipher: .none)
    _ = try await store.create(
      ObjectPath.descriptor.text, try RecordCoding.encode(descriptor))
    if isThere {
      try await put(log(0, 40), bytes: 40)
      try await put(log(30, 60), bytes: 30)
    } else {
      try await put(log(30, 60), bytes: 30)
    }
    let auditor = auditor(store) { $0.probeInterval = 0 }
    let watching = Task {
      async let _: Void = auditor.watchRepository {}
      await auditor.run {}
    }
    defer { watching.cancel() }
    if isThere {
      // By then, each object has been read back more than once.
      try await eventually("it is looked at", condition: { store.requests(.list) > 3 })
      #expect(auditor.loss == nil, "\(auditor.loss ?? "")")
    } else {
      try await eventually("it is missed", condition: { auditor.loss != nil })
      #expect(auditor.loss?.contains("now ends at 0") == true, "\(auditor.loss ?? "none")")
    }
  }

  /// As with a server that has not written anything yet: no claim, no log.
  @Test func `where only the descriptor is known, that is what is read back`() async throws {
    let auditor = auditor(store) { $0.probeInterval = 0 }
    let watching = Task {
      async let _: Void = auditor.watchRepository {}
      await auditor.run {}
    }
    defer { watching.cancel() }
    try await eventually("it is missed", condition: { auditor.loss != nil })
    #expect(auditor.loss?.contains("lifeboat.json") == true, "\(auditor.loss ?? "none")")
  }

  @Test func `a claim that is always due leaves a look to the log`() async throws {
    try await begin()
    acknowledged.stored(log(0, 100))
    // More is acknowledged whenever the claim is read, so the claim is due again at once.
    let busy = BusyStore(store: store) { [acknowledged] in acknowledged.stored(log(0, 100)) }
    let auditor = auditor(busy) {
      ($0.claimInterval, $0.logInterval, $0.lookInterval) = (0, 0, 20)
    }
    let watching = Task {
      async let _: Void = auditor.watchRepository {}
      // Keep acknowledging. Otherwise nothing counts as new after two looks.
      await auditor.run { acknowledged.stored(log(0, 100)) }
    }
    defer { watching.cancel() }
    try await eventually(deadline: 60, "the log is missed", condition: { auditor.loss != nil })
    #expect(auditor.loss?.contains("log is missing from") == true, "\(auditor.loss ?? "none")")
  }
}

/// A store with a hook that is called for each read.
private struct BusyStore: ObjectStore {
  let store: MemoryStore
  let onRead: @Sendable () -> Void

  var location: String { store.location }
  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    try await store.create(name, bytes)
  }
  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    onRead()
    return try await store.read(name, limit: limit)
  }
  func list(prefix: String, continuing: String?) async throws -> ListPage {
    try await store.list(prefix: prefix, continuing: continuing)
  }
  func delete(_ names: [String]) async throws -> [String: LifeboatError] {
    try await store.delete(names)
  }
  func now() async throws -> Instant? { try await store.now() }
  func prepare() async throws { try await store.prepare() }
}
