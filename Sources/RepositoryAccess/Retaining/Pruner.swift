import BackupFormat
package import BackupTypes
package import HistoryLogic
import ObjectStorage
import SystemIO

/// Applies a retention policy to a repository: reads, plans (`PrunePlan`), records the deletions, and
/// deletes.
///
/// No needed object is deleted, even if a run is stopped at any point, if two run at the same time, or if a
/// restore or a shipper runs at the same time.
package struct Pruner: Sendable {
  package struct Options: Sendable {
    package var policy: RetentionPolicy
    package var isDryRun: Bool
    /// Whether a run may delete more than half of the restore points at once.
    package var isConfirmed: Bool
    /// Who prunes, for the record.
    package var by: String
    package init(
      policy: RetentionPolicy, by: String, isDryRun: Bool = false, isConfirmed: Bool = false
    ) {
      self.policy = policy
      self.isDryRun = isDryRun
      self.isConfirmed = isConfirmed
      self.by = by
    }
  }

  private let repository: Repository
  private let options: Options
  private let memory: SnapshotMemory
  /// This machine's clock, for a store that has none.
  private let now: @Sendable () -> Instant
  private let reading: @Sendable (_ done: UInt64, _ of: UInt64) -> Void
  private let progress: @Sendable (_ done: UInt64, _ of: UInt64) -> Void

  /// - Parameters:
  ///   - reading: receives the number of snapshots read.
  ///   - progress: receives the number of deleted objects.
  package init(
    _ repository: Repository, options: Options, memory: SnapshotMemory = SnapshotMemory(),
    now: @escaping @Sendable () -> Instant,
    reading: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in },
    progress: @escaping @Sendable (UInt64, UInt64) -> Void = { _, _ in }
  ) {
    self.repository = repository
    self.options = options
    self.memory = memory
    self.now = now
    self.reading = reading
    self.progress = progress
  }

  /// How many names are in one call of the store.
  private static let batch = 1000
  /// How many folds are read in one run, to prove that they have the bytes of the objects that they replaced.
  private static let foldsMax = 256

  package func run() async throws -> PruneReport {
    let time = try await repository.store.now() ?? now()
    var basis = try await RetentionReader(
      repository: repository, memory: memory, reading: reading
    ).basis(at: time)
    let lost = options.isConfirmed ? basis.missingSnapshots : [:]
    if !lost.isEmpty {
      try await LostSnapshots(repository: repository).prove(lost)
      basis.takeAsLost(lost)
    }
    if let problem = basis.problem() {
      throw LifeboatError(
        .corrupt, "nothing was deleted at \(repository.store.location): \(problem)",
        cause: "only a complete repository shows which objects are needed",
        hint: "`lifeboat verify` lists what is missing, and what to do"
          + (basis.missingSnapshots.isEmpty
            ? ""
            : "; `lifeboat prune --repo \(repository.store.location) --confirm` declares snapshots that "
              + "can't be recovered lost"))
    }
    if let pin = basis.unknownPin {
      throw LifeboatError(
        .corrupt,
        "nothing was deleted at \(repository.store.location): the pin \(printable(pin)) can't be read",
        cause: "it is not known what the pin keeps",
        hint:
          "recover ops/pins/\(printable(pin)) from a copy, or release it with `lifeboat unpin "
          + "--repo \(repository.store.location) \(printable(pin))`")
    }
    let plan = PrunePlan(basis, options.policy)
    let decision = PruneDecision.decide(plan, isConfirmed: options.isConfirmed, now: time)
    var report = report(plan, basis)
    report.losses = try await losses(basis)
    report.unreadableClaims = basis.history.unreadable.map(\.timeline)
    report.held = plan.held.map { PruneReport.Held($0) }
    report.lost = lost.values.joined().reduce(0) { $0 + min($1.count, 1 << 32) }
    if options.isDryRun {
      report.result = decision == .nothing ? .nothing : .planned
      return report
    }
    switch decision {
    case .nothing:
      if !lost.isEmpty { try await write(PruneRecords.deleting(plan), basis, time) }
    case .wait(let due):
      report.result = .waiting
      report.due = due.description
    case .announce:
      report.result = .announced
      report.due = time.advanced(byMilliseconds: RetentionPolicy.grace).description
      let announcement = Prune.Announcement(
        at: time, points: plan.points - plan.pointsLeft, of: plan.points)
      try await write(PruneRecords.announcing(announcement, basis), basis, time)
    case .go:
      // Only deletions that a reader could take for losses have to be recorded.
      if plan.changesWhatIsKnown || !lost.isEmpty {
        try await write(PruneRecords.deleting(plan), basis, time)
      }
      report.noteFolded(try await delete(plan, basis))
      report.result = .pruned
    }
    return report
  }

  /// The losses of the restore points. A snapshot that was written during the listing can name log that is
  /// not in the listing, so a second listing checks each loss.
  private func losses(_ basis: RetentionBasis) async throws -> [LogLoss] {
    let snapshots = basis.snapshots.values
    let found = LossFinder.losses(of: snapshots, in: basis.history)
    guard !found.isEmpty else { return [] }
    let again = LossFinder.losses(of: snapshots, in: try await repository.history())
    return found.filter { loss in again.contains { $0.position == loss.position } }
  }

  private func report(_ plan: PrunePlan, _ basis: RetentionBasis) -> PruneReport {
    let folded = plan.covered.prefix(Pruner.foldsMax).reduce(0) { $0 + $1.parts.count }
    return PruneReport(
      result: .nothing, repository: repository.id.hexadecimal,
      location: repository.store.location, at: basis.now.description,
      keepsAllSince: Retention.fullSince(basis.now, options.policy).description,
      keepHourly: humanDuration(milliseconds: options.policy.keepHourly),
      keepDaily: options.policy.keepDaily, recoverableFrom: plan.firstLeft?.description, due: nil,
      points: plan.points,
      pointsLeft: plan.pointsLeft, snapshots: plan.snapshots.count, logObjects: plan.logs.count,
      generations: plan.generationsGone.count, foldedObjects: folded,
      operations: plan.operations.count,
      objects: plan.stages.reduce(0) { $0 + $1.count } + folded,
      recoverableFromInstant: plan.firstLeft)
  }

  // MARK: Deleting

  /// - Returns: how many objects were deleted because a fold has their bytes.
  private func delete(_ plan: PrunePlan, _ basis: RetentionBasis) async throws -> Int {
    let total = plan.stages.reduce(0) { $0 + $1.count }
    let counter = ProgressCounter(total: UInt64(max(1, total)), report: progress)
    for stage in plan.stages {
      for start in stride(from: 0, to: stage.count, by: Pruner.batch) {
        let names = stage[start..<min(start + Pruner.batch, stage.count)].map(\.text)
        try await delete(names)
        counter.add(UInt64(names.count))
      }
    }
    var folded = 0
    for covered in plan.covered.prefix(Pruner.foldsMax) where try await isProved(covered, basis) {
      try await delete(
        covered.parts.map {
          ObjectPath.log(covered.timeline, ordinal: covered.ordinal, $0).text
        })
      folded += covered.parts.count
    }
    counter.finish()
    return folded
  }

  /// The next stage begins only when nothing is left of this one.
  private func delete(_ names: [String]) async throws {
    let left: [String: LifeboatError]
    do {
      left = try await repository.store.delete(names)
    } catch let error as LifeboatError where error.isDenied {
      throw mayNotDelete(error)
    }
    guard let (name, error) = left.min(by: { $0.key < $1.key }) else { return }
    if error.isDenied { throw mayNotDelete(error) }
    throw LifeboatError(
      error.code, "can't delete \(name): \(error.message)", cause: error.cause, hint: error.hint,
      isRetryable: error.isRetryable)
  }

  /// Append-only credentials are the safer choice, and only retention needs more.
  private func mayNotDelete(_ error: LifeboatError) -> LifeboatError {
    LifeboatError(
      error.code, "these credentials may not delete at \(repository.store.location)",
      cause: error.inOneLine,
      hint:
        "if they are append-only on purpose, run ship with --no-prune, and `lifeboat prune` with "
        + "credentials that may delete; otherwise allow them to delete"
    ).denied()
  }

  /// Whether a fold has the bytes of the objects that it covers, and a mark at each position where these
  /// could be cut.
  private func isProved(_ covered: PrunePlan.Covered, _ basis: RetentionBasis) async throws -> Bool
  {
    let name = ObjectPath.log(covered.timeline, ordinal: covered.ordinal, covered.fold)
    do {
      guard
        let content = try await repository.content(name, kind: .log, limit: LogPayload.sizeMax),
        let nonce = basis.history.claims[covered.timeline]?.nonce
      else { return false }
      let payload = try LogPayload(decoding: content, span: covered.fold)
      return payload.nonce == nonce
        && payload.covers(covered.parts, in: covered.fold) { bytes in
          bytes.withUnsafeBytes { repository.frame.digest($0).short }
        }
    } catch let error as LifeboatError where error.code == .corrupt {
      return false  // for `verify` to find
    }
  }

  // MARK: The record

  /// Writes a record that repeats the content of the earlier ones, and deletes those.
  private func write(_ made: PruneRecords.Content, _ basis: RetentionBasis, _ time: Instant)
    async throws
  {
    let suffix = hexadecimal(secureRandomBytes(4))
    let id = "\(decimal(max(0, time.milliseconds), width: 13))-\(suffix)"
    let record = made.record(id: id, repository: repository.id, at: time, by: options.by)
    guard
      try await repository.create(record, .operation(.prunes, id: id), kind: .operation)
        == .created
    else { throw LifeboatError(.failure, "another prune wrote the record \(id)") }
    // A record that can't be read stays, because its content was not repeated.
    try await delete(basis.records.map { ObjectPath.operation(.prunes, id: $0).text })
  }
}
