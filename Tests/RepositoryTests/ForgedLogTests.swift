import BackupFormat
import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess
import TestSupport
import Testing

/// Log objects that somebody else created in a timeline. Their names alone do not hide anything.
@Suite struct ForgedLogTests {
  private func span(_ from: UInt64, _ to: UInt64, at time: Int64? = 5, digest: UInt8 = 0) -> LogSpan
  {
    LogSpan(
      from: from, to: to, mark: time.map { Instant(milliseconds: $0) },
      digest: ShortDigest(bytes: [UInt8](repeating: digest, count: 16))!)
  }

  @Test func `what follows each other, and folds, overlap nothing`() {
    let parts = [span(0, 10, at: 1), span(10, 20, at: 2), span(20, 30, at: 3)]
    #expect(LogOverlap.found(in: []).isEmpty)
    #expect(LogOverlap.found(in: parts).isEmpty)
    #expect(LogOverlap.found(in: parts.reversed()).isEmpty)
    #expect(LogOverlap.found(in: parts + [span(0, 30, at: 3)]).isEmpty)
    #expect(LogOverlap.found(in: parts + [span(0, 20, at: 2), span(30, 40, at: 4)]).isEmpty)
  }

  @Test func `anything else is doubtful`() {
    let parts = [span(0, 10, at: 1), span(10, 20, at: 2), span(20, 30, at: 3)]
    func doubtful(_ more: LogSpan...) -> [LogSpan] {
      LogOverlap.found(in: parts + more).map(\.span)
    }
    #expect(doubtful(span(0, 30, at: 9)) == [span(0, 30, at: 9)], "another time")
    #expect(doubtful(span(0, 31, at: 3)) == [span(0, 31, at: 3)], "longer than what it covers")
    #expect(doubtful(span(0, 10, at: 1, digest: 1)).count == 1, "the same bytes twice")
    #expect(doubtful(span(5, 15)) == [span(0, 10, at: 1), span(5, 15), span(10, 20, at: 2)])
    #expect(doubtful(span(5, 8)) == [span(0, 10, at: 1)])
  }

