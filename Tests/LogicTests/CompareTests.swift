import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import TestSupport
import Testing
import WriterLogic

/// What a comparison of a directory with a repository finds, as a table of facts and results.
@Suite struct CompareTests {
  private static let set = CompareScene.set
  private static let step = CompareScene.step
  private static let other = command("SET", "k", "w")

  private static func receipt(_ cut: LogPosition?, _ change: (inout Receipt) -> Void = { _ in })
    -> Receipt
  {
    var made = Receipt(
      repository: nonce(99), point: .init(timeline: .first, sequence: 1, cut: cut),
      isDeliberate: true, newest: .first,
      end: .init(snapshots: 1, ordinals: [.init(ordinal: 1, offset: 3 * step)]))
    change(&made)
    return made
  }

  private struct Row: Sendable {
    var name: String
    var relation: Comparison.Relation
    /// The offset at which each followed file continues.
    var starts: [UInt64] = []
    var suspicion: Claim.Suspicion.Reason?
    var isHeir = false
    var change: @Sendable (inout CompareScene) -> Void
  }

  private static let log: [Row] = [
    Row(name: "nothing new", relation: .nothingNew, starts: [3 * step]) { _ in },
    Row(name: "torn tail", relation: .nothingNew, starts: [3 * step]) {
      $0.setLog(set + set + set + set.dropLast(3))
    },
    Row(
      name: "continues", relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) { $0.setLog(set + set + set + other) },
    Row(
      name: "garbage behind the log is no news", relation: .nothingNew, starts: [3 * step]
    ) { $0.setLog(set + set + set + [UInt8](repeating: 0, count: 40)) },
    Row(name: "older, and nothing after it", relation: .nothingNew, starts: [step]) {
      $0.setLog(set)
    },
    Row(
      name: "went back, within a minute",
      relation: .wentBack(to: position(1, 1, step), isNamed: false), starts: [step]
    ) { $0.setLog(set + other) },
    Row(
      name: "went back by an hour, which no restore named",
      relation: .wentBack(to: position(1, 1, 3 * step), isNamed: false), starts: [3 * step],
      suspicion: .older
    ) {
      $0.addLog(from: 3 * step, set, at: 9000)
      $0.setLog(set + set + set + other)
    },
    Row(
      name: "went back by an hour, as a restore was told to",
      relation: .wentBack(to: position(1, 1, 3 * step), isNamed: true), starts: [3 * step],
      isHeir: true
    ) {
      $0.addLog(from: 3 * step, set, at: 9000)
      $0.setLog(set + set + set + other)
      $0.receipt = receipt(position(1, 1, 3 * step)) { $0.end.ordinals[0].offset = 4 * step }
    },
    Row(
      name: "restored to an earlier state: that alone is news",
      relation: .wentBack(to: position(1, 1, step), isNamed: true), starts: [step], isHeir: true
    ) {
      $0.setLog(set)
      $0.receipt = receipt(position(1, 1, step))
    },
    Row(
      name: "restored to the newest state", relation: .nothingNew, starts: [3 * step], isHeir: true
    ) { $0.receipt = receipt(position(1, 1, 3 * step)) },
    Row(name: "a restore that named nothing", relation: .nothingNew, starts: [step], isHeir: true) {
      $0.setLog(set)
      $0.receipt = receipt(position(1, 1, step)) { $0.isDeliberate = false }
    },
    Row(name: "a receipt of another repository", relation: .nothingNew, starts: [step]) {
      $0.setLog(set)
      $0.receipt = receipt(position(1, 1, step)) { $0.repository = nonce(1) }
    },
    Row(
      name: "a receipt from before the history grew", relation: .nothingNew, starts: [step]
    ) {
      $0.setLog(set)
      $0.receipt = receipt(position(1, 1, step)) { $0.end.ordinals[0].offset = 2 * step }
    },
    Row(
      name: "a receipt whose point is no longer on disk", relation: .nothingNew, starts: [step],
      isHeir: true
    ) {
      $0.setLog(set)
      $0.receipt = receipt(position(1, 1, 2 * step))
    },
    Row(
      name: "diverges inside an object that was folded",
      relation: .wentBack(to: position(1, 1, step), isNamed: false), starts: [step]
    ) {
      $0.log = [:]
      $0.addLog(from: 0, set + set + set)
      $0.setLog(set + other)
    },
    Row(
      name: "folded beyond the fork of a timeline",
      relation: .continues(from: position(2, 1, 2 * step)), starts: [2 * step]
    ) {
      // Timeline 2 took over after the first command. The fold of timeline 1 was written before that.
      $0.log = [:]
      $0.addLog(from: 0, set + set + set)
      $0.claims[TimelineNumber(2)!] = claim(
        2, parent: 1, fork: position(1, 1, step),
        end: .init(snapshots: 1, ordinals: [.init(ordinal: 1, offset: 3 * step)]))
      $0.addLog(2, from: step, other, at: 2000)
      $0.addSnapshot(2, 1) {
        $0.chain?.files[0].segments = [
          .init(timeline: .first, ordinal: 1, from: 0, to: step),
          .init(timeline: TimelineNumber(2)!, ordinal: 1, from: step, to: nil),
        ]
      }
      $0.setLog(set + other + set)
    },
    Row(
      name: "an object is listed and gone, and the disk differs there",
      relation: .wentBack(to: position(1, 1, step), isNamed: false), starts: [step]
    ) {
      $0.setLog(set + other)
      $0.gone = Set($0.log.keys)
    },
    Row(name: "a foreign snapshot does not count", relation: .nothingNew, starts: [3 * step]) {
      $0.addSnapshot(1, 2) { $0.chain = nil }
      $0.foreign = [SnapshotKey(.first, 2)]
    },
    Row(
      name: "the newest timeline holds nothing yet",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) {
      $0.claims[TimelineNumber(2)!] = claim(
        2, parent: 1, end: .init(snapshots: 1, ordinals: [.init(ordinal: 1, offset: 3 * step)]))
      $0.setLog(set + set + set + other)
    },
  ]

