import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import Synchronization
import TestSupport
import Testing

@Suite struct VerifierTests {
  /// Runs `body` with one object of a complete repository replaced, and puts the object back.
  private func with(
    _ made: SmallRepository, _ name: String, _ bytes: [UInt8]?,
    _ body: (VerifyReport) throws -> Void
  ) async throws {
    let before = made.store.contents
    if let bytes { made.store.overwrite(name, bytes) } else { made.store.lose(name) }
    let report = try await made.verify()
    for (name, bytes) in before { made.store.overwrite(name, bytes) }
    for name in made.store.names where before[name] == nil { made.store.lose(name) }
    try body(report)
  }

  private func failures(_ report: VerifyReport) -> [VerifyFinding] {
    report.findings.filter(\.isFailure)
  }

  @Test(arguments: [Compression.none, .zstd, .gzip])
  func `a whole repository has no findings`(_ compression: Compression) async throws {
    let made = try await SmallRepository(compression)
    let report = try await made.verify()
    #expect(report.findings == [] && report.isSound && report.quarantined == [])
    #expect(report.objectsRead == made.store.names.count)
    #expect(try await made.verify(sample: 50).isSound)
  }

  /// Only `created` in the descriptor has no checksum. Nothing uses it.
  private func isCovered(_ name: String, _ bytes: [UInt8], _ offset: Int) -> Bool {
    guard name == "lifeboat.json" else { return true }
    let text = String(decoding: bytes, as: UTF8.self)
    let start = text.firstRange(of: "\"created\":")!.upperBound
    let first = text[..<start].utf8.count
    return !(first..<first + text[start...].prefix { $0.isNumber }.count).contains(offset)
  }

