import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess

/// One pass over a repository with one listing: every record, then every piece and log object. Used by one
/// task; it passes only values to others.
final class VerifyPass {
  let repository: Repository
  let catalogue: Catalogue
  /// The groups to check again. Nil for everything.
  private let wanted: Set<VerifyGroup>?
  /// Decides whether a piece or log object is read. Without a sample, all are.
  let chooses: @Sendable () -> Bool
  let isSample: Bool
  let progress: @Sendable (UInt64) -> Void

  private(set) var findings: [VerifyGroup: [VerifyFinding]] = [:]
  private(set) var leftOut = 0
  private var kept: [Bool: Int] = [:]
  var references = SnapshotReferences()
  /// What retention deleted, according to its records. This is not a loss.
  var letGo = LetGo()
  /// The readable snapshots; the history consists only of them.
  var claims: [TimelineNumber: Claim] = [:]
  /// The state of a log where another timeline continues it.
  var joins: [LogPosition: AOFScanner] = [:]
  private(set) var objectsRead = 0
  /// The repository id that the records should have: that of the descriptor, unless the descriptor is
  /// damaged.
  var expectedRepository: Nonce

  init(
    repository: Repository, catalogue: Catalogue, wanted: Set<VerifyGroup>?, isSample: Bool,
    chooses: @escaping @Sendable () -> Bool, progress: @escaping @Sendable (UInt64) -> Void
  ) {
    self.repository = repository
    expectedRepository = repository.id
    self.catalogue = catalogue
    self.wanted = wanted
    self.isSample = isSample
    self.chooses = chooses
    self.progress = progress
  }

  func run() async throws {
    noteForeign()
    try await readClaims()
    let genuine = try await repository.withoutForgedLog(catalogue, claims)
    noteForged(genuine)
    let history = try History(
      catalogue: genuine.without(Set(catalogue.timelines.keys.filter { claims[$0] == nil })),
      claims: claims, cutOff: try await repository.cutOff(genuine, claims))
    noteCutOff(history)
    try await readPrunes()
    try await readSnapshots(history)
    checkReferences(history)
    try await readOperations()
    try await readKeySlots()
    for id in catalogue.generations.keys.sorted(by: { $0.description < $1.description })
    where isWanted(.generation(id)) {
      try await verify(id)
    }
    for number in catalogue.timelines.keys.sorted() {
      for ordinal in catalogue.timelines[number]!.log.keys.sorted()
      where isWanted(.log(number, ordinal: ordinal)) {
        try await verify(number, ordinal: ordinal, history)
      }
    }
  }

  func isWanted(_ group: VerifyGroup) -> Bool { wanted?.contains(group) ?? true }

  func add(_ finding: VerifyFinding, to group: VerifyGroup) {
    guard isWanted(group), !(findings[group]?.contains(finding) ?? false) else { return }
    // Each kind has its own share, so that remarks never displace a failure.
    guard kept[finding.isFailure, default: 0] < VerifyReport.findingsMax / 2 else {
      leftOut += 1
      return
    }
    kept[finding.isFailure, default: 0] += 1
    findings[group, default: []].append(finding)
  }

  private func noteForged(_ genuine: Catalogue) {
    func note(_ path: ObjectPath, _ detail: String, _ consequence: String) {
      guard case .log(let number, let ordinal, _) = path else { return }
      add(
        .damaged(
          path.text, detail, [], consequence,
          remedy: "Lifeboat never writes this: find out who did, then delete it"),
        to: .log(number, ordinal: ordinal))
    }
    for (path, reason) in genuine.unusable {
      note(path, reason, "it is ignored; the objects that it overlaps are used")
    }
    for (path, other) in genuine.contradicting {
      note(
        path, "its bytes are not those of \(other.text): one of the two is forged",
        "a restore that needs their bytes may fail, and nothing is deleted")
    }
  }

  private func noteForeign() {
    guard catalogue.foreign > 0 else { return }
    add(
      VerifyFinding(
        .remark, catalogue.foreignExample ?? "",
        counted(catalogue.foreign, "object is", "objects are") + " not part of format 1: ignored"),
      to: .repository)
  }

  // MARK: Reading

  /// Reads objects in order, a few ahead.
  func read<Item: Sendable>(
    _ items: [Item], _ kind: ObjectKind, limit: Int, frame: Frame? = nil,
    name: @escaping @Sendable (Item) -> ObjectPath,
    take: (Item, ObjectReading) throws -> Void
  ) async throws {
    try await ReadAhead.run(items) { [repository, progress] item in
      try await repository.reading(
        name(item), kind: kind, limit: limit, frame: frame, progress: progress)
    } take: { item, reading in
      objectsRead += 1
      try take(item, reading)
    }
  }

  /// Reads records of one type in order. A problem with one is a finding, and the record is left out.
  func readRecords<Item: Sendable, Record: Decodable>(
    _ type: Record.Type, _ items: [Item], _ kind: ObjectKind, frame: Frame? = nil,
    consequence: String, remedy: String = VerifyFinding.copyRemedy, group: (Item) -> VerifyGroup,
    points: (Item) -> [String] = { _ in [] },
    name: @escaping @Sendable (Item) -> ObjectPath, take: (Item, Record) -> Void
  ) async throws {
    let limit = items.first.map { name($0).contentBytesMax(kind) } ?? kind.contentBytesMax
    try await read(items, kind, limit: limit, frame: frame, name: name) { item, reading in
      let object = name(item).text
      switch reading {
      case .gone:
        add(
          .missing(object, "it was listed, but is missing", points(item), consequence),
          to: group(item))
      case .damaged(let reason):
        add(.damaged(object, reason, points(item), consequence, remedy: remedy), to: group(item))
      case .content(let opened):
        do {
          take(item, try RecordCoding.decode(type, from: opened.content, name: object))
        } catch let error as LifeboatError {
          add(
            .damaged(object, error.reason, points(item), consequence, remedy: remedy),
            to: group(item))
        }
      }
    }
  }
}

extension VerifyFinding {
  static let copyRemedy =
    "recover it from a copy or an older version of the object, if there is one"

  static let claimRemedy =
    copyRemedy
    + "; if Lifeboat never wrote it, a running `lifeboat ship` skips it, and deleting it "
    + "is safe"

  static func damaged(
    _ object: String, _ detail: String, _ points: [String], _ consequence: String?,
    remedy: String? = copyRemedy
  ) -> VerifyFinding {
    VerifyFinding(
      .damaged, object, detail, points: points, consequence: consequence, remedy: remedy)
  }
  static func missing(
    _ object: String, _ detail: String, _ points: [String], _ consequence: String?,
    remedy: String? = copyRemedy
  ) -> VerifyFinding {
    VerifyFinding(
      .missing, object, detail, points: points, consequence: consequence, remedy: remedy)
  }
}