  private static let rest: [Row] = [
    Row(name: "first", relation: .unrelated, starts: [0]) {
      ($0.claims, $0.snapshots, $0.log, $0.indexes) = ([:], [:], [:], [:])
    },
    Row(name: "an empty directory is never news", relation: .nothingNew, starts: [0]) {
      $0.setBase(generationID(5).fingerprint, keys: 0)
      $0.setLog([])
      $0.isEmpty = true
    },
    Row(name: "unrelated, as large", relation: .unrelated, starts: [0]) {
      $0.setBase(generationID(5).fingerprint)
      $0.setLog(set, name: "i9", inode: 77)
    },
    Row(name: "unrelated, and much smaller", relation: .unrelated, starts: [0], suspicion: .smaller)
    {
      $0.setBase(generationID(5).fingerprint, keys: 3)
      $0.setLog([])
      // The snapshot has the number of keys.
      $0.addSnapshot { $0.estimate = .init(keys: 100, expires: 0) }
    },
    Row(name: "unrelated, without keys", relation: .unrelated, starts: [0], suspicion: .empty) {
      $0.setBase(generationID(5).fingerprint, keys: 0)
      $0.setLog([])
      $0.addSnapshot { $0.estimate = .init(keys: 100, expires: 0) }
    },
    Row(name: "unrelated while a question is open", relation: .unrelated, starts: [0]) {
      $0.setBase(generationID(5).fingerprint, keys: 0)
      $0.setLog([])
      $0.addSnapshot { $0.estimate = .init(keys: 100, expires: 0) }
      var asked = claim(1)
      asked.suspicion = .init(reason: .empty, detail: "", pin: "p")
      $0.claims[.first] = asked
      $0.pins = [
        Pin(
          id: "p", repository: nonce(99), origin: .start, reason: "", at: at(0), until: at(.max),
          timeline: .first, snapshot: 1, position: nil)
      ]
    },
    Row(
      name: "a rewrite that was not seen, of the same file",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) { $0.setBase(generationID(5).fingerprint) },
    Row(name: "a rewrite in a directory that is not known", relation: .unrelated, starts: [0]) {
      $0.setBase(generationID(5).fingerprint)
      $0.owner.directory = "e"
    },
    Row(name: "a rewrite, and the old file's inode used again", relation: .unrelated, starts: [0]) {
      $0.setBase(generationID(5).fingerprint)
      $0.setLog(set, inode: 77)
    },
    Row(
      name: "a rewrite that was seen: the file before is complete",
      relation: .continues(from: position(1, 2, step)), starts: [step]
    ) {
      $0.addSnapshot {
        $0.chain?.files = [
          CompareScene.file("i1", 1, 1, to: 3 * step), CompareScene.file("i2", 2, 2, to: nil),
        ]
      }
      $0.addLog(ordinal: 2, from: 0, set)
      $0.setBase(generationID(5).fingerprint)
      $0.setLog(set + other, name: "i2", inode: 3)
      $0.sequences = [2]
    },
    Row(
      name: "the BASE in the repository is damaged: it is sent again",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) {
      $0.quarantined = [generationID(1)]
    },
    Row(
      name: "a log that waits for its BASE",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) {
      $0.addSnapshot { snapshot in
        let files = snapshot.chain!.files
        snapshot.detached = .init(
          form: CompareScene.form, awaitedBase: "b", files: files, isBaseEmpty: nil)
        (snapshot.chain, snapshot.primary) = (nil, nil)
      }
      $0.setLog(set + set + set + other)
    },
    Row(
      name: "a single AOF that is durable, and that no snapshot made a restore point",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) {
      $0.form = .legacy
      $0.base = nil
      $0.addSnapshot { snapshot in
        snapshot.detached = .init(
          form: .legacy, awaitedBase: nil, files: snapshot.chain!.files, isBaseEmpty: nil)
        (snapshot.chain, snapshot.primary) = (nil, nil)
      }
    },
  ]

