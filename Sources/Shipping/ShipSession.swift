import Auditing
import BackupFormat
import BackupTypes
import Logging
import ObjectStorage
import RepositoryAccess
import SystemIO
import WriterLogic

/// Ships under one claim: the loop that feeds `Writing` and performs its actions.
struct ShipSession {
  let shipper: Shipper
  let repository: Repository
  let source: any Source
  let claim: Claim
  var writing: Writing
  let reusable: [ShortDigest: GenerationID]
  let unfinished: [Nonce]
  let quarantined: Set<GenerationID>

  let results = LaneResults()
  private(set) var stop: Stop?
  /// How the run ended, if it was asked to end.
  var outcome: Shipper.Outcome?
  /// The `sync` in progress, its beginning, and the number of the check of the repository that it waits for.
  var syncing: (number: UInt64, begun: Int64, question: UInt64?)?
  /// Since when the path leads to another directory that holds files.
  var movedSince: Int64?
  /// Versions of the base and the dump that are known to have the bytes of their generation.
  var confirmed: Set<FileVersion> = []
  var patience: Patience?
  /// When a single snapshot was begun, by the monotonic clock.
  var begun: Int64
  /// How often to check, while active, whether another shipper has claimed.
  var fenceCheck: Turn
  /// How often to check whether one of its generations was found damaged.
  var operationsLook: Turn
  private var warned = 0
  var tails = TailGuard()
  /// Due soon after a claim, so that retention is applied even if the shipper never runs for long.
  private var pruningTurn: Turn
  private let snapshotMemory = SnapshotMemory()

  init(
    shipper: Shipper, repository: Repository, source: any Source, claim: Claim, writing: Writing,
    reusable: [ShortDigest: GenerationID], unfinished: [Nonce],
    quarantined: Set<GenerationID>
  ) {
    self.shipper = shipper
    self.repository = repository
    self.source = source
    self.claim = claim
    self.writing = writing
    self.reusable = reusable
    self.unfinished = unfinished
    self.quarantined = quarantined
    // The comparison compared both byte for byte, or by fingerprint.
    if let base = writing.view.aof.set?.base?.file, base.pin == writing.chains.followed?.anchor?.pin
    {
      confirmed.insert(base.version)
    }
    if let file = writing.dump.durable?.file { confirmed.insert(file.version) }
    let now = shipper.time.monotonic
    begun = now
    fenceCheck = Turn(every: 60_000, from: now)
    operationsLook = Turn(every: 3_600_000, from: now)
    pruningTurn = Turn(
      every: shipper.options.pruneInterval, from: now,
      firstAfter: min(ShipSession.firstPruning, shipper.options.pruneInterval))
  }

  var options: Shipper.Options { shipper.options }
  var logger: Logger { shipper.logger }
  var time: any TimeSource { shipper.time }

  private static let firstPruning: Int64 = 600_000

  /// - Parameter stop: a stop that was requested before the session began.
  mutating func run(_ watch: (any SourceWatch)?, _ stop: Stop?) async throws -> Ending {
    if options.isOnce { writing.flush() }
    if let stop { begin(stop) }
    if shipper.status.shipping.isSyncDue { beginSync() }
    // Runs in parallel with everything else. Cancelled if the session ends first.
    let (isFirstUse, shipper) = (claim.parent == nil && options.probesStore, shipper)
    async let probe: Void? = isFirstUse ? try? shipper.tellWhatStoreLacks() : nil
    let end = try await loop(watch)
    if case .failed = end { return end }
    if options.isOnce {
      _ = await probe
      await pruning()?()
    }
    return end
  }

  mutating func begin(_ requested: Stop) {
    guard stop == nil else { return }
    stop = requested
    writing.flush()
    if !source.hasFiles {
      shipper.auditor.look()
      source.freeze()
    }
    logger.info("stopping: shipping what is left")
  }

  /// Takes over what a look found about the work of other processes.
  mutating func note(_ view: CaptureView) {
    let now = time.monotonic
    stop?.saw(view, now: now)
  }
  mutating func noteSaves() async throws {
    let (saves, now) = (try await source.savesInProgress(), time.monotonic)
    stop?.saw(saves: saves, now: now)
  }

  private mutating func loop(_ watch: (any SourceWatch)?) async throws -> Ending {
    // A discarding group, since any other group keeps each finished child until someone takes its result, and
    // a session lasts for days.
    return try await withThrowingDiscardingTaskGroup { group in
      defer { group.cancelAll() }
      do {
        return try await loop(watch, &group)
      } catch let error as LifeboatError where !options.isOnce {
        // Waits until the file is readable (after an I/O error, or a directory in its place).
        return .failed(error)
      }
    }
  }

