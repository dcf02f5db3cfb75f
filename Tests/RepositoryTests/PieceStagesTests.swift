import BackupFormat
import BackupTypes
import ObjectStorage
import RepositoryAccess
import Synchronization
import SystemIO
import SystemPackage
import TestSupport
import Testing

@testable import Shipping

/// How a full copy is read, compressed and sent: how much at a time, and how the upload ends.
@Suite struct PieceStagesTests {
  @Test func `five pieces that do not compress are sent at the same time in 64 MiB`() async throws {
    let world = try await World(RepeatedFile(.random))
    try await world.uploading { upload in
      // Five objects of 4.2 MiB, and room for compressing one more. Then the sixth is sent, too.
      try await world.store.wait(for: 6)
      world.store.open()
      #expect(try await upload.value.count == RepeatedFile.pieces)
    }
    #expect(world.store.most.requests >= 5)
    #expect(world.store.most.bytes <= MemoryBound.standard.objectsBytes)
    #expect(world.store.created == RepeatedFile.pieces)
  }

  @Test func `a piece that compresses takes the place of its object alone`() async throws {
    let world = try await World(RepeatedFile(.zeros))
    try await world.uploading { upload in
      try await world.store.wait(for: 8)
      world.store.open()
      _ = try await upload.value
    }
    #expect(world.store.most.requests <= MemoryBound.standard.transfers)
    #expect(world.store.most.bytes < 1 << 20)
  }

  @Test(arguments: [52, 64, 100, 256, 4096])
  func `what is sent and what is held follow from the bound`(mebibytes: Int) async throws {
    let bound = MemoryBound(bytes: mebibytes << 20)
    try await MemoryBound.$current.withValue(bound) {
      for content in [RepeatedFile.Content.random, .zeros] {
        let world = try await World(RepeatedFile(content))
        world.store.open()
        #expect(try await world.upload().count == RepeatedFile.pieces)
        #expect(world.store.most.bytes <= bound.objectsBytes)
        #expect(world.store.most.requests <= min(bound.transfers, MemoryBound.transfersMax))
      }
    }
  }

  @Test func `the first error ends everything and is the one that is thrown`() async throws {
    let world = try await World(RepeatedFile(.random))
    try await world.uploading { upload in
      try await world.store.wait(for: 6)
      world.store.fail(3, with: LifeboatError(.noRoom, "the store is full"))
      let error = await #expect(throws: LifeboatError.self) { try await upload.value }
      #expect(error?.code == .noRoom)
    }
    #expect(world.store.underWay.requests == 0)
    #expect(world.store.created == 0)
  }

  @Test func `a file that can't be read ends what is sent`() async throws {
    var file = RepeatedFile(.random)
    file.failsFrom = 4
    let world = try await World(file)
    let error = await #expect(throws: LifeboatError.self) { try await world.upload() }
    #expect(error?.code == .failure)
    #expect(world.store.underWay.requests == 0)
  }

  @Test func `cancelling ends what is sent and what waits`() async throws {
    let world = try await World(RepeatedFile(.random))
    try await world.uploading { upload in
      try await world.store.wait(for: 6)
      upload.cancel()
      await #expect(throws: CancellationError.self) { try await upload.value }
    }
    #expect(world.store.underWay.requests == 0)
  }

  @Test func `threads for computing compute, and nothing else`() async throws {
    let pool = try BlockingPool(name: "computing", threads: 1, isIdle: true)
    let world = try await World(RepeatedFile(.random), computing: pool)
    world.store.open()
    #expect(try await world.upload().count == RepeatedFile.pieces)
    #expect(world.file.threads.seen == ["computing-0"])
    #expect(!world.store.threads.seen.contains("computing-0"))
  }
}

private struct World {
  let store: HeldStore
  let file: RepeatedFile
  let uploader: GenerationUploader

  init(_ file: RepeatedFile, computing: BlockingPool? = nil) async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    let claim = try await made.repository.claim(TimelineNumber(1)!)
    let held = HeldStore(made.store)
    guard let repository = try await Repository.open(held) else {
      throw HarnessError("there is no repository")
    }
    store = held
    self.file = file
    uploader = GenerationUploader(
      repository: repository, claim: claim,
      settings: .init(readLimit: nil, computing: computing, time: SystemClock()), reusable: [:],
      unfinished: [], progress: { _ in })
  }

  func upload() async throws -> [Digest] {
    var check = GenerationCheck(kind: .base)
    let id = GenerationID(
      fingerprint: ShortDigest(bytes: [UInt8](repeating: 1, count: 16))!, nonce: nonce(1))
    return try await uploader.sendPieces(
      file, size: RepeatedFile.size, id: id, existing: [], &check
    ).digests
  }

  func uploading(_ body: (Task<[Digest], any Error>) async throws -> Void) async throws {
    let task = Task { try await upload() }
    defer { task.cancel() }
    try await body(task)
  }
}

