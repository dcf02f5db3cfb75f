import Auditing
import BackupFormat
import BackupLogic
import BackupTypes
import Logging
import ObjectStorage
import SystemIO

/// Ships under one claim: the loop that feeds the plan and performs what it says.
struct ShipSession {
  enum End {
    case ended(Shipper.Outcome)
    /// Another claimed; `stop` tells whether an end was asked for meanwhile.
    case superseded(String, stop: Bool)
    /// The files on disk no longer continue what was shipped: the next claim begins at what is common.
    case begunAgain(String, stop: Bool)
  }

  let shipper: Shipper
  let repository: Repository
  let capture: Capture
  let claim: Claim
  var plan: ShipPlan
  let reusable: [ShortDigest: GenerationID]
  let unfinishedNonce: Nonce?
  let quarantined: Set<GenerationID>

  let results = LaneResults()
  private var stopping: ShipStopping?
  /// The `sync` that is under way, when it was begun, and what the repository was asked for it.
  private var syncing: (number: UInt64, begun: Int64, question: UInt64?)?
  /// Since when the path leads to another directory that holds files.
  private var movedSince: Int64?
  /// Versions of the base and the dump that are known to have the bytes of their generation.
  private var confirmed: Set<FileVersion> = []
  private var patience: Patience?
  /// When a single snapshot began to be taken, by the monotonic clock.
  var begun = SystemClock.monotonicMilliseconds()
  /// While active it is looked so often whether another has claimed.
  var fenceCheck = Turn(every: 60_000)
  /// And so often whether one of its generations was found damaged.
  var operationsLook = Turn(every: 3_600_000)
  private var warned = 0
  private var tails = TailGuard()
  /// Soon after a claim, so that a shipper that never lives long applies retention, too.
  private var pruningTurn: Turn
  private let snapshotMemory = SnapshotMemory()

  init(
    shipper: Shipper, repository: Repository, capture: Capture, claim: Claim, plan: ShipPlan,
    reusable: [ShortDigest: GenerationID], unfinishedNonce: Nonce?,
    quarantined: Set<GenerationID>
  ) {
    self.shipper = shipper
    self.repository = repository
    self.capture = capture
    self.claim = claim
    self.plan = plan
    self.reusable = reusable
    self.unfinishedNonce = unfinishedNonce
    self.quarantined = quarantined
    // What the comparison found of both was compared byte for byte, or by its fingerprint.
    if let base = plan.view.aof.set?.base?.file, base.pin == plan.chain?.anchoredPin {
      confirmed.insert(base.version)
    }
    if let file = plan.dump?.file { confirmed.insert(file.version) }
    pruningTurn = Turn(
      every: shipper.options.pruneInterval,
      firstAfter: min(ShipSession.firstPruning, shipper.options.pruneInterval))
  }

  private var options: Shipper.Options { shipper.options }
  private var logger: Logger { shipper.logger }

  /// So much is scanned between two looks at the directory.
  private static let scanTurnBytes: UInt64 = 16 << 20
  /// Scanning waits when so much is scanned but not durable: marks and cuts stay few.
  private static let scanAheadMax: UInt64 = 64 << 20
  private static let firstPruning: Int64 = 600_000

  mutating func run(_ watch: DirectoryWatch, stopsAtOnce: Bool) async throws -> End {
    plan.isFlushing = options.isOnce
    if stopsAtOnce { beginStopping() }
    if shipper.status.shipping.isSyncDue { beginSync() }
    // Beside everything else; cancelled when the session ends before it.
    let (isFirstUse, shipper) = (claim.parent == nil && options.probesStore, shipper)
    async let probe: Void? = isFirstUse ? try? shipper.tellWhatStoreLacks() : nil
    let end = try await loop(watch)
    if options.isOnce {
      _ = await probe
      await pruning()?()
    }
    return end
  }

  private mutating func loop(_ watch: DirectoryWatch) async throws -> End {
    // Discarding: any other group keeps each child that has ended until someone takes its result, and a
    // session ends after days.
    return try await withThrowingDiscardingTaskGroup { group in
      defer { group.cancelAll() }
      do {
        return try await loop(watch, &group)
      } catch let error as LifeboatError where !options.isOnce {
        // What can't be read (an I/O error, a directory in a file's place) is waited out.
        return begunAgain("\(error)")
      }
    }
  }

