import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemPackage
import TestSupport
import Testing

/// A well-formed repository by an attacker. No command traps because of numbers that a real repository never
/// has.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct HostileRecordTests {
  /// The log of one server, and the repository to write to.
  private struct Target {
    let scene: Scene
    let repository: Repository
    var snapshot: Snapshot

    init() async throws {
      scene = try Scene()
      let server = try await scene.server(.v7_4, ["appendonly": "yes"])
      defer { server.kill() }
      try server.fill("key:", 1...20)
      try await scene.ship()
      let store = DirectoryStore(root: FilePath(scene.repository))
      repository = try #require(try await Repository.open(store))
      let reader = HistoryReader(
        repository: repository, history: try await repository.history())
      snapshot = try #require(try await reader.lastSnapshot(of: .first))
    }

    /// Replaces the last snapshot.
    func replaceSnapshot() async throws {
      let name = ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence)
      TestFiles.remove(scene.repository + "/" + name.text)
      _ = try await repository.create(snapshot, name, kind: .snapshot)
    }

    func index(_ number: UInt8, size: UInt64, pieces: Int = 1, _ keys: UInt64, functions: Int = 0)
      async throws -> GenerationIndex
    {
      let id = GenerationID(
        fingerprint: ShortDigest(bytes: [UInt8](repeating: number, count: 16))!,
        nonce: snapshot.nonce)
      let digest = repository.frame.digest([number])
      for piece in 0..<pieces {
        try await repository.createContent(
          [number], .piece(id, number: piece, digest.short), kind: .piece)
      }
      let made = GenerationIndex(
        generation: id, kind: .dump, file: "dump.rdb", size: size,
        pieces: Array(repeating: digest, count: pieces), contentAt: Instant(milliseconds: 0),
        verdict: .good, remark: nil,
        dataset: DatasetRecord(
          server: nil, rdbVersion: 11, isValkey: false,
          databases: [.init(number: .max, keys: keys, expires: keys, types: [:])],
          functions: functions))
      _ = try await repository.create(made, .index(id), kind: .index)
      return made
    }

    /// Checks how every read-only command ends.
    func read() async throws {
      for (command, codes) in [
        (["list"], [ExitCode.success]), (["inspect"], [.success, .corrupt]),
        (["report", "--json"], [.success]), (["report"], [.success]),
        (["prune", "--dry-run"], [.success, .corrupt]), (["verify"], [.corrupt]),
      ] {
        let result = try await LifeboatCommand.run(command + ["--repo", scene.repository])
        #expect(result.exit.map { codes.contains($0) } == true, "\(result)")
      }
    }
  }

  @Test func `sizes and counts that nothing has are drawn, listed and verified`() async throws {
    let target = try await Target()
    _ = try await target.index(1, size: UInt64(Int64.max), .max)
    _ = try await target.index(2, size: .max, 1 << 63, functions: -1)
    _ = try await target.index(3, size: 1, .max, functions: -1)
    try await target.read()
  }

  @Test func `a dump beside a log whose index contradicts itself is done without`() async throws {
    var target = try await Target()
    let dump = try await target.index(1, size: 88, pieces: 2, 1)
    let start = try #require(target.snapshot.chain?.files.first?.segments.first?.position(0))
    target.snapshot.dump = .init(
      generation: dump.generation, file: dump.file, contentAt: dump.contentAt, pinnedAt: start)
    try await target.replaceSnapshot()
    let restored = try target.scene.folder.makeDirectory("restored")
    let result = try await target.scene.restore(restored)
    try #require(result.exitCode == 0, "\(result)")
    #expect(result.outputText.has("the dump next to the log is left out"), "\(result)")
    #expect(try await target.scene.loaded(.v7_4, restored)[0, "key:20"] != nil)
    try await target.read()
  }

  @Test func `files larger together than any number are refused before anything is written`()
    async throws
  {
    var target = try await Target()
    let span = LogSpan(
      from: 0, to: 9_999_999_999_999_999, mark: target.snapshot.at,
      digest: target.repository.frame.digest([1]).short)
    _ = try await target.repository.store.create(
      ObjectPath.log(.first, ordinal: 9, span).text, [1])
    let files = (1...2000).map { number in
      Snapshot.LogFile(
        file: "f\(number).incr.aof", sequence: Int64(number),
        segments: [.init(timeline: .first, ordinal: 9, from: 0, to: span.to)], identity: nil)
    }
    target.snapshot.chain?.files.insert(contentsOf: files, at: 0)
    // In order, because otherwise the record is refused for that reason.
    target.snapshot.chain?.files[2000].sequence = 2001
    try await target.replaceSnapshot()
    let restored = try target.scene.folder.makeDirectory("restored")
    let result = try await target.scene.restore(restored)
    #expect(result.exit == .corrupt && result.errorText.has("sum of its file sizes"), "\(result)")
    #expect(TestFiles.tree(restored).isEmpty)
    try await target.read()
    // When a shipper starts on another volume, it compares the logs.
    let volume = try target.scene.folder.makeDirectory("volume")
    let server = try await target.scene.server(.v7_4, on: volume, ["appendonly": "yes"])
    try server.fill("other:", 1...2)
    server.kill()
    try await target.scene.ship(volume, "--take-over")
  }
}