  @Test func `a flipped bit in any object is found, and exactly that object named`() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    let made = try await SmallRepository()
    for name in made.store.names {
      let whole = made.store.contents[name]!
      for round in 0..<(whole.count > 1 << 20 ? 3 : 12) {
        // In its header, in its first bytes of content, or anywhere.
        let offset = Int.random(
          in: 0..<min(whole.count, [56, 200, .max][round % 3]), using: &random)
        guard isCovered(name, whole, offset) else { continue }
        var bytes = whole
        bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        do {
          try await with(made, name, bytes) { report in
            #expect(
              failures(report).map(\.object) == [name],
              "seed \(seed), \(name), byte \(offset): \(report.text)")
            #expect(failures(report).allSatisfy { $0.verdict == .damaged && $0.remedy != nil })
          }
        } catch let error as LifeboatError where name == "lifeboat.json" {
          // The error is about another version number or a cipher.
          #expect([.versionMismatch, .wrongKey].contains(error.code), "\(error)")
          made.store.overwrite(name, whole)
        }
      }
    }
  }

  /// Some bits of a codec have no meaning. The content is then unchanged.
  @Test(arguments: [Compression.zstd, .gzip])
  func `a flipped bit of compressed content is found, or changes nothing`(_ codec: Compression)
    async throws
  {
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    let made = try await SmallRepository(codec)
    let name = made.store.names.first { $0.hasSuffix("/index") }!
    let path = ObjectPath(name)!
    let whole = made.store.contents[name]!
    let content = try made.repository.frame.open(
      whole, kind: .index, name: path, limit: RecordCoding.sizeMax
    ).content
    for _ in 0..<100 {
      var bytes = whole
      let offset = Int.random(in: 0..<whole.count, using: &random)
      bytes[offset] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      let opened = try? made.repository.frame.open(
        bytes, kind: .index, name: path, limit: RecordCoding.sizeMax)
      try await with(made, name, bytes) { report in
        if report.isSound {
          #expect(opened?.content == content, "seed \(seed)")
        } else {
          #expect(failures(report).map(\.object) == [name], "seed \(seed): \(report.text)")
        }
      }
    }
  }

  @Test func `an object that is missing is named, where anything refers to it`() async throws {
    let made = try await SmallRepository()
    // Nothing refers to an operation, or to the last log object.
    let last = made.store.names.filter { $0.contains("00000002/log/") }.last!
    // Nothing refers to the last snapshot either. A generation that only this snapshot names looks like an
    // unfinished upload.
    let newest = "timelines/00000002/snapshots/00000002"
    for name in made.store.names
    where !name.hasPrefix("ops/") && name != last && name != newest {
      try await with(made, name, nil) { report in
        let found = failures(report)
        #expect(!found.isEmpty && !report.isSound, "\(name) is not missed")
        for finding in found {
          let isNamed =
            finding.object == name
            || (name.contains("/log/") && finding.object.hasSuffix("-")
              && name.hasPrefix(finding.object))
          #expect(isNamed, "\(name): \(finding.text)")
        }
      }
    }
  }

  @Test func `a truncated, an emptied and a swapped object are named`() async throws {
    let made = try await SmallRepository()
    let names = made.store.names.filter { $0 != "lifeboat.json" }
    for name in names {
      let whole = made.store.contents[name]!
      let other = names.first {
        $0 != name && $0.split(separator: "/").first == name.split(separator: "/").first
      }!
      for bytes in [Array(whole.dropLast()), [], made.store.contents[other]!] {
        try await with(made, name, bytes) { report in
          #expect(failures(report).map(\.object) == [name], "\(name): \(report.text)")
        }
      }
    }
  }

  @Test func `what is left over is a remark, and no failure`() async throws {
    let made = try await SmallRepository()
    let left = GenerationID(fingerprint: made.base.fingerprint, nonce: nonce(2))
    let piece = [UInt8](repeating: 1, count: 100)
    let digest = made.repository.frame.digest(piece)
    try await made.repository.createContent(
      piece, .piece(left, number: 3, digest.short), kind: .piece)
    // An object that was written after the timeline had ended.
    try await made.addLog(1, SmallRepository.set("z"), from: 54, at: 999)
    made.store.overwrite("somebody/else", [1, 2, 3])
    let report = try await made.verify()
    #expect(report.isSound, "\(report.text)")
    #expect(report.findings.count == 3 && report.findings.allSatisfy { $0.verdict == .remark })
    // The upload may still be continued, so its bytes count.
    let name = ObjectPath.piece(left, number: 3, digest.short).text
    var bytes = made.store.contents[name]!
    bytes[60] ^= 1
    made.store.overwrite(name, bytes)
    #expect(failures(try await made.verify()).map(\.object) == [name])
  }

  @Test func `a mark inside a command, and framing that breaks, are found`() async throws {
    for (bytes, inner) in [
      (SmallRepository.set("e"), [120]), (Array(SmallRepository.set("e").dropLast()), []),
      (Array("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\nv\r\n".utf8), []),
    ] as [([UInt8], [UInt64])] {
      let made = try await SmallRepository()
      let name = try await made.addLog(2, bytes, from: 108, at: 1400, inner: inner)
      #expect(failures(try await made.verify()).map(\.object) == [name])
    }
  }

  @Test func `an index that says more than its pieces hold is found`() async throws {
    let made = try await SmallRepository()
    let name = ObjectPath.index(made.dump).text
    made.store.lose(name)
    for path in made.store.names where path.hasPrefix(ObjectPath.generation(made.dump)) {
      made.store.lose(path)
    }
    try await made.addGeneration(made.dump, .dump, SmallRepository.rdb(value: 10), keys: 2)
    let report = try await made.verify()
    #expect(failures(report).map(\.object) == [name])
    #expect(report.findings[0].detail.contains("recorded 2, found 1"), "\(report.text)")
    #expect(report.findings[0].points == ["2.2"])
  }

  // MARK: Beside a shipper

  @Test func `a fold that replaces what is being read is no finding`() async throws {
    let made = try await SmallRepository()
    let parts = made.store.names.filter { $0.contains("00000002/log/") }
    let store = ChangingStore(made.store, when: parts[1]) {
      let bytes = SmallRepository.set("c") + SmallRepository.set("d")
      try await made.addLog(2, bytes, from: 54, at: 1300, inner: [81])
      for name in parts { made.store.lose(name) }
    }
    let report = try await made.verify(store)
    #expect(report.findings == [], "\(report.text)")
  }

  @Test func `a generation that became durable between two pages is no finding`() async throws {
    let made = try await SmallRepository()
    let names = made.store.names.filter { $0.hasPrefix(ObjectPath.generation(made.dump)) }
    let hidden = made.store.contents.filter { names.contains($0.key) }
    for name in names { made.store.lose(name) }
    let store = ChangingStore(made.store, when: ObjectPath.claim(.first).text) {
      for (name, bytes) in hidden { made.store.overwrite(name, bytes) }
    }
    let report = try await made.verify(store)
    #expect(report.findings == [], "\(report.text)")
  }

  // MARK: Quarantine

  private func damageBase(_ made: SmallRepository) {
    let name = made.store.names.first { $0.hasPrefix(ObjectPath.generation(made.base)) }!
    var bytes = made.store.contents[name]!
    bytes[1000] ^= 1
    made.store.overwrite(name, bytes)
  }

  @Test func `a damaged generation is quarantined, once, and restores plan around it`() async throws
  {
    let made = try await SmallRepository()
    damageBase(made)
    let first = try await made.verify()
    #expect(first.quarantined == [made.base.description])
    #expect(first.findings[0].points == ["1.2", "2.1", "2.2"])
    #expect(try await made.verify().quarantined == [])
    let history = try await made.repository.history()
    let reader = HistoryReader(repository: made.repository, history: history)
    #expect(try await reader.newestPoint() == nil)
    #expect(await code { _ = try await reader.point(.point("2.1"), now: at(9000)) } == .corrupt)
    let listing = try await RepositoryListing.make(made.store, now: at(9000))
    #expect(listing.quarantined.contains(made.base.description) && listing.newest == nil)
  }

  @Test func `where nothing may be written, that is said and nothing else`() async throws {
    let made = try await SmallRepository()
    let readOnly = FaultyStore(made.store)
    readOnly.decide { call in
      call.operation == .create ? .fail(LifeboatError(.storeUnavailable, "denied")) : .pass
    }
    #expect(try await made.verify(readOnly).findings == [])
    damageBase(made)
    let before = made.store.contents
    let report = try await made.verify(readOnly)
    #expect(failures(report).count == 1 && report.quarantined == [])
    #expect(report.findings.contains { $0.verdict == .remark && $0.detail.contains("denied") })
    #expect(made.store.contents == before)
  }
}

/// A store with a hook that is called just before an object is read for the first time.
private final class ChangingStore: StoreLayer {
  let base: any ObjectStore
  private let name: String
  private let change: @Sendable () async throws -> Void
  private let isDue = Mutex(true)

  init(
    _ base: MemoryStore, when name: String, _ change: @escaping @Sendable () async throws -> Void
  ) {
    self.base = base
    self.name = name
    self.change = change
  }

  func read(_ name: String, limit: Int) async throws -> [UInt8]? {
    let isFirst = isDue.withLock { due in
      guard due, name == self.name else { return false }
      due = false
      return true
    }
    if isFirst { try await change() }
    return try await base.read(name, limit: limit)
  }
}
