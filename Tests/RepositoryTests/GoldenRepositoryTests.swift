import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import SystemPackage
import TestSupport
import Testing

/// Repositories that releases wrote with real servers (`scripts/golden`). The current restore gives the same
/// files as that release, byte for byte.
@Suite struct GoldenRepositoryTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var expected = "newest"
    var point: String?
    var timeline: Int?
    var testDescription: String { "\(name), \(expected)" }
    static let all: [Case] = [
      .init(name: "plain"), .init(name: "encrypted"), .init(name: "folded"), .init(name: "dumps"),
      .init(name: "dumps", expected: "first", point: "1.1"), .init(name: "fork"),
      .init(name: "fork", expected: "abandoned", timeline: 1),
    ]
  }
  private static let names = ["plain", "encrypted", "folded", "dumps", "fork"]

  private func folder(_ name: String) -> String {
    let here = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
    return "/\(here)/BackupFormatTests/Golden/0.1.0/\(name)"
  }
  private func store(_ name: String) -> DirectoryStore {
    DirectoryStore(root: FilePath(folder(name) + "/repository"))
  }
  private func keys(_ name: String) -> KeySource {
    let file = folder(name) + "/key"
    return TestFiles.exists(file) ? KeySource(file: file, value: nil) : .none
  }

  @Test(arguments: Case.all)
  func `a golden repository restores as it did`(_ test: Case) async throws {
    let scratch = try TemporaryDirectory("golden")
    let data = try scratch.makeDirectory("data")
    let timeline = test.timeline.flatMap { TimelineNumber($0) }.map { Question.timeline($0) }
    let question = test.point.map { .point($0) } ?? timeline ?? .newest()
    var options = Restorer.Options(
      data: FilePath(data), question: question, plan: RestorePlan.Options())
    options.keys = keys(test.name)
    let outcome = try await Restorer(
      options: options, store: store(test.name), now: { Instant(milliseconds: 1_800_000_000_000) },
      note: { _ in }, progress: { _, _ in }
    ).run()
    guard case .restored = outcome else { throw HarnessError("\(outcome)") }
    let expected = try files(folder(test.name) + "/" + test.expected)
    let found = try visible(data)
    #expect(found.keys.sorted() == expected.keys.sorted())
    for (name, bytes) in expected { #expect(found[name] == bytes, "\(name)") }
    #expect(expected.count >= 2)
  }

  @Test(arguments: names)
  func `verify finds nothing`(_ name: String) async throws {
    let report = try await Verifier(
      store(name), options: .init(sample: nil, by: "test", keys: keys(name)),
      now: { Instant(milliseconds: 1_800_000_000_000) }, draw: { 0 }, progress: { _, _ in }
    ).run()
    #expect(report.isSound && report.findings.isEmpty, "\(report.text)")
  }

  /// The test computes the ids of generations from section 3 of docs/format.md alone.
  @Test(arguments: names)
  func `the id of a generation is the fingerprint of its file`(_ name: String) async throws {
    let repository = try #require(
      try await Repository.open(store(name), keys: keys(name)))
    let history = try await repository.history()
    #expect(!history.catalogue.complete.isEmpty)
    for id in history.catalogue.complete {
      let index = try await repository.index(id)
      var bytes: [UInt8] = []
      for (number, digest) in index.pieces.enumerated() {
        bytes += try #require(
          try await repository.content(
            .piece(id, number: number, digest.short), kind: .piece,
            limit: GenerationIndex.pieceBytes))
      }
      let tail = Array(bytes.suffix(9))
      // Every file here is a complete RDB with a checksum.
      try #require(
        bytes.count > 73 && tail[0] == 0xff && tail != [0xff] + Array(repeating: 0, count: 8))
      let size = (0..<8).map { UInt8(truncatingIfNeeded: bytes.count >> (8 * $0)) }
      let text = Array("rdb".utf8) + size + bytes.prefix(64) + tail
      #expect(repository.frame.digest(text).short == id.fingerprint, "\(id)")
    }
  }

  /// Its name only has the first half of the digest.
  @Test func `a piece must have the whole digest that its index names`() async throws {
    let copy = MemoryStore()
    let listed = try await store("plain").list(prefix: "", continuing: nil)
    for entry in listed.entries {
      _ = try await copy.create(
        entry.name, try #require(try await store("plain").read(entry.name)))
    }
    let repository = try #require(try await Repository.open(copy))
    for id in try await repository.history().catalogue.complete {
      var index = try await repository.index(id)
      let half = index.pieces[0].bytes.prefix(16)
      index.pieces[0] = try #require(Digest(bytes: half + [UInt8](repeating: 9, count: 16)))
      copy.lose(ObjectPath.index(id).text)
      _ = try await repository.create(index, .index(id), kind: .index)
    }
    let scratch = try TemporaryDirectory("golden")
    let restorer = Restorer(
      options: .init(
        data: FilePath(try scratch.makeDirectory("data")), question: .newest(),
        plan: RestorePlan.Options()), store: copy,
      now: { Instant(milliseconds: 1_800_000_000_000) }, note: { _ in }, progress: { _, _ in })
    #expect(await code { _ = try await restorer.run() } == .corrupt)
  }

  @Test func `in the folded one a single object has the whole first file`() async throws {
    let repository = try #require(try await Repository.open(store("folded")))
    let log = try await repository.history().catalogue.timelines[.first]?.log[1] ?? []
    #expect(log.count == 1 && log.first?.from == 0)
  }
}