  /// It looks like a fold, so it is only read when its bytes are needed.
  @Test(arguments: [0, 1])
  func `a restore takes the bytes from the objects that a forged one covers`(garbage: Int)
    async throws
  {
    let scene = try await RestoreScene()
    let logs = scene.store.names.compactMap {
      name -> (number: TimelineNumber, ordinal: Int, LogSpan)? in
      guard case .log(let number, let ordinal, let span) = ObjectPath(name) else { return nil }
      return (number, ordinal, span)
    }.sorted { ($0.number, $0.ordinal, $0.2.from) < ($1.number, $1.ordinal, $1.2.from) }
    let first = try #require(logs.last)
    let own = logs.filter { $0.number == first.number && $0.ordinal == first.ordinal }.map(\.2)
    let whole = LogSpan(
      from: own.first!.from, to: own.last!.to, mark: own.last!.mark,
      digest: ShortDigest(bytes: [UInt8](repeating: 9, count: 16))!)
    let name = ObjectPath.log(first.number, ordinal: first.ordinal, whole)
    let genuine = scene.store.names.first { $0.contains("/log/") }!
    scene.store.overwrite(name.text, garbage == 0 ? [1, 2, 3] : scene.store.contents[genuine]!)
    let data = try scene.directory(.nothing)
    try await scene.restore(data, RestoreScene.nothing)
    #expect(try visible(data) == scene.newest)
    let verified = try await Verifier(
      scene.store, options: .init(sample: nil, by: "test"), now: { Instant(milliseconds: 1) },
      draw: { 0 }, progress: { _, _ in }
    ).run()
    #expect(
      verified.findings.contains { $0.object == name.text && $0.isFailure }, "\(verified.text)")
  }

  /// Nothing overlaps it, so only its content shows that it is not log.
  @Test func `garbage behind the end is told of, with the command for the state before it`()
    async throws
  {
    let scene = try await RestoreScene()
    let end = scene.store.names.compactMap { name -> (TimelineNumber, LogSpan)? in
      guard case .log(let number, 1, let span) = ObjectPath(name) else { return nil }
      return (number, span)
    }.max { ($0.0, $0.1.to) < ($1.0, $1.1.to) }!
    let name = ObjectPath.log(
      end.0, ordinal: 1, self.span(end.1.to, end.1.to + 9, at: 1_000_000_000)
    ).text
    scene.store.overwrite(name, [1, 2, 3])
    let data = try scene.directory(.nothing)
    let error = await #expect(throws: LifeboatError.self) {
      try await scene.restore(data, RestoreScene.nothing)
    }
    let hint = error?.hint ?? ""
    #expect(error?.code == .corrupt && hint.contains("restore --point 2."), "\(hint)")
    let id = hint.split(separator: "`").first?.split(separator: " ").last.map(String.init) ?? ""
    try await scene.restore(data, { $0.question = .point(id) })
    #expect(try visible(data) == scene.newest)
    let listing = try await RepositoryListing.make(scene.store, now: at(10_000))
    #expect(listing.unreadable == [name] && listing.newest == nil)
    let found = try await RepositoryDiagnosis(scene.store, now: at(10_000)).findings()
    #expect(found.contains { $0.verdict == .failed && $0.detail.contains(name) }, "\(found)")
  }

  @Test func `garbage with more bytes in its name than any object has is damage, no lack of room`()
    async throws
  {
    let scene = try await RestoreScene()
    let end = scene.store.names.compactMap { name -> (TimelineNumber, LogSpan)? in
      guard case .log(let number, 1, let span) = ObjectPath(name) else { return nil }
      return (number, span)
    }.max { ($0.0, $0.1.to) < ($1.0, $1.1.to) }!
    let far = span(end.1.to, 9_999_999_999_999_999, at: 1_000_000_000)
    scene.store.overwrite(ObjectPath.log(end.0, ordinal: 1, far).text, [1, 2, 3])
    let data = try scene.directory(.nothing)
    let error = await #expect(throws: LifeboatError.self) {
      try await scene.restore(data, RestoreScene.nothing)
    }
    #expect(error?.code == .corrupt, "\(String(describing: error))")
    #expect(error?.hint?.contains("restore --point 2.") == true)
  }

  private static let ping = Array("*1\r\n$4\r\nPING\r\n".utf8)
  private static let forged =
    "timelines/00000001/log/00000001/"
    + "0000000000000000-0000000000000042-0000000000030-" + String(repeating: "09", count: 16)

  /// Three commands of 14 bytes, at 10, 20 and 30, and an object that looks like their fold.
  private func behindFold(isGarbage: Bool, bytes: [UInt8]? = nil) async throws
    -> MadeRepository
  {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    for part in 0..<3 {
      try await made.addLog(
        1, UInt64(part * 14), bytes: ForgedLogTests.ping, at: Int64(part + 1) * 10)
    }
    if isGarbage {
      made.store.overwrite(ForgedLogTests.forged, [1, 2, 3])
    } else {
      let ping = ForgedLogTests.ping
      try await made.addLog(1, 0, bytes: bytes ?? ping + ping + ping, at: 30)
    }
    return made
  }

  /// Without the key it is garbage. Whoever has the nonce can make one that is intact and has no marks.
  @Test(arguments: [true, false])
  func `what looks like a fold hides no instant, no position and no command`(isGarbage: Bool)
    async throws
  {
    let made = try await behindFold(isGarbage: isGarbage)
    func ask(_ question: Question) async throws -> RestorePoint? {
      try await made.repository.withHistory { history in
        try await HistoryReader(repository: made.repository, history: history).point(
          question, now: at(10_000))
      }
    }
    #expect(try await ask(.at(at(20)))?.cut?.offset == 28)
    #expect(try await ask(.at(at(29)))?.cut?.offset == 28)
    #expect(try await ask(.point("1.1@1:14"))?.instant == at(10))
    // The log is read to its end: it contains no command that makes keys.
    #expect(await code { _ = try await ask(.before("PING")) } == .suspect)
    #expect(try await ask(.newest())?.cut?.offset == 42)
    let listing = try await RepositoryListing.make(made.store, now: at(10_000))
    #expect(listing.newest != nil && listing.unreadable.isEmpty)
    #expect(listing.unusable == (isGarbage ? [ForgedLogTests.forged] : []))
    let verified = try await verify(made)
    #expect(
      verified.findings.contains {
        $0.object.contains("/0000000000000000-0000000000000042-") && $0.isFailure
      }, "\(verified.text)")
  }

  @Test func `what looks like a fold and has other bytes is told of`() async throws {
    let made = try await behindFold(
      isGarbage: false,
      bytes: ForgedLogTests.ping + Array("*1\r\n$4\r\nQUIT\r\n".utf8) + ForgedLogTests.ping)
    let verified = try await verify(made)
    #expect(!verified.isSound && verified.text.contains("forged"), "\(verified.text)")
  }

  /// Parts that somebody put inside a true fold, whose own parts are deleted, do not make it unusable.
  @Test func `garbage inside a fold changes nothing`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, 42, at: 30, inner: [(14, 10), (28, 20)])
    for (from, to) in [(0, 20), (20, 42)] as [(UInt64, UInt64)] {
      made.store.overwrite(
        ObjectPath.log(.first, ordinal: 1, span(from, to, at: to == 42 ? 30 : 15, digest: 9)).text,
        [1, 2, 3])
    }
    let point = try await made.repository.withHistory { history in
      try await HistoryReader(repository: made.repository, history: history).point(
        .at(at(20)), now: at(10_000))
    }
    #expect(point?.cut?.offset == 28)
  }

  private func verify(_ made: MadeRepository) async throws -> VerifyReport {
    try await Verifier(
      made.copy(), options: .init(sample: nil, by: "test"), now: { at(1) }, draw: { 0 },
      progress: { _, _ in }
    ).run()
  }

  /// Both are intact and have the nonce of the timeline, so only a person can decide which one is right.
  @Test func `two that contradict each other are told of, and nothing is deleted`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 0)
    try await made.addLogSnapshot(1, 1)
    try await made.addLog(1, 0, bytes: Array("*1\r\n$4\r\nPING\r\n".utf8), at: 10)
    try await made.addLog(1, 5, bytes: Array("something else".utf8), at: 20)
    let listing = try await RepositoryListing.make(made.store, now: at(10_000))
    #expect(listing.contradicting.count == 2 && listing.unusable.isEmpty, "\(listing)")
    let found = try await RepositoryDiagnosis(made.store, now: at(10_000)).findings()
    #expect(found.contains { $0.check == "forged-log" })
    let refused = await code {
      _ = try await Pruner(
        made.repository, options: .init(policy: RetentionPolicy(), by: "test"), now: { at(10_000) }
      ).run()
    }
    #expect(refused == .corrupt)
    let verified = try await Verifier(
      made.copy(), options: .init(sample: nil, by: "test"), now: { at(1) }, draw: { 0 },
      progress: { _, _ in }
    ).run()
    #expect(!verified.isSound && verified.text.contains("forged"), "\(verified.text)")
  }
}
