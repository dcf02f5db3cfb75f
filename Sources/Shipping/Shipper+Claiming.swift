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

/// What `Writer` asks for before a claim: a listing, a comparison, and the claim itself.
extension Shipper {
  /// Compares what a look saw with the repository, and claims if there is something to ship and it may.
  /// - Returns: what ships under the claim.
  func compare(
    _ view: CaptureView, _ source: any Source, _ writer: inout Writer
  ) async throws -> ShipSession? {
    var next = writer.handle(.saw(view), now: time.monotonic)
    if case .wait = next { return nil }
    if case .unsettled(let reason) = view.aof {
      logger.debug("the AOF is not complete yet", metadata: ["reason": "\(reason)"])
    }
    noteUncompared(view)
    var repository = try await openRepository(time.wall)
    repository.acknowledged = acknowledged
    auditor.watch(store, repository.frame)
    if case .list = next {
      let history = try await repository.history(passesClaims: true)
      next = writer.handle(.listed(history), now: time.monotonic)
      if case .wait = next { return nil }
    }
    let comparer = Comparer(
      repository: repository, source: source, owner: writer.ownership,
      isWatched: writer.isWatched, damaged: auditor.damaged,
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
    next = writer.handle(.compared(view, comparison, history), now: time.monotonic)
    if case .upToDate = writer.state {
      status.update { $0.recoverableTo = comparison.lastMark }
      acknowledged.found(
        Confirmed(comparison, view), objects: comparison.objects(history))
      auditor.compared()
      auditor.look()
      if auditor.verdict.isCovered {
        logger.info(
          "\(options.everything) is backed up",
          metadata: ["repository": "\(store.location)"])
      }
    }
    guard case .claim = next else { return nil }
    return try await claim(repository, source, &writer, view, comparison, history)
  }

  /// Logs once which claims were passed.
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
    let known = status.current.drill?.id
    guard let drill = try? await repository.lastDrill(catalogue, after: known).drill else { return }
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

  private func claim(
    _ repository: Repository, _ source: any Source, _ writer: inout Writer, _ view: CaptureView,
    _ compared: Comparison, _ history: History
  ) async throws -> ShipSession? {
    var comparison = compared
    let owner = writer.ownership
    guard let number = writer.nextNumber else {
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
      writer.handle(.raced, now: time.monotonic)
      return nil
    }
    writer.handle(.claimed(claim), now: time.monotonic)
    logClaim(claim, comparison.relation, repository)
    logDumps(view)
    acknowledged.claimed(claim)
    // Only after that: until then, an object that the audit finds missing makes it forget all
    // acknowledgements.
    noteMatches(comparison, view)
    seen.withLock { $0.claim = claim }
    auditor.compared()
    return ShipSession(
      shipper: self, repository: repository, source: source, claim: claim,
      writing: Writing(
        claim: claim, comparison: comparison, view: view, options: options.writing),
      reusable: comparison.reusable, unfinished: comparison.unfinished,
      quarantined: comparison.quarantined)
  }

  /// Logs what backups by dumps alone need, and what they lose.
  private func logDumps(_ view: CaptureView) {
    guard view.aof == .absent, let dump = view.dump else { return }
    func kept(_ interval: Int64) -> String {
      guard let count = options.retention?.dumpsKept(savedEvery: interval) else { return "all" }
      let bytes = dump.size.multipliedReportingOverflow(by: UInt64(count))
      return "\(counted(count, "dump")), "
        + "\(humanBytes(bytes.overflow ? .max : bytes.partialValue)) before compression"
    }
    let interval = options.writing.dumpIntervalAlone
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
      until: now.advanced(byMilliseconds: options.writing.pinFor), timeline: before.timeline,
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