  private static func dumpRecord(_ number: UInt64) -> Snapshot.Dump {
    .init(generation: generationID(number), file: "dump.rdb", contentAt: at(900), pinnedAt: nil)
  }
  private static func isDumpOnly(_ scene: inout CompareScene) {
    scene.setNoLog()
    scene.log = [:]
    scene.indexes[generationID(9)] = index(
      generationID(9), .dump, file: "dump.rdb", contentAt: 900, dataset: dataset(keys: 100))
    scene.addSnapshot {
      ($0.chain, $0.primary, $0.dump) = (nil, .rdb, dumpRecord(9))
    }
  }

  /// A dump beside the log. It was saved after the last write, and is the newest restore point.
  private static func isDumpNewest(_ scene: inout CompareScene) {
    scene.indexes[generationID(9)] = index(
      generationID(9), .dump, file: "dump.rdb", contentAt: 900, dataset: dataset(keys: 100))
    scene.addSnapshot { ($0.primary, $0.dump) = (.rdb, dumpRecord(9)) }
  }

  private static func addOldDump(_ scene: inout CompareScene) {
    scene.setDump(generationID(10).fingerprint)
    scene.dump?.modified = FileMoment(seconds: 900, nanoseconds: 0)
  }

  private static let dumps: [Row] = [
    Row(name: "the log and the newest dump", relation: .nothingNew, starts: [3 * step]) {
      isDumpNewest(&$0)
      $0.setDump(generationID(9).fingerprint)
      $0.dump?.born = FileMoment(seconds: 3000, nanoseconds: 0)
      $0.dump?.modified = FileMoment(seconds: 3000, nanoseconds: 0)
    },
    Row(
      name: "the newest dump, and a log that was written after it",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) {
      isDumpNewest(&$0)
      $0.setDump(generationID(9).fingerprint)
    },
    Row(
      name: "the log, restored without the newest dump",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step], isHeir: true
    ) {
      isDumpNewest(&$0)
      $0.receipt = receipt(position(1, 1, 3 * step))
    },
    Row(
      name: "a new dump after the clock was set back: which of the two is newer is not known",
      relation: .continues(from: position(1, 1, 3 * step)), starts: [3 * step]
    ) {
      addOldDump(&$0)
      $0.lookedAt = at(1_000_000)
    },
    Row(name: "an old dump", relation: .nothingNew, starts: [3 * step]) { addOldDump(&$0) },
    Row(name: "the dump of the repository", relation: .nothingNew) {
      isDumpOnly(&$0)
      $0.setDump(generationID(9).fingerprint)
    },
    Row(name: "another dump", relation: .unrelated) {
      isDumpOnly(&$0)
      $0.setDump(generationID(10).fingerprint)
    },
    Row(name: "another dump, almost empty", relation: .unrelated, suspicion: .smaller) {
      isDumpOnly(&$0)
      $0.setDump(generationID(10).fingerprint, keys: 2)
    },
    Row(name: "the same dump, found damaged since", relation: .unrelated) {
      isDumpOnly(&$0)
      $0.setDump(generationID(9).fingerprint)
      $0.quarantined = [generationID(9)]
    },
    Row(name: "a restored dump stands as BASE", relation: .unrelated, starts: [0]) {
      isDumpOnly(&$0)
      $0.setBase(generationID(9).fingerprint)
      $0.setLog(set)
    },
    Row(name: "nothing at all on disk", relation: .nothingNew) { isDumpOnly(&$0) },
  ]

  @Test func `the table of logs`() throws { try check(Self.log) }
  @Test func `the table of chains`() throws { try check(Self.rest) }
  @Test func `the table of dumps`() throws { try check(Self.dumps) }

  private func check(_ rows: [Row]) throws {
    for row in rows {
      var scene = CompareScene()
      row.change(&scene)
      let (found, asked) = try scene.compared()
      #expect(found.relation == row.relation, "\(row.name)")
      #expect(found.hasNews == (row.relation != .nothingNew), "\(row.name)")
      #expect(found.chain?.files.map(\.start) ?? [] == row.starts, "\(row.name)")
      #expect(found.suspicion?.reason == row.suspicion, "\(row.name)")
      #expect(found.isHeir == row.isHeir, "\(row.name)")
      #expect(Set(asked).count == asked.count, "\(row.name)")
    }
  }

  @Test func `of a log that is unchanged, one scan of digests is asked for, and no object`() throws
  {
    let asked = try CompareScene().compared().asked
    #expect(
      asked.count {
        if case .agreement = $0 { return true }
        return false
      } == 1)
    #expect(
      !asked.contains {
        switch $0 {
        case .shared, .boundary, .copy: true
        default: false
        }
      })
  }

  @Test func `a rewritten chain keeps the file before it, and waits for the new BASE`() throws {
    var scene = CompareScene()
    try #require(Self.rest.first { $0.name.contains("that was seen") }).change(&scene)
    let chain = try #require(try scene.compared().result.chain)
    #expect((chain.anchor?.prefix ?? []).map(\.file) == ["i1"])
    #expect(chain.candidate?.file.pin == CompareScene.basePin)
    #expect(chain.anchor?.kind == .base(.init(generation: generationID(1), file: "b", sequence: 1)))
  }

  @Test func `a suspect start continues nothing`() throws {
    var scene = CompareScene()
    try #require(Self.rest.first { $0.suspicion == .smaller }).change(&scene)
    let found = try scene.compared().result
    #expect(found.fork == nil && found.chain?.anchor == nil && found.dump == nil)
    #expect(found.before?.position == position(1, 1, 3 * Self.step))
  }

  @Test func `an empty dump is news while it is watched`() throws {
    var scene = CompareScene()
    Self.isDumpOnly(&scene)
    scene.setDump(generationID(10).fingerprint, keys: 0)
    scene.isEmpty = true
    #expect(try scene.compared().result.relation == .nothingNew)
    let watched = try scene.compared(isWatched: true).result
    #expect(watched.relation == .unrelated && watched.suspicion?.reason == .empty)
  }

  @Test func `missing log that is on disk is shipped again, other log is lost`() throws {
    var scene = CompareScene()
    scene.log = scene.log.filter { name, _ in
      guard case .log(_, _, let span) = name else { return false }
      return span.from != Self.step
    }
    scene.addSnapshot { $0.reached = 3 * Self.step }
    #expect(try scene.compared().result.losses.isEmpty)
    scene.setLog(Self.set)
    let losses = try scene.compared().result.losses
    #expect(losses.map(\.from) == [Self.step])
  }
}