  private mutating func loop(
    _ watch: DirectoryWatch, _ group: inout ThrowingDiscardingTaskGroup<any Error>
  ) async throws -> End {
    let lookInterval = watch.isWorking ? Shipper.pollInterval : options.plan.shipInterval
    var nextLook = SystemClock.monotonicMilliseconds()
    while true {
      try Task.checkCancellation()
      shipper.status.turn()
      if let end = try takeResults() { return end }
      if let loss = shipper.auditor.loss { return begunAgain(loss) }
      let clock = SystemClock.monotonicMilliseconds()
      if clock >= nextLook {
        // A single snapshot is of one look.
        if !options.isOnce, let end = try look() { return end }
        nextLook = clock + lookInterval
      }
      if let end = try scan() { return end }
      start(&group)
      report()
      settleSync()
      let wasClosing = plan.isClosing
      if let end = try finish() { return end }
      // What is left is the closing snapshot: nothing else is worth waiting for.
      if canScanMore || plan.isClosing != wasClosing { continue }
      if isIdle { watch.rearm() } else { watch.rearmForNames() }
      let events = await shipper.mailbox.next(waiting: waitingTime(until: nextLook))
      if events.contains(.stop) { beginStopping() }
      if events.contains(.sync) { beginSync() }
      // Time passed: what was appended meanwhile goes with the next object.
      if events.isEmpty || events.contains(.change) || events.contains(.sync) { nextLook = 0 }
    }
  }

  // MARK: Looking and scanning

  private mutating func look() throws -> End? {
    let view = try capture.observe(SystemClock.now)
    if !view.isSame(as: plan.view) { stopping?.noteChange() }
    if let end = noteDirectory(view) { return end }
    plan.observe(view)
    if let end = try compareVersions(view) { return end }
    if let file = plan.allFiles.first(where: \.isCutBack) {
      return begunAgain("\(file.name) is shorter than the \(file.durable) bytes shipped of it")
    }
    capture.release(except: plan.neededPins)
    tails.forget(except: plan.neededPins)
    return shedPins()
  }

  /// Where the path leads to another directory, what is held of the old one is shipped on, since a server may
  /// still write there. Files in the new one begin a new timeline, once the old log is durable.
  private mutating func noteDirectory(_ view: CaptureView) -> End? {
    guard view.otherDirectory.holdsFiles else {
      movedSince = nil
      return nil
    }
    let now = SystemClock.monotonicMilliseconds()
    movedSince = movedSince ?? now
    plan.isFlushing = true
    guard plan.isLogSettled || now - movedSince! > Audit.grace else { return nil }
    return begunAgain("\(options.data) is another directory than before")
  }

  /// A changed time of a base or of a dump is a reason to compare its bytes, not yet another file.
  private mutating func compareVersions(_ view: CaptureView) throws -> End? {
    if let base = view.aof.set?.base?.file, base.pin == plan.chain?.anchoredPin,
      case .base(let record)? = plan.chain?.anchor?.kind, !confirmed.contains(base.version)
    {
      guard try isGeneration(record.generation, base) else {
        return begunAgain("\(base.name) was overwritten")
      }
      confirm(base, record.generation)
    }
    if let file = view.dump, let dump = plan.dump, dump.file?.identity == file.identity,
      !confirmed.contains(file.version)
    {
      if try isGeneration(dump.record.generation, file) {
        plan.dumpMatches(file)
        confirm(file, dump.record.generation)
      } else {
        plan.dumpDiffers()
      }
    }
    for file in plan.allFiles where view.held[file.pin].map({ $0.size == file.size }) ?? false {
      // A growing file that was written to without growing was written over.
      guard let open = capture.file(file.pin), tails.isKnown(file.pin) else { continue }
      guard try tails.isUnchanged(open, file.pin, at: file.scanned) else {
        return begunAgain("\(file.name) changed below offset \(file.scanned), which had been read")
      }
    }
    return nil
  }

  private func isGeneration(_ id: GenerationID, _ file: PinnedFile) throws -> Bool {
    guard let open = capture.file(file.pin) else { return false }
    return try Fingerprint.of(open, size: file.size, frame: repository.frame) == id.fingerprint
  }

  private mutating func confirm(_ file: PinnedFile, _ id: GenerationID) {
    if confirmed.count > 16 { confirmed.removeAll() }
    confirmed.insert(file.version)
    shipper.acknowledged.matched(file.version, id)
  }

