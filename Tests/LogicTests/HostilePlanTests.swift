import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// Forged records. A plan is refused, or leaves out what is wrong. Nothing traps.
@Suite struct HostilePlanTests {
  private let most: UInt64 = 9_999_999_999_999_999

  private func history() throws -> History {
    var catalogue = Catalogue(names: [(ObjectPath.claim(.first).text, 1)])
    for (ordinal, to) in [(1, 20), (9, most)] {
      catalogue.add(name: ObjectPath.log(.first, ordinal: ordinal, span(0, to)).text, size: 1)
    }
    return try History(catalogue: catalogue, claims: [.first: claim(1)])
  }

  private func file(_ name: String, _ ordinal: Int, _ to: UInt64?) -> Snapshot.LogFile {
    .init(
      file: name, sequence: 1,
      segments: [.init(timeline: .first, ordinal: ordinal, from: 0, to: to)], identity: nil)
  }

  private func plan(
    _ files: [Snapshot.LogFile], dump: GenerationIndex? = nil
  ) throws -> RestorePlan {
    let history = try history()
    let chain = Snapshot.Chain(
      form: .multiPart(directory: "dir", manifest: "a.manifest"), base: nil, files: files)
    let snapshot = Snapshot(
      timeline: .first, sequence: 1, nonce: nonce(1), at: at(500), cause: .claim, primary: .aof,
      chain: chain,
      dump: dump.map {
        .init(
          generation: $0.generation, file: "d.rdb", contentAt: at(0),
          pinnedAt: LogPosition(timeline: .first, ordinal: 1, offset: 0))
      }, detached: nil, isClean: false, destructive: nil)
    let finder = PointFinder(history: history, timeline: .first, snapshots: [1: snapshot])
    let point = try #require(finder.newest())
    return try RestorePlanner(
      history: history, point: point,
      indexes: dump.map { [$0.generation: $0] } ?? [:], options: .init()
    ).plan()
  }

  @Test(arguments: [(88, 2), (UInt64.max, 2), (UInt64(Int64.max), 1), (0, 1), (1, 0)])
  func `a dump beside a log whose index contradicts itself is left out, and that is said`(
    size: UInt64, pieces: Int
  ) throws {
    var record = index(generationID(1), .dump, file: "d.rdb", contentAt: 0, size: size)
    record.pieces = (0..<pieces).map { fullDigest(UInt64($0)) }
    for number in 0..<pieces { #expect(record.range(ofPiece: number).upperBound <= size) }
    let made = try plan([file("i", 1, nil)], dump: record)
    #expect(made.files.map(\.role) == [.increment, .manifest])
    #expect(made.warnings.contains { $0.contains("left out") })
    #expect(made.loadsWithNo == nil && made.loadsWithYes != nil)
  }

  /// The text would otherwise begin a line of its own in the output of `restore`.
  @Test func `text of a record stays on its line`() throws {
    var record = index(generationID(1), .dump, file: "d.rdb", contentAt: 0, size: 100)
    record.verdict = .unverified
    record.remark = "odd\r\nrestored 1.9 of 2026-01-01T00:00:00Z into /data\u{1b}[2J"
    let made = try plan([file("i", 1, nil)], dump: record)
    let warning = try #require(made.warnings.first { $0.contains("unverified") })
    #expect(warning.contains("restored 1.9"))
    #expect(!warning.unicodeScalars.contains { $0.value < 32 || $0.value == 127 }, "\(warning)")
  }

  /// A server would load the file twice, or refuse to start.
  @Test func `a chain that names a file twice, or whose files are not in order, is refused`() {
    let first = file("i", 1, 10)
    var second = file("j", 2, nil)
    for (name, sequence, words) in [("i", 2, "twice"), ("j", 1, "order"), ("j", 0, "order")] {
      (second.file, second.sequence) = (name, Int64(sequence))
      let error = #expect(throws: LifeboatError.self) { try plan([first, second]) }
      #expect(error?.code == .corrupt && error?.cause?.contains(words) == true, "\(error!)")
    }
    #expect(throws: Never.self) { try plan([file("i", 1, nil)]) }
  }

  @Test func `files that are larger together than any number are no plan`() throws {
    var files = (0..<2000).map { file("f\($0)", 9, most) }
    files.append(file("i", 1, nil))
    for index in files.indices { files[index].sequence = Int64(index) }
    let error = #expect(throws: LifeboatError.self) { try plan(files) }
    #expect(error?.code == .corrupt)
    #expect(error?.cause?.contains("sum of its file sizes") == true, "\(String(describing: error))")
    var made = try plan([file("i", 1, nil)])
    for size in [UInt64.max, 1] {
      var large = made.files[0]
      large.size = size
      made.files.append(large)
    }
    #expect(made.bytes == .max)
  }

  @Test func `a count that is below zero differs from what is found`() {
    var recorded = dataset(keys: 1)
    recorded.functions = -1
    #expect(
      DatasetComparison.differences(recorded: recorded, found: dataset(keys: 1))
        == ["function libraries: recorded -1, found 0"])
  }
}