private final class Threads: Sendable {
  private let names = Mutex<Set<String>>([])
  var seen: Set<String> { names.withLock { $0 } }
  func note() {
    let name = (try? OpenFile(reading: "/proc/thread-self/comm").readAll(limit: 32)) ?? []
    names.withLock { _ = $0.insert(String(decoding: name.dropLast(), as: UTF8.self)) }
  }
}

/// A file of equal pieces: an RDB with one string that does not end.
private struct RepeatedFile: SourceFile {
  enum Content { case random, zeros }
  static let pieces = 16
  static let size = UInt64(pieces * GenerationIndex.pieceBytes)
  let name = "base.aof"
  let threads = Threads()
  private let piece: [UInt8]
  /// The string has a 32-bit length of 256 MiB.
  private static let head =
    Array("REDIS0010".utf8) + [0xfe, 0x00, 0x00, 0x01, UInt8(ascii: "k"), 0x80, 0x10, 0, 0, 0]
  var failsFrom = Int.max

  init(_ content: Content) {
    var random = SeededRandom(seed: 1)
    piece =
      content == .random
      ? random.bytes(GenerationIndex.pieceBytes)
      : [UInt8](repeating: 0, count: GenerationIndex.pieceBytes)
  }

  func version() async throws(LifeboatError) -> FileVersion {
    FileVersion(
      identity: FileIdentity(inode: 1, bornSeconds: 1, bornNanoseconds: 0), size: Self.size,
      modified: FileMoment(seconds: 1, nanoseconds: 0),
      changed: FileMoment(seconds: 1, nanoseconds: 0))
  }

  func read(from: UInt64, to: UInt64) async throws(LifeboatError) -> [UInt8] {
    threads.note()
    guard from / UInt64(piece.count) < UInt64(failsFrom) else {
      throw LifeboatError(.failure, "the disk is broken")
    }
    let start = Int(from % UInt64(piece.count))
    let bytes = Array(piece[start..<start + Int(to - from)])
    return from == 0 ? Self.head + bytes.dropFirst(Self.head.count) : bytes
  }

  func adviseSequential() {}
  func dropCache(upTo end: UInt64) {}
}

/// A store that counts creations and holds them until it is opened.
private final class HeldStore: ObjectStore {
  struct Count {
    var requests = 0
    var bytes = 0
  }
  private struct State {
    var isOpen = false
    var failure: (number: Int, error: LifeboatError)?
    var begun = 0
    var created = 0
    var now = Count()
    var most = Count()
  }
  private let store: MemoryStore
  private let state = Mutex(State())
  let threads = Threads()

  init(_ store: MemoryStore) { self.store = store }

  var location: String { store.location }
  var underWay: Count { state.withLock { $0.now } }
  var most: Count { state.withLock { $0.most } }
  var created: Int { state.withLock { $0.created } }
  func open() { state.withLock { $0.isOpen = true } }
  func fail(_ number: Int, with error: LifeboatError) {
    state.withLock { $0.failure = (number, error) }
  }
  func wait(for requests: Int) async throws {
    try await eventually("\(requests) requests are under way") {
      underWay.requests == requests
    } state: {
      "\(underWay)"
    }
  }

  func create(_ name: String, _ bytes: [UInt8]) async throws -> CreateOutcome {
    threads.note()
    let number = state.withLock { state in
      state.begun += 1
      state.now.requests += 1
      state.now.bytes += bytes.capacity
      state.most.requests = max(state.most.requests, state.now.requests)
      state.most.bytes = max(state.most.bytes, state.now.bytes)
      return state.begun
    }
    defer {
      state.withLock { state in
        state.now.requests -= 1
        state.now.bytes -= bytes.capacity
      }
    }
    try await eventually(deadline: 600, "the store answers") {
      try state.withLock { state in
        if let failure = state.failure, failure.number == number { throw failure.error }
        return state.isOpen
      }
    }
    state.withLock { $0.created += 1 }
    return .created
  }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    try await store.read(name, limit: limit)
  }
  func list(prefix: String, continuing: String?) async throws -> ListPage {
    try await store.list(prefix: prefix, continuing: continuing)
  }
  func delete(_ names: [String]) async throws -> [String: LifeboatError] { [:] }
  func now() async throws -> Instant? { nil }
  func prepare() async throws {}
}
