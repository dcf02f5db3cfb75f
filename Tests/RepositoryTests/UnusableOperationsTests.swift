import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import TestSupport
import Testing
import WriterLogic

/// Somebody who may only create objects and has no key can't remove anything with a record below `ops/`, or
/// answer a question. A record that keeps something still keeps it if nobody can read the record.
@Suite struct UnusableOperationsTests {
  private static let pin = "s0000000000900-1-1"
  private static let key = KeySource(
    file: nil, value: EncryptionKey(bytes: Array(0..<32)).reveal())

  /// Timeline 1 has a state, and timeline 2 began as suspect. The pin keeps the previous state.
  private func suspect(_ keys: KeySource) async throws -> MadeRepository {
    let made = try await MadeRepository(keys: keys)
    try await made.addClaim(1, at: 50)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 100)
    try await made.addClaim(
      2, at: 1000, parentSnapshots: 1,
      suspicion: .init(reason: .empty, detail: "no keys", pin: Self.pin))
    try await made.addChain(2, 1, ordinal: 1, baseAt: 1100)
    try await made.addPin(Self.pin, 1, 1, until: 20_000)
    return made
  }

  @Test func `doctor warns of a suspect state until somebody accepts it`() async throws {
    let made = try await suspect(.none)
    func isWarned() async throws -> Bool {
      let findings = try await RepositoryDiagnosis(made.store, now: at(10_000)).findings()
      return findings.contains { $0.check == "suspect" && $0.verdict == .warning }
    }
    #expect(try await isWarned())
    // The sidecar restarts, and continues the suspect timeline.
    try await made.addClaim(3, at: 2000, parentSnapshots: 1)
    try await made.addChain(3, 1, ordinal: 1, baseAt: 2100)
    #expect(try await isWarned())
    // Another pin does not keep the question open.
    try await made.addPin("p0000000000901-1-1", 1, 1, until: 20_000)
    let release = Release(pin: Self.pin, repository: made.repository.id, at: at(0), by: "test")
    _ = try await made.repository.create(
      release, .operation(.releases, id: Self.pin), kind: .operation)
    #expect(try await !isWarned())
  }

  /// What an intruder can put under a name: bytes, a record sealed without the key, and, in an unencrypted
  /// repository, a record of another repository or another name.
  private func garbage(_ name: ObjectPath, _ made: MadeRepository, isEncrypted: Bool) async throws
    -> [[UInt8]]
  {
    let other = try await MadeRepository()
    func sealed(_ id: String, _ repository: Nonce, by frame: BackupFormat.Frame) throws -> [UInt8] {
      let content =
        switch name {
        case .operation(.releases, _):
          try RecordCoding.encode(
            Release(pin: id, repository: repository, at: at(1), by: "intruder"))
        case .operation(.prunes, _):
          try RecordCoding.encode(
            Prune(
              id: id, repository: repository, at: at(1), by: "intruder",
              gone: [.init(timeline: .first, from: 1, to: 9)], dumps: [], logs: [],
              generations: [], announced: nil))
        default:
          try RecordCoding.encode(
            Quarantine(
              generation: GenerationID(id)!, repository: repository, at: at(1), object: "x",
              reason: "x", by: "intruder"))
        }
      return try frame.seal(content, kind: .operation, name: name)
    }
    guard case .operation(_, let id) = name else { return [] }
    let clear = other.repository.frame
    let own = made.repository.id
    return [[], Array("garbage".utf8), try sealed(id, other.repository.id, by: clear)]
      + (isEncrypted ? [try sealed(id, own, by: clear)] : [])
  }

  private func each(
    _ name: (MadeRepository) async throws -> ObjectPath,
    _ body: (MadeRepository, ObjectPath, String) async throws -> Void
  ) async throws {
    for keys in [KeySource.none, Self.key] {
      let made = try await suspect(keys)
      let name = try await name(made)
      let objects = try await garbage(name, made, isEncrypted: keys.isGiven)
      for (number, bytes) in objects.enumerated() {
        made.store.overwrite(name.text, bytes)
        try await body(made, name, "\(name.text), \(number), encrypted: \(keys.isGiven)")
        let listing = try await RepositoryListing.make(made.store, keys: keys, now: at(10_000))
        #expect(listing.unusable == [name.text])
        let found = try await RepositoryDiagnosis(made.store, keys: keys, now: at(10_000))
          .findings()
        #expect(
          found.contains { $0.check == "operations" && $0.detail.contains(name.text) }, "\(found)")
        // A copy, since `verify` may write a quarantine.
        let verified = try await Verifier(
          made.copy(), options: .init(sample: nil, by: "test", keys: keys), now: { at(5000) },
          draw: { 0 }, progress: { _, _ in }
        ).run()
        #expect(
          verified.findings.contains { $0.object == name.text && $0.isFailure },
          "\(verified.text)")
      }
    }
  }

  @Test func `a release that is none answers no question, and does not let the pin go`()
    async throws
  {
    try await each({ _ in .operation(.releases, id: Self.pin) }) { made, name, what in
      #expect(await code { _ = try await made.choose() } == .suspect, "\(what)")
      let history = try await made.repository.history()
      let held = try await made.repository.pinsInForce(history.catalogue, now: at(10_000))
      #expect(held.pins.map(\.id) == [Self.pin], "\(what)")
      // Garbage is at the name of the release, so `unpin` fails and says so.
      let error = await #expect(throws: LifeboatError.self) {
        try await made.repository.release(Self.pin, by: "test", at: at(3))
      }
      #expect(error?.hint?.contains("delete that object") == true, "\(what)")
      let garbage = made.store.contents[name.text]!
      made.store.lose(name.text)
      try await made.repository.release(Self.pin, by: "test", at: at(3))
      #expect(try await made.choose()?.id == "2.1@1:0", "\(what)")
      made.store.overwrite(name.text, garbage)
    }
  }

  @Test func `a quarantine that is none takes no state away`() async throws {
    try await each({ made in
      let history = try await made.repository.history()
      let id = try #require(history.catalogue.complete.map(\.description).max())
      return .operation(.quarantines, id: id)
    }) { made, name, what in
      #expect(try await made.choose(.newest(.newest))?.id == "2.1@1:0", "\(what)")
      #expect(try await made.choose(.newest(.before))?.id == "1.1@1:0", "\(what)")
      let history = try await made.repository.history()
      #expect(history.catalogue.quarantined.isEmpty, "\(what)")
    }
  }

  @Test func `a prune record that is none explains no loss, and stops no run`() async throws {
    try await each({ _ in .operation(.prunes, id: "0000000000001-00000000") }) { made, name, what in
      func prune() async throws -> PruneReport {
        try await Pruner(
          made.repository, options: .init(policy: RetentionPolicy(), by: "test", isDryRun: true),
          now: { at(10_000) }
        ).run()
      }
      let report = try await prune()
      #expect(report.points == 2, "\(what)")
      let snapshot = ObjectPath.snapshot(.first, sequence: 1).text
      let bytes = made.store.contents[snapshot]!
      made.store.lose(snapshot)
      let error = await #expect(throws: LifeboatError.self) { _ = try await prune() }
      #expect(error?.message.contains("snapshot 1 of timeline 1 is missing") == true, "\(what)")
      made.store.overwrite(snapshot, bytes)
    }
  }

  /// The garbage's name sorts after that of the real drill.
  @Test func `garbage named as a drill does not hide the last one`() async throws {
    for keys in [KeySource.none, Self.key] {
      let made = try await suspect(keys)
      let other = try await MadeRepository()
      let genuine = "0000000005000-00000000"
      func drill(_ id: String, _ repository: Nonce) -> Drill {
        Drill(
          id: id, repository: repository, at: at(5000), point: "1.1", instant: at(100),
          isPassed: false, restoreMilliseconds: 1, loadMilliseconds: 1, bytes: 1, server: "redis",
          keys: 1, elements: nil, values: 1, differences: [])
      }
      _ = try await made.repository.create(
        drill(genuine, made.repository.id), .operation(.drills, id: genuine), kind: .operation)
      var garbage: [String] = []
      for (number, record) in [
        nil, drill(genuine, made.repository.id),
        drill("0000000006002-00000000", other.repository.id),
      ].enumerated() {
        let name = ObjectPath.operation(.drills, id: "000000000600\(number)-00000000")
        let bytes = try record.map {
          try other.repository.frame.seal(RecordCoding.encode($0), kind: .operation, name: name)
        }
        made.store.overwrite(name.text, bytes ?? [1, 2])
        garbage.append(name.text)
      }
      let listing = try await RepositoryListing.make(made.store, keys: keys, now: at(10_000))
      #expect(listing.lastDrill?.id == genuine)
      #expect(listing.unusable == garbage)
      let look = try await made.repository.lookAtOperations(
        knownDrill: nil, pins: [], known: [])
      #expect(look.drill?.id == genuine)
      let again = try await made.repository.lookAtOperations(
        knownDrill: genuine, pins: [], known: [])
      #expect(again.drill == nil)
      let picture = try await ChronicleReader.read(made.store, keys: keys, now: at(10_000))
      #expect(picture.lastDrill?.isPassed == false)
      #expect(picture.recordsUnreadable == 3)
      let found = try await RepositoryDiagnosis(made.store, keys: keys, now: at(10_000)).findings()
      #expect(found.contains { $0.check == "operations" && $0.detail.contains(garbage[0]) })
    }
  }

  @Test func `a pin that is garbage keeps the question open and everything there`() async throws {
    for keys in [KeySource.none, Self.key] {
      let made = try await suspect(keys)
      let name = ObjectPath.operation(.pins, id: Self.pin)
      let other = try await MadeRepository()
      try await other.addPin(Self.pin, 1, 1, until: 20_000)
      for bytes in [[], Array("garbage".utf8), other.store.contents[name.text]!] {
        made.store.overwrite(name.text, bytes)
        #expect(await code { _ = try await made.choose() } == .suspect)
        let listing = try await RepositoryListing.make(made.store, keys: keys, now: at(10_000))
        #expect(listing.unreadablePins == [Self.pin])
        let pruned = await code {
          _ = try await Pruner(
            made.repository, options: .init(policy: RetentionPolicy(), by: "test"),
            now: { at(10_000) }
          ).run()
        }
        #expect(pruned == .corrupt)
      }
      try await made.repository.release(Self.pin, by: "test", at: at(3))
      #expect(try await made.choose()?.id == "2.1@1:0")
    }
  }
}