  /// Disk space that only our descriptors keep in use is bounded.
  private mutating func shedPins() -> End? {
    let unlinked = capture.pinnedBytes()
    let total = unlinked.values.reduce(0, +)
    shipper.status.update { $0.pinnedBytes = total }
    guard total > options.pinnedMax else { return nil }
    switch plan.shed(unlinked: unlinked, limit: options.pinnedMax) {
    case .nothing: return nil
    case .dropped(let names):
      logger.error(
        "files that Redis replaced are let go unshipped: they held too much of the volume",
        metadata: ["files": "\(names.joined(separator: ", "))", "pinned": "\(humanBytes(total))"])
      capture.release(except: plan.neededPins)
      return nil
    case .endsTimeline(let name):
      return begunAgain("\(name) is let go unshipped: it held too much of the volume")
    }
  }

  private var canScanMore: Bool {
    plan.pendingLogBytes < ShipSession.scanAheadMax && !plan.unscanned.isEmpty
  }

  private mutating func scan() throws -> End? {
    var budget = ShipSession.scanTurnBytes
    for (pin, from, to) in plan.unscanned where budget > 0 {
      guard plan.pendingLogBytes < ShipSession.scanAheadMax, let file = capture.file(pin) else {
        return nil
      }
      guard try tails.isUnchanged(file, pin, at: from) else {
        return begunAgain("\(file.path) changed below offset \(from), which had been read")
      }
      let end = min(to, from + budget)
      let seenAt = min(SystemClock.now(), FileMoment(try file.status().modified).instant)
      var position = from
      try file.forEachChunk(from: from, to: end) { chunk in
        plan.consume(chunk, of: pin, seenAt: seenAt)
        position += UInt64(chunk.count)
        return true
      }
      // A file that no manifest names any more is not measured again: it would be read for ever.
      guard position == end else {
        return begunAgain("\(file.path) ended at offset \(position) while it was read")
      }
      try tails.remember(file, pin, upTo: end)
      budget -= end - from
    }
    return nil
  }

  // MARK: Lanes

  private mutating func start(_ group: inout ThrowingDiscardingTaskGroup<any Error>) {
    for action in plan.actions(now: SystemClock.now()) { perform(action, in: &group) }
    let removals = plan.takeRemovals(now: SystemClock.now())
    if !removals.isEmpty {
      let writer = recordWriter
      // Losing this is safe: what a fold replaced is only more than is needed.
      group.addTask { try? await writer.remove(removals) }
    }
  }

  mutating func isPruningDue() -> Bool {
    options.retention != nil && stopping == nil && pruningTurn.isDue()
  }

  /// Applies the retention policy; nil where nothing is ever deleted.
  func pruning() -> (@Sendable () async -> Void)? {
    options.retention.map { policy in
      let (repository, memory, shipper) = (repository, snapshotMemory, shipper)
      return { await shipper.prune(repository, policy, memory) }
    }
  }

  private mutating func takeResults() throws -> End? {
    if let operations = results.takeOperations() {
      plan.pins.settle(released: operations.released, now: SystemClock.now())
      if let drill = operations.drill { shipper.status.update { $0.drill = drill } }
      let damaged = operations.quarantined.subtracting(quarantined)
      if let id = plan.knownGenerations.first(where: damaged.contains), !options.isOnce {
        return begunAgain("the generation \(id) was found damaged: it is shipped again")
      }
    }
    if let result = results.takeRecord() {
      do {
        count(try result.get())
        plan.recordDurable(span: try result.get(), now: SystemClock.now())
      } catch let error as RecordWriter.Superseded {
        return .superseded(error.reason, stop: stopping != nil)
      } catch {
        if options.isOnce { throw error }
        guard plan.recordFailed() else { return begunAgain("\(error)") }
        logger.error("log objects can't be folded", metadata: ["cause": "\(error)"])
      }
    }
    if let result = results.takeGeneration() {
      do {
        note(try result.get().index)
        if let version = plan.uploading?.version { confirmed.insert(version) }
        plan.generationDurable(try result.get())
      } catch let error as GenerationUploader.Broken {
        logger.error(
          "\(plan.generationBroken()) is damaged and makes no restore point; the last good one stays",
          metadata: ["cause": "\(error.reason)"])
      } catch {
        if options.isOnce { throw error }
        return begunAgain("\(error)")
      }
    }
    return nil
  }

