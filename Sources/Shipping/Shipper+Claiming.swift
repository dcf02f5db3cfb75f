import Auditing
import BackupFormat
import BackupTypes
import HistoryLogic
import Logging
import ObjectStorage
import RepositoryAccess
import Synchronization
import SystemIO
import WriterLogic

/// What happens before a claim: the look at the repository, the decision who may write, and the claim
/// itself.
extension Shipper {
  enum Prepared {
    case nothing
    case standby(String)
    case claimed(ShipSession)
    /// Another shipper was faster: look again.
    case again
    /// Something has to be fixed first. It is tried again.
    case blocked

    /// Whether there is, or may be, something on disk that the repository lacks.
    var isUnshipped: Bool { if case .nothing = self { false } else { true } }
  }

  func prepare(
    _ view: CaptureView, _ source: any Source, _ following: inout Following
  ) async throws -> Prepared {
    guard following.needsLook(view) else { return .nothing }
    if isBare(view) { return .nothing }
    if case .unsettled(let reason) = view.aof {
      logger.debug("the AOF is not complete yet", metadata: ["reason": "\(reason)"])
    }
    noteUncompared(view)
    let now = time.now()
    var repository = try await openRepository(now.wall)
    repository.acknowledged = acknowledged
    auditor.watch(store, repository.frame, lastCall: options.lastStoreCall)
    if let reason = try await following.stillStandsBy(repository, now: now.monotonic) {
      return .standby(reason)
    }
    let comparer = Comparer(
      repository: repository, source: source, owner: following.ownership,
      isWatched: following.isWatched, damaged: auditor.damaged,
      moves: { [status] in status.turn() })
    let (comparison, history) = try await comparer.run(view)
    try await noteDrill(repository, history.catalogue)
    status.update {
      $0.recoverableFrom = comparison.recoverableFrom
      $0.note(comparison.pins)
      $0.dumpAt = comparison.dump?.record.contentAt
      $0.losses = comparison.losses
    }
    noteUnreadable(history)
    noteMatches(comparison, view)
    guard comparison.hasNews else {
      status.update { $0.recoverableTo = comparison.lastMark }
      acknowledged.found(
        Confirmed(comparison, view), objects: comparison.objects(history))
      auditor.compared()
      auditor.look()
      if auditor.verdict.isCovered {
        logger.info(
          "everything on disk is backed up",
          metadata: ["repository": "\(store.location)"])
      }
      return .nothing
    }
    if case .standby(let reason) = following.decide(
      comparison, history, isFresh: true, now: time.monotonic)
    {
      return .standby(reason)
    }
    return try await claim(repository, source, following.ownership, view, comparison, history)
  }

  /// Says which claims were passed, once.
  private func noteUnreadable(_ history: History) {
    let numbers = history.unreadable.map(\.timeline)
    guard numbers != status.shipping.unreadableClaims else { return }
    status.update { $0.unreadableClaims = numbers }
    for claim in history.unreadable {
      logger.error(
        "a claim can't be read: its timeline number is skipped, and nothing of it can be restored",
        metadata: [
          "timeline": "\(claim.timeline)", "cause": "\(claim.reason)",
          "object": "\(ObjectPath.claim(claim.timeline).text)", "objects": "\(claim.objects)",
          "remedy":
            "recover an older version of that object; if it never had one, delete it",
        ])
    }
  }

  /// Files on disk whose bytes the comparison found in the repository.
  private func noteMatches(_ comparison: Comparison, _ view: CaptureView) {
    if let chain = comparison.chain, case .base(let base)? = chain.anchor?.kind,
      let file = view.aof.set?.base?.file, file.pin == chain.anchor?.pin
    {
      acknowledged.matched(file.version, base.generation, isDurable: true)
    }
    if let dump = comparison.dump, let file = dump.file, dump.isRead(from: view.dump) {
      acknowledged.matched(file.version, dump.record.generation, isDurable: true)
    }
  }

  /// The listing for the comparison also shows the last drill. An unreadable record is left for `verify` to
  /// report.
  private func noteDrill(_ repository: Repository, _ catalogue: Catalogue) async throws {
    guard let id = repository.newestDrill(catalogue), id != status.current.drill?.id,
      let drill = try? await repository.drill(id)
    else { return }
    status.update { $0.drill = drill }
  }

  /// Until the comparison shows otherwise, the data on disk counts as not durable since its last write.
  private func noteUncompared(_ view: CaptureView) {
    status.update {
      // In standby there is no lag: the shipper that owns the repository reports it.
      guard $0.since == nil, $0.state != .standby else { return }
      $0.logSince = view.lastWrite
      $0.unshippedBytes = view.bytes
    }
  }

  /// There is nothing that a server would load, not even an empty file of Redis.
  private func isBare(_ view: CaptureView) -> Bool { view.dump == nil && view.aof == .absent }

