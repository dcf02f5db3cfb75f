import BackupFormat
import BackupTypes
import HistoryLogic
import Recovery
import RepositoryAccess
import TestSupport
import Testing

/// What `restore --dry-run` shows of the place where the log is cut.
@Suite struct CutReadingTests {
  /// A log of these objects after a BASE, seen at 11 s, 12 s and so on.
  private func made(_ parts: [[UInt8]]) async throws -> MadeRepository {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 9000)
    try await made.addChain(1, 1, ordinal: 1, baseAt: 10_000)
    var offset: UInt64 = 0
    for (index, bytes) in parts.enumerated() {
      try await made.addLog(1, offset, bytes: bytes, at: Int64(index + 11) * 1000)
      offset += UInt64(bytes.count)
    }
    return made
  }

  private func surroundings(
    _ made: MadeRepository, _ question: Question = .newest()
  ) async throws -> CutSurroundings? {
    let point = try #require(try await made.choose(question, now: at(99_000)))
    return try await CutReading(reader: try await made.reader).surroundings(of: point)
  }

  private func words(_ command: CutSurroundings.Command?) -> String? {
    command.map { $0.name + " " + String(decoding: $0.argument ?? [], as: UTF8.self) }
  }

  @Test func `at a mark`() async throws {
    let (first, second) = (LogBytes.command("SET a 1"), LogBytes.command("SET b 2"))
    let made = try await made([first, second, LogBytes.command("SET c 3")])
    let found = try #require(try await surroundings(made, .at(at(12_500))))
    #expect(found.precision == .mark)
    #expect(found.markBefore?.time == at(12_000))
    #expect(found.markBefore?.position.offset == UInt64(first.count + second.count))
    #expect(found.markBehind?.time == at(13_000))
    #expect(words(found.lastKept) == "SET b" && found.lastKept?.seenAt == at(12_000))
    #expect(words(found.firstLeftOut) == "SET c" && found.firstLeftOut?.seenAt == at(13_000))
    #expect(found.nextSecond == nil)
  }

  @Test func `to the second, inside of an object`() async throws {
    let first =
      LogBytes.stamp(10) + LogBytes.command("SET a 1") + LogBytes.stamp(11)
      + LogBytes.command("SET b 2")
    let made = try await made([first, LogBytes.stamp(12) + LogBytes.command("FLUSHALL")])
    let found = try #require(try await surroundings(made, .at(at(10_000))))
    #expect(found.precision == .second && found.nextSecond == at(11_000))
    #expect(found.markBefore == nil && found.markBehind?.time == at(11_000))
    #expect(words(found.lastKept) == "SET a" && words(found.firstLeftOut) == "SET b")
    // The cut is also the end of an object.
    let next = try #require(try await surroundings(made, .at(at(11_000))))
    #expect(next.precision == .second && next.nextSecond == at(12_000))
    #expect(next.markBefore?.time == at(11_000) && next.markBehind?.time == at(12_000))
    #expect(words(next.lastKept) == "SET b" && words(next.firstLeftOut) == "FLUSHALL ")
  }

  @Test func `before a command`() async throws {
    let made = try await made([
      LogBytes.command("SET a 1") + LogBytes.command("FLUSHALL") + LogBytes.command("SET b 2")
    ])
    let found = try #require(try await surroundings(made, .before("FLUSHALL")))
    #expect(found.precision == .command)
    #expect(words(found.lastKept) == "SET a" && words(found.firstLeftOut) == "FLUSHALL ")
    #expect(found.markBefore == nil && found.markBehind?.time == at(11_000))
  }

  @Test func `the newest, and nothing of the log`() async throws {
    let made = try await made([LogBytes.command("SET a 1")])
    let newest = try #require(try await surroundings(made))
    #expect(newest.precision == .mark && newest.markBehind == nil && newest.firstLeftOut == nil)
    #expect(words(newest.lastKept) == "SET a")
    let start = try #require(try await surroundings(made, .point("1.1@1:0")))
    #expect(start.precision == .copy && start.lastKept == nil)
    #expect(words(start.firstLeftOut) == "SET a" && start.markBehind?.time == at(11_000))
  }

  @Test func `the marks inside of a fold, and a command that spans objects`() async throws {
    let long = LogBytes.command("SET long " + String(repeating: "x", count: 4000))
    let made = try await made([])
    try await made.addLog(1, 0, bytes: Array(long[..<1000]), at: nil)
    try await made.addLog(1, 1000, bytes: Array(long[1000..<2000]), at: nil)
    try await made.addLog(1, 2000, bytes: Array(long[2000...]), at: 11_000)
    let found = try #require(try await surroundings(made))
    #expect(words(found.lastKept) == "SET long" && found.firstLeftOut == nil)

    let folded = try await MadeRepository()
    try await folded.addClaim(1, at: 50)
    try await folded.addLogSnapshot(1, 1)
    try await folded.addLog(1, 0, 30, at: 3000, inner: [(10, 1000), (20, 2000)])
    let point = try #require(try await folded.choose(.at(at(1500))))
    #expect(point.cut?.offset == 10)
    let inside = try await CutReading(reader: try await folded.reader).surroundings(of: point)
    #expect(inside?.markBefore?.time == at(1000) && inside?.markBefore?.position.offset == 10)
    #expect(inside?.markBehind?.time == at(2000) && inside?.markBehind?.position.offset == 20)
  }

  @Test func `a dump is no place in a log`() async throws {
    let made = try await MadeRepository()
    try await made.addClaim(1, at: 50)
    try await made.addSnapshot(1, 1, dumpAt: 100)
    #expect(try await surroundings(made) == nil)
  }
}
