import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import Shipping
import Synchronization
import TestSupport
import Testing

/// Reading an object takes no more memory than the largest object that can be written under its name.
@Suite struct ReadLimitTests {
  private func tooLarge(_ kind: ObjectKind) -> [UInt8] {
    Frame.magic + [UInt8](repeating: 1, count: kind.objectBytesMax + 1 - Frame.magic.count)
  }

  @Test func `the largest object of each kind fits in the memory for objects`() {
    for kind in ObjectKind.allCases {
      #expect(kind.objectBytesMax <= MemoryBound.standard.objectsBytes, "\(kind)")
      #expect(kind.objectBytesMax < objectByteCountMax, "\(kind)")
    }
  }

  @Test(arguments: [ObjectKind.snapshot, .piece, .log, .keySlot])
  func `a larger object is damaged, and is not read`(kind: ObjectKind) async throws {
    let made = try await MadeRepository()
    let name = ObjectPath.snapshot(.first, sequence: 1)
    _ = try await made.store.create(name.text, tooLarge(kind))
    let store = LimitedStore(base: made.store)
    let repository = try #require(try await Repository.open(store))
    let found = try await repository.reading(
      name, kind: kind, limit: kind.contentBytesMax, progress: { _ in })
    guard case .damaged(let reason) = found else {
      Issue.record("\(kind): it was read")
      return
    }
    #expect(reason.contains("more than"), "\(reason)")
    #expect(store.largest <= ObjectKind.index.objectBytesMax)
    await #expect(throws: LifeboatError.self) {
      try await repository.content(name, kind: kind, limit: kind.contentBytesMax)
    }
  }

  /// Somebody who may create objects can put anything under the name of the next claim.
  @Test func `a claim that is too large is a claim`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    _ = try await made.store.create(
      ObjectPath.claim(try #require(TimelineNumber(2))).text, tooLarge(.claim))
    let writer = RecordWriter(
      repository: made.repository, claim: try await made.repository.claim(.first),
      checksOwnClaim: false)
    await #expect(throws: RecordWriter.Superseded.self) { try await writer.remove([]) }
    let history = try await made.repository.history(passesClaims: true)
    #expect(history.unreadable.map(\.timeline.value) == [2])
  }

  /// Readers hold all pins and all claims. Sixty pins of 20 MiB took 1.3 GB.
  @Test func `texts that no writer writes are no records`() async throws {
    let made = try await MadeRepository()
    let pin = Pin(
      id: "p", repository: made.repository.id, origin: .drop,
      reason: String(repeating: "x", count: RecordCoding.operationSizeMax), at: at(0),
      until: at(100_000), timeline: .first, snapshot: 1, position: nil)
    _ = try await made.repository.create(
      pin, .operation(.pins, id: "p"), kind: .operation)
    let catalogue = try await made.repository.catalogue()
    let reading = try await made.repository.pinsInForce(catalogue, now: at(1))
    #expect(reading.pins.isEmpty && reading.unreadable == ["p"])
    for (length, isProblem) in [(16_384, false), (16_385, true)] {
      let claim = Claim(
        timeline: .first, nonce: nonce(1), repository: made.repository.id,
        source: String(repeating: "s", count: length), instance: "i", directory: "d",
        claimedAt: at(0), writer: "test", parent: nil, fork: nil, end: nil, suspicion: nil,
        place: nil)
      let problem = claimProblem(claim, number: .first, repository: made.repository.id)
      #expect((problem != nil) == isProblem, "\(length)")
    }
  }

  @Test func `a descriptor that is too large is refused`() async throws {
    let store = MemoryStore()
    _ = try await store.create(
      "lifeboat.json", [UInt8](repeating: 0x20, count: RecordCoding.descriptorSizeMax + 1))
    let error = await #expect(throws: LifeboatError.self) { try await Repository.open(store) }
    #expect(error?.code == .corrupt, "\(error?.description ?? "")")
  }
}

/// A store that records the largest limit that it was given.
private final class LimitedStore: StoreLayer {
  let base: any ObjectStore
  private let limits = Mutex(0)
  var largest: Int { limits.withLock { $0 } }

  init(base: any ObjectStore) { self.base = base }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    limits.withLock { $0 = max($0, limit) }
    return try await base.read(name, limit: limit)
  }
}