  private func claim(
    _ repository: Repository, _ source: any Source, _ owner: Ownership, _ view: CaptureView,
    _ compared: Comparison, _ history: History
  ) async throws -> Prepared {
    var comparison = compared
    guard let number = history.highestNumber.map({ $0.next }) ?? .first else {
      throw LifeboatError(
        .failure, "the repository has no timeline number left",
        cause: history.unreadableAbove.map {
          "the claim of timeline \($0.timeline), which can't be read, has the highest number"
        })
    }
    let now = time.wall
    let pin = startPin(comparison, repository, now)
    if let pin {
      _ = try await repository.create(pin, .operation(.pins, id: pin.id), kind: .operation)
      _ = comparison.pins.add(pin)
    }
    try await pinUnfinishedLog(comparison, history, repository, now)
    let claim = Claim(
      timeline: number, nonce: Nonce(bytes: secureRandomBytes(Nonce.byteCount))!,
      repository: repository.id, source: owner.sourceText(after: history.newestClaim),
      instance: owner.instance, directory: owner.directory, claimedAt: now,
      writer: options.writer, parent: comparison.parent, fork: comparison.fork, end: comparison.end,
      suspicion: comparison.suspicion.flatMap { suspicion in
        pin.map { .init(reason: suspicion.reason, detail: suspicion.detail, pin: $0.id) }
      }, place: owner.place)
    guard try await isWon(claim, repository) else {
      logger.notice(
        "another process claimed this timeline first", metadata: ["timeline": "\(number)"])
      return .again
    }
    logClaim(claim, comparison.relation, repository)
    logDumps(view)
    acknowledged.claimed(claim)
    seen.withLock { $0.claim = claim }
    auditor.compared()
    return .claimed(
      ShipSession(
        shipper: self, repository: repository, source: source, claim: claim,
        plan: Writing(claim: claim, comparison: comparison, view: view, options: options.plan),
        reusable: comparison.reusable, unfinishedNonce: comparison.unfinishedNonce,
        quarantined: comparison.quarantined))
  }

  /// Says what backups by dumps alone take and lose.
  private func logDumps(_ view: CaptureView) {
    guard view.aof == .absent, let dump = view.dump else { return }
    func kept(_ interval: Int64) -> String {
      guard let count = options.retention?.dumpsKept(savedEvery: interval) else { return "all" }
      let bytes = dump.size.multipliedReportingOverflow(by: UInt64(count))
      return "\(count) dumps, "
        + "\(humanBytes(bytes.overflow ? .max : bytes.partialValue)) before compression"
    }
    let interval = options.plan.dumpIntervalAlone
    let limit = humanDuration(milliseconds: interval)
    logger.notice(
      interval == 0
        ? "Redis has no AOF: every dump is uploaded; writes after the last dump are not backed up"
        : "Redis has no AOF: one dump every \(limit) is uploaded; writes after it are not backed up",
      metadata: [
        "dump": "\(humanBytes(dump.size))",
        "lostWithTheVolume":
          "\(interval == 0 ? "" : "up to \(limit) of saves, and ")all writes since the last save",
        "keptIfOneAMinute": "\(kept(max(interval, 60_000)))",
        "keptIfOneAnHour": "\(kept(max(interval, 3_600_000)))",
        "remedy": "set appendonly yes, if the volume supports appending",
      ])
  }

  /// The guard's pin for a start that may be the result of an accident. It keeps the state that the start
  /// would hide.
  private func startPin(_ comparison: Comparison, _ repository: Repository, _ now: Instant) -> Pin?
  {
    guard let suspicion = comparison.suspicion, let before = comparison.before else { return nil }
    return Pin(
      id: Pin.startID(now, before.timeline, before.snapshot),
      repository: repository.id, origin: .start,
      reason: "\(suspicion.reason.rawValue): \(suspicion.detail)", at: now,
      until: now.advanced(byMilliseconds: options.plan.pinFor), timeline: before.timeline,
      snapshot: before.snapshot, position: before.position)
  }

  private func logClaim(
    _ claim: Claim, _ relation: Comparison.Relation, _ repository: Repository
  ) {
    status.update {
      $0.state = .active
      $0.reason = nil
      $0.timeline = claim.timeline
    }
    logger.notice(
      "claimed a timeline",
      metadata: [
        "timeline": "\(claim.timeline)", "source": "\(claim.source)",
        "begins": "\(relation)", "repository": "\(store.location)",
      ])
    guard let suspicion = claim.suspicion else { return }
    logger.warning(
      "this start may be an accident: the state before it is pinned, and `restore` will ask which state to use",
      metadata: [
        "reason": "\(suspicion.detail)", "pin": "\(suspicion.pin)",
        "remedy": "\(repository.command(options.url).unpin(suspicion.pin)) accepts it",
      ])
  }
}
