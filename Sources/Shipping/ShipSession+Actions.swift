import BackupFormat
import BackupTypes
import HistoryLogic
import Logging
import RepositoryAccess
import SystemIO
import WriterLogic

extension ShipSession {
  var recordWriter: RecordWriter {
    RecordWriter(
      repository: repository, claim: claim, checksOwnClaim: !shipper.refusal.isProved)
  }

  /// Begins an action; its result comes back through `results`.
  mutating func perform(
    _ action: Writing.Action, in group: inout ThrowingDiscardingTaskGroup<any Error>
  ) {
    let writer = recordWriter
    switch action {
    case .putLog, .putSnapshot: pruneIfDue(in: &group)
    default: break
    }
    switch action {
    case .putLog(let shipment):
      let file = source.file(shipment.pin)
      let checksFence = fenceCheck.isDue(time.monotonic)
      let noteOperations = checksFence ? operationsNoter(isSnapshot: false) : nil
      record(in: &group) {
        if checksFence { try await writer.checkFence() }
        await noteOperations?()
        return try await writer.write(shipment, try pinned(file))
      }
    case .putSnapshot(let snapshot):
      shipper.status.update { $0.snapshots += 1 }
      let noteOperations = operationsNoter(isSnapshot: true)
      record(in: &group) {
        try await writer.write(snapshot)
        await noteOperations?()
        return nil
      }
    case .putGuardRecord(let operation):
      record(in: &group) {
        try await writer.write(operation)
        return nil
      }
    case .putFold(let fold):
      shipper.status.update { $0.folds += 1 }
      let file = source.file(fold.pin)
      let readsBack = !source.hasFiles
      record(in: &group) {
        try await writer.write(fold, try pinned(file), readsBack: readsBack)
        return nil
      }
    case .uploadGeneration(let upload): start(upload, in: &group)
    }
  }

  /// Reads what people and other commands have written: released pins, damaged generations, drills. If no
  /// pin is in force, this happens only with a snapshot, and once an hour while there is something to ship.
  private mutating func operationsNoter(isSnapshot: Bool) -> (@Sendable () async -> Void)? {
    guard operationsLook.isDue(time.monotonic) || isSnapshot || writing.pinsInForce.count > 0 else {
      return nil
    }
    let (repository, results, status) = (repository, results, shipper.status)
    let (pins, quarantined) = (writing.pinsInForce.ids, quarantined)
    // A failure here is harmless: the next look finds the same.
    return {
      let known = status.current.drill?.id
      if let found = try? await repository.lookAtOperations(
        knownDrill: known, pins: pins, known: quarantined)
      {
        results.set(operations: found)
      }
    }
  }

  /// Runs in parallel with the lanes; nothing waits for it. It is due only when something is shipped, so
  /// an idle Redis costs nothing.
  private mutating func pruneIfDue(in group: inout ThrowingDiscardingTaskGroup<any Error>) {
    guard isPruningDue(), let prune = pruning(), results.beginPruning() else { return }
    group.addTask { [results] in
      await prune()
      results.endPruning()
    }
  }

  private func record(
    in group: inout ThrowingDiscardingTaskGroup<any Error>,
    _ work: @escaping @Sendable () async throws -> LogSpan?
  ) {
    let (results, mailbox) = (results, shipper.mailbox)
    group.addTask {
      do {
        results.set(record: .success(try await work()))
      } catch {
        results.set(record: .failure(error))
      }
      mailbox.post(.record)
    }
  }

  private func start(
    _ upload: GenerationUpload, in group: inout ThrowingDiscardingTaskGroup<any Error>
  ) {
    shipper.logger.info(
      "uploading \(printable(upload.file.name)) (\(humanBytes(upload.file.size)))",
      metadata: ["file": "\(upload.file.name)", "size": "\(humanBytes(upload.file.size))"])
    shipper.status.update { $0.generationBytesBegun += upload.file.size }
    let (results, mailbox, uploader) = (results, shipper.mailbox, uploader())
    let file = source.file(upload.pin)
    group.addTask {
      do {
        results.set(generation: .success(try await uploader.upload(upload, try pinned(file))))
      } catch {
        results.set(generation: .failure(error))
      }
      mailbox.post(.generation)
    }
  }

  private func uploader() -> GenerationUploader {
    let (options, status) = (shipper.options, shipper.status)
    // Retention keeps them for a grace period after the claim.
    let age = max(
      SystemClock.monotonicMilliseconds() - begun, SystemClock.now().since(claim.claimedAt))
    var known = age < RetentionPolicy.reuses ? reusable : [:]
    for id in writing.knownGenerations { known[id.fingerprint] = id }
    return GenerationUploader(
      repository: repository, claim: claim,
      settings: .init(
        readLimit: options.isOnce ? nil : options.readLimit, computing: options.computing,
        time: time),
      reusable: known, unfinished: unfinished, quarantined: quarantined
    ) { bytes in
      status.update { $0.generationBytes += bytes }
      let now = status.shipping
      options.progress(now.generationBytes, now.generationBytesBegun)
    }
  }
}

/// Every pin that `Writing` names is still open. If one were not, the session would end, and the next claim
/// would ship the file again.
private func pinned(_ file: (any SourceFile)?) throws -> any SourceFile {
  guard let file else { throw LifeboatError(.failure, "a file to upload is not open") }
  return file
}