  private func note(_ index: GenerationIndex) {
    shipper.status.update { $0.generations += 1 }
    logger.info(
      "a generation is durable",
      metadata: [
        "file": "\(index.file)", "size": "\(humanBytes(index.size))",
        "verdict": "\(index.verdict.rawValue)",
        "keys": "\(index.dataset.map { String($0.keys) } ?? "unknown")",
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

  /// Nothing is pending: the next appended byte should wake us.
  private var isIdle: Bool { plan.pendingLogBytes == 0 && plan.unscanned.isEmpty }

  private func waitingTime(until nextLook: Int64) -> Int64 {
    var wait = max(0, nextLook - SystemClock.monotonicMilliseconds())
    let now = SystemClock.now()
    if let wake = plan.nextWake(now: now) { wait = min(wait, max(1, wake.since(now))) }
    // In-flight work posts its result; the short wait is for files of others to become quiet.
    if stopping != nil { wait = min(wait, 100) }
    return wait
  }

  private mutating func report() {
    let unshipped = plan.unshipped
    shipper.status.update {
      $0.unshippedBytes = unshipped.bytes
      $0.logSince = unshipped.logSince
      $0.generationSince = unshipped.generationSince
      $0.note(plan.pins)
      $0.recoverableTo = plan.lastDurableMark ?? $0.recoverableTo
      $0.recoverableFrom = $0.recoverableFrom ?? $0.recoverableTo
      $0.dumpAt = plan.dump?.record.contentAt
    }
    for warning in plan.warnings.dropFirst(warned) { logger.warning("\(warning)") }
    warned = plan.warnings.count
  }

  private func begunAgain(_ reason: String) -> End { .begunAgain(reason, stop: stopping != nil) }

  // MARK: Syncing

  /// What is on disk now goes at once, whatever the interval.
  private mutating func beginSync() {
    syncing = (shipper.status.shipping.syncAsked, SystemClock.monotonicMilliseconds(), nil)
    plan.isFlushing = true
    // What this look sees has to be covered before the sync is done.
    shipper.auditor.look()
  }

  /// Done when an audit finds that a restore gives what was on disk when the sync was begun, and the
  /// repository, asked then, has the log that is counted on.
  private mutating func settleSync() {
    let auditor = shipper.auditor
    guard let (number, begun, asked) = syncing, auditor.isCovered(since: begun) else { return }
    let question = asked ?? auditor.askForLog()
    syncing?.question = question
    // In this order: a loss is noted before the answer is.
    guard auditor.isAnswered(question), auditor.isCovered(since: begun) else { return }
    syncing = nil
    if stopping == nil, !options.isOnce { plan.isFlushing = false }
    shipper.status.update { $0.syncDone = max($0.syncDone, number) }
  }

  // MARK: Ending

  private mutating func beginStopping() {
    guard stopping == nil else { return }
    stopping = ShipStopping(
      now: SystemClock.monotonicMilliseconds(), timeout: options.shutdownTimeout)
    plan.isFlushing = true
    logger.info("an end was asked for: shipping what is on disk")
  }

  /// Whether the run is over: nothing is left to do, or the time is. The closing snapshot comes before
  /// that in either case, and says whether a look found everything durable.
  private mutating func finish() throws -> End? {
    let now = SystemClock.monotonicMilliseconds()
    if options.isOnce {
      if plan.isSettled(now: SystemClock.now()), !plan.isClosing {
        shipper.auditor.look()
        plan.isProved = shipper.auditor.isCovered(since: begun)
        var patience = self.patience ?? Patience(since: begun)
        defer { self.patience = patience }
        if plan.isProved || patience.isOver(shipper.auditor) {
          plan.isClosing = true
        } else {
          // A rewrite may be under way: what was not whole at the first look is looked at again.
          return try look()
        }
      }
      return plan.isClosing && plan.isSettled(now: SystemClock.now()) && plan.isClosed
        ? .ended(outcome()) : nil
    }
    guard stopping != nil else { return nil }
    stopping!.note(temporaryDumps: try capture.temporaryDumps(), now: now)
    let isQuiet = stopping!.isQuiet(now)
    if isQuiet, plan.isLogSettled, !plan.isClosing {
      shipper.auditor.look()
      plan.isProved = shipper.auditor.verdict.isCovered
    }
    plan.isClosing = plan.isClosing || (isQuiet && plan.isLogSettled) || stopping!.isLate(now)
    if now >= stopping!.deadline || (stopping!.isLate(now) && plan.isClosed) {
      return .ended(outcome())
    }
    return isQuiet && plan.isSettled(now: SystemClock.now()) && plan.isClosed
      ? .ended(outcome()) : nil
  }

  private func outcome() -> Shipper.Outcome {
    shipper.auditor.look()
    let shown = shipper.status.current
    var verdict = shipper.auditor.verdict
    // One snapshot is of what was there when it was begun: a server may write on.
    if options.isOnce, shipper.auditor.isCovered(since: begun) { verdict = .covered(at: begun) }
    return Shipper.Outcome(
      timeline: claim.timeline, state: shown.state, verdict: verdict,
      pendingBytes: plan.unshipped.bytes, reason: shown.reason)
  }
}