  private mutating func loop(
    _ watch: (any SourceWatch)?, _ group: inout ThrowingDiscardingTaskGroup<any Error>
  ) async throws -> Ending {
    let lookInterval =
      watch?.isWorking ?? false ? Shipper.pollInterval : options.writing.shipInterval
    var nextLook = time.monotonic
    while true {
      try Task.checkCancellation()
      shipper.status.turn()
      if let end = try takeResults() { return end }
      if let log = writing.restorableLog { source.confirm(log, in: claim.timeline) }
      if let fault = writing.fault { return .failed(fault) }
      if let loss = shipper.auditor.loss { return .diverged(loss) }
      let clock = time.monotonic
      if clock >= nextLook {
        // A single snapshot is taken from one look.
        if !options.isOnce, let end = try await look() { return end }
        nextLook = clock + lookInterval
      }
      if let end = try await scan() { return end }
      if writing.isReadyToAsk, let suspicion = writing.suspicion {
        report()
        return .diverged("the data on disk may be the result of an accident: \(suspicion.detail)")
      }
      start(&group)
      report()
      settleSync()
      let wasClosing = writing.isClosing
      if let end = try await finish() { return end }
      // Only the closing snapshot is left to write, so there is nothing to wait for.
      if canScanMore || writing.isClosing != wasClosing { continue }
      if isIdle { watch?.rearm() } else { watch?.rearmForNames() }
      let events = await shipper.mailbox.next(waiting: waitingTime(until: nextLook))
      if events.contains(.stop) { begin(shipper.makeStop(writing.view)) }
      if events.contains(.sync) { beginSync() }
      // The interval is over. Bytes that were appended in the meantime go into the next object.
      if events.isEmpty || events.contains(.change) || events.contains(.sync) { nextLook = 0 }
    }
  }

  // MARK: Lanes

  private mutating func start(_ group: inout ThrowingDiscardingTaskGroup<any Error>) {
    for action in writing.actions(now: time.wall) { perform(action, in: &group) }
    let removals = writing.takeRemovals(now: time.wall)
    if !removals.isEmpty {
      let writer = recordWriter
      // A failure here is safe: folded objects that remain are superfluous, but harmless.
      group.addTask { try? await writer.remove(removals) }
    }
  }

  mutating func isPruningDue() -> Bool {
    options.retention != nil && stop == nil && pruningTurn.isDue(time.monotonic)
  }

  /// Applies the retention policy; nil if nothing is ever deleted.
  func pruning() -> (@Sendable () async -> Void)? {
    options.retention.map { policy in
      let (repository, memory, shipper) = (repository, snapshotMemory, shipper)
      return { await shipper.prune(repository, policy, memory) }
    }
  }

  private mutating func takeResults() throws -> Ending? {
    if let operations = results.takeOperations() {
      writing.settlePins(released: operations.released, now: time.wall)
      if let drill = operations.drill { shipper.status.update { $0.drill = drill } }
      let damaged = operations.quarantined.subtracting(quarantined)
      if let id = writing.knownGenerations.first(where: damaged.contains), !options.isOnce {
        return .diverged("the full copy \(id) is damaged in the repository: uploading it again")
      }
    }
    if let result = results.takeRecord() {
      do {
        count(try result.get())
        writing.recordDurable(span: try result.get(), now: time.wall)
      } catch let error as RecordWriter.Superseded {
        return .superseded(error.reason)
      } catch {
        guard writing.recordFailed() else { return .failed(error) }
        logger.error("small log objects can't be merged", metadata: error.logged)
      }
    }
    if let result = results.takeGeneration() {
      do {
        note(try result.get().index)
        if let version = writing.uploading?.version { confirmed.insert(version) }
        writing.generationDurable(try result.get())
      } catch let error as GenerationUploader.Broken {
        // Called outside of the message: a logger that drops the message would not evaluate it.
        let name = writing.generationBroken()
        logger.error(
          "\(name) is damaged and was not backed up; the last good restore point stays",
          metadata: ["cause": "\(error.reason)"])
      } catch {
        return .failed(error)
      }
    }
    return nil
  }

  private func note(_ index: GenerationIndex) {
    shipper.status.update { $0.generations += 1 }
    let keys = index.dataset?.keys
    logger.info(
      "uploaded \(printable(index.file)) (\(humanBytes(index.size))\(keys.map { ", \(counted($0, "key"))" } ?? ""))",
      metadata: [
        "file": "\(index.file)", "size": "\(humanBytes(index.size))",
        "verdict": "\(index.verdict.rawValue)",
        "keys": "\(keys.map { String($0) } ?? "unknown")",
      ])
  }

  private func count(_ span: LogSpan?) {
    guard let span else { return }
    shipper.status.update {
      $0.logObjects += 1
      $0.logBytes += span.count
    }
  }

  // MARK: Waiting and reporting

  /// Nothing is pending, so the next appended byte should wake the loop.
  private var isIdle: Bool { writing.pendingLogBytes == 0 && writing.unscanned.isEmpty }

  private func waitingTime(until nextLook: Int64) -> Int64 {
    var wait = max(0, nextLook - time.monotonic)
    let now = time.wall
    if let wake = writing.nextWake(now: now) { wait = min(wait, max(1, wake.since(now))) }
    // Work in flight posts its result. The short wait is for other files to become quiet.
    if stop != nil { wait = min(wait, 100) }
    return wait
  }

  private mutating func report() {
    let unshipped = writing.unshipped
    shipper.status.update {
      $0.unshippedBytes = unshipped.bytes
      $0.logSince = unshipped.logSince
      $0.generationSince = unshipped.generationSince
      $0.note(writing.pinsInForce)
      $0.recoverableTo = writing.lastDurableMark ?? $0.recoverableTo
      $0.recoverableFrom = $0.recoverableFrom ?? $0.recoverableTo
      $0.dumpAt = writing.dump.durable?.record.contentAt
    }
    for warning in writing.warnings.dropFirst(warned) { logger.warning("\(warning)") }
    warned = writing.warnings.count
  }

}
