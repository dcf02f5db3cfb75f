import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage

/// The source as the copier sees it: its history, and what its snapshots refer to.
struct CopySource {
  var history: History
  var mentions = CopyMentions()
  var letGo = LetGo()
  var pins: Set<String> = []
  var foreign: Set<SnapshotKey> = []
  var findings: [VerifyFinding] = []

  /// How many snapshots are read at a time. None of them is kept in memory.
  private static let batch = 64

  /// Lists both repositories. Reads every snapshot of the source that the copy's retention has not deleted.
  /// - Parameter reading: receives how many snapshots were read, and the total.
  static func read(
    _ repository: Repository, _ target: inout CopyTarget, now: Instant,
    reading: @Sendable (UInt64, UInt64) -> Void
  ) async throws -> CopySource {
    try await repository.withHistory { history in
      try await target.look(at: history)
      var source = CopySource(history: history)
      let prunes = try await repository.prunes(history.catalogue)
      source.letGo = LetGo(prunes.records)
      let pins = try await repository.pinsInForce(history.catalogue, now: now)
      source.pins = Set(pins.pins.map(\.id) + pins.unreadable)
      source.addClaims()
      let keys = history.claims.keys.sorted().flatMap { number in
        history.snapshots(of: number).filter { !target.letGo.has(number, $0) }
          .map { SnapshotKey(number, $0) }
      }
      for start in stride(from: 0, to: keys.count, by: batch) {
        let some = Array(keys[start..<min(start + batch, keys.count)])
        try await source.addSnapshots(some, repository, target.catalogue)
        reading(UInt64(start + some.count), UInt64(keys.count))
      }
      return source
    }
  }

  private mutating func addClaims() {
    for claim in history.unreadable {
      findings.append(
        VerifyFinding(
          .damaged, ObjectPath.claim(claim.timeline).text, claim.reason,
          consequence: "nothing of timeline \(claim.timeline) is copied",
          remedy: CopyReport.remedy))
    }
    for (name, reason) in history.catalogue.unusable {
      findings.append(
        VerifyFinding(
          .remark, printable(name.text), reason,
          consequence: "it is ignored, and is not copied"))
    }
  }

  private mutating func addSnapshots(
    _ keys: [SnapshotKey], _ repository: Repository, _ copy: Catalogue
  ) async throws {
    let budget = SpanBudget()
    let history = history
    var found: [SnapshotKey: Result<Snapshot?, LifeboatError>] = [:]
    try await ReadAhead.run(
      keys, cost: { _ in 1 << 20 },
      read: { key -> Result<Snapshot?, LifeboatError> in
        guard let claim = history.claims[key.timeline] else { return .success(nil) }
        do {
          return .success(
            try await repository.snapshot(key.timeline, key.sequence, nonce: claim.nonce))
        } catch let error as LifeboatError where error.isDamage {
          return .failure(error)
        }
      },
      take: { key, result in
        if case .success(let snapshot) = result { try budget.take(snapshot) }
        found[key] = result
      })
    for key in keys {
      switch found[key] {
      case .success(let snapshot?):
        let isInCopy = copy.timelines[key.timeline]?.snapshots.contains(key.sequence) == true
        mentions.add(snapshot, isInCopy: isInCopy)
      case .success(nil): foreign.insert(key)
      case .failure(let error):
        findings.append(
          VerifyFinding(
            .damaged, ObjectPath.snapshot(key.timeline, sequence: key.sequence).text, error.reason,
            consequence: "the copy does not have this snapshot",
            remedy: CopyReport.remedy))
      case nil: break
      }
    }
  }
}
