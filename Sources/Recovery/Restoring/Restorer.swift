import BackupFormat
package import BackupTypes
package import HistoryLogic
package import ObjectStorage
package import RepositoryAccess
import SystemIO
package import SystemPackage

/// Restores a repository into a data directory. The result is either a complete, verified directory or an
/// unchanged one.
package struct Restorer: Sendable {
  package struct Options: Sendable {
    package var data: FilePath
    package var names: ServerNames?
    package var question: Question
    package var plan: RestorePlan.Options
    package var isIfEmpty = false
    package var isIfBackupExists = false
    package var replaces = false
    package var isDryRun = false
    package var repositoryID: Nonce?
    /// The server that will start on the directory. A plan that this server would not load is refused.
    package var server: ServerRelease?
    package var owner: (user: UInt32, group: UInt32)?
    package var keys = KeySource.none
    /// The standing request, which is performed once. If there is none, or it was performed already, the
    /// other options decide.
    package var request: StandingRequest?
    /// This run performs the request.
    var performs: StandingRequest?
    /// What the marker of this run says about it.
    var remembers: Marker.Request?
    /// The value of `--repo`, for commands that are printed.
    package var url: String?

    package init(data: FilePath, question: Question, plan: RestorePlan.Options) {
      self.data = data
      self.question = question
      self.plan = plan
    }
  }

  package struct Report: Sendable {
    package var outcome: Outcome
    /// The result for an interrupted restore, if one was found.
    package var interrupted: Interrupted?
  }

  package enum Outcome: Sendable {
    case restored(RestorePlan, movedAside: String?)
    case planned(RestorePlan)
    /// The directory holds data, and `--if-empty` was given.
    case dataPresent(String, warnings: [String])
    /// There has provably never been a restore point, and `--if-backup-exists` was given.
    case noBackup
    /// There is log whose BASE never became durable, from an interrupted first ship, and
    /// `--if-backup-exists` was given.
    case neverCompleted(UnfinishedLog, command: String)
    /// A restore that was interrupted while committing is now finished, and that is what was wanted.
    case finished(point: String)
  }

  var options: Options
  let store: any ObjectStore
  let now: @Sendable () -> Instant
  let note: @Sendable (String) -> Void
  let progress: @Sendable (_ done: UInt64, _ of: UInt64) -> Void
  /// A test can stop a commit at any step.
  package var performing: RestoreCommit.Performing = { _, body in try body() }

  package init(
    options: Options, store: any ObjectStore, now: @escaping @Sendable () -> Instant,
    note: @escaping @Sendable (String) -> Void,
    progress: @escaping @Sendable (UInt64, UInt64) -> Void
  ) {
    self.options = options
    self.store = store
    self.now = now
    self.note = note
    self.progress = progress
  }

  /// How often a plan is made again because one of its objects was deleted meanwhile.
  private static let plansMax = 3
  /// How many log objects are left out because others have their bytes.
  private static let forgedMax = 64

  package func run() async throws -> Outcome { try await report().outcome }

  package func report() async throws -> Report {
    if options.isDryRun, try RestoreTarget.isToBeMade(options.data) {
      switch try await choose() {
      case .absent(let outcome): return Report(outcome: outcome)
      case .plan(_, _, let plan): return Report(outcome: .planned(plan))
      }
    }
    let names = options.names ?? ServerNames()
    let target = try RestoreTarget(options.data, names: names, makes: !options.isDryRun)
    let lock = try takeLock(target)
    defer { withExtendedLifetime(lock) {} }
    let turn = try await answeringRequest(target)
    let resumed = try turn.resume(target)
    // A server or someone else has written to the requested state. So it is in place, and stays.
    if let request = turn.options.performs, resumed.interrupted?.result == .changed,
      Marker.read(in: target.directory)?.request(request.id) != nil
    {
      try await turn.settleRequest(target)
      return Report(outcome: try await outcome(target, resumed), interrupted: resumed.interrupted)
    }
    let outcome = try await turn.outcome(target, resumed)
    switch outcome {
    case .restored, .finished: try await turn.settleRequest(target)
    case .noBackup, .neverCompleted:
      // It is better to fail now than after the loss of the volume.
      guard !options.isDryRun, !target.directory.isWritable else { break }
      note(
        "warning: \(options.data) is not writable for this user: a restore will fail here. In a pod, set "
          + "fsGroup, or run restore as root (deploy/kustomize/root-entrypoint)")
    default: break
    }
    // The server needs the space, and no run will use the staged files.
    if case .dataPresent = outcome, resumed.reuses, !options.isDryRun { discard(target.directory) }
    return Report(outcome: outcome, interrupted: resumed.interrupted)
  }

  private func outcome(_ first: RestoreTarget, _ resumed: Resumed) async throws -> Outcome {
    var target = first
    let found = resumed.interrupted
    let finished = found?.result == .finished ? found?.point : nil
    if let finished, resumed.isDone { return .finished(point: finished) }
    if let end = try look(target) { return end }
    // The state is complete, even if it has no keys.
    if let finished, options.isIfEmpty { return .finished(point: finished) }
    var damaged: [GenerationID: String] = [:]
    var forged: Set<ObjectPath> = []
    for attempt in 1... {
      let choice = try await choose(without: damaged, forged)
      guard case .plan(let repository, let history, let plan) = choice else {
        if case .absent(let outcome) = choice { return outcome }
        return .noBackup
      }
      if plan.names != target.names {
        // The backup uses its own file names. Files under those names are data as well.
        target = try RestoreTarget(options.data, names: plan.names, makes: false)
        if let end = try look(target) { return end }
      }
      if options.isDryRun { return .planned(plan) }
      do {
        return try await perform(
          plan, repository, history, target, reuses: resumed.reuses || attempt > 1)
      } catch let unneeded as RestoreStaging.UnneededDamage {
        // This loop ends: it is a different dump each time, and a plan has a bounded number of them.
        damaged[unneeded.generation] = unneeded.reason
        note("the dump next to the log is damaged: planning again without it")
      } catch let found as RestoreStaging.Replaceable {
        guard forged.count < Restorer.forgedMax else {
          throw LifeboatError(
            .corrupt, "more than \(Restorer.forgedMax) log objects can't be used",
            cause: "the last is \(found.name.text): \(found.reason)",
            hint: "`lifeboat verify` names them: find out who wrote them, and delete them")
        }
        forged.insert(found.name)
        note("\(found.name.text) can't be used (\(found.reason)): planning again without it")
      } catch let missing as RestoreStaging.Missing {
        guard attempt - damaged.count - forged.count < Restorer.plansMax else {
          throw LifeboatError(
            .corrupt, "the object \(missing.name) is missing",
            cause: "the restore point needs it",
            hint:
              "nothing was changed; `lifeboat verify` marks what is damaged, and `lifeboat list` then shows what "
              + "can be restored")
        }
        note("\(missing.name) is missing: listing the repository again")
      }
    }
    preconditionFailure("the loop above returns or throws")
  }

  // MARK: Look

  /// Nil if this run changes nothing, or if the file system has no locks.
  private func takeLock(_ target: RestoreTarget) throws -> DirectoryLock? {
    if options.isDryRun { return nil }
    switch target.directory.tryLock() {
    case .taken(let lock): return lock
    case .held:
      throw LifeboatError(
        .refused, "another restore is running in \(options.data)",
        hint: "wait until it has finished, or stop it; this one changed nothing")
    case .unsupported(let reason):
      note(
        "\(options.data) can't be locked (\(reason)): make sure that no other restore runs there")
      return nil
    }
  }

  /// Decides from the content of the directory. Nil: continue with the restore.
  private func look(_ target: RestoreTarget) throws -> Outcome? {
    let appendOnly = options.plan.appendOnly
    let facts = try target.facts()
    switch DataVerdict.judge(facts, appendOnly: appendOnly) {
    case .empty: break
    case .data(let what):
      if options.replaces { break }
      if options.isIfEmpty { return .dataPresent(what, warnings: facts.warnings) }
      if options.isDryRun { break }
      throw LifeboatError(
        .refused, "\(options.data) holds data (\(what))",
        hint: "restore into an empty directory, or pass --replace, which moves the data aside")
    case .broken(let reason, let remedy):
      if options.replaces || options.isDryRun { break }
      throw LifeboatError(
        .corrupt, "\(options.data) holds data that a server would not load", cause: reason,
        hint: remedy)
    }
    if !options.isDryRun, let user = try target.user() { throw inUse(user) }
    return nil
  }

  func inUse(_ user: String) -> LifeboatError {
    LifeboatError(
      .refused, "\(options.data) is in use by \(user)",
      hint: "stop the server first; nothing was changed")
  }

  // MARK: Plan

  private enum Choice {
    case plan(Repository, History, RestorePlan)
    case absent(Outcome)
  }

  /// - Parameters:
  ///   - damaged: dumps that a plan must leave out, and why.
  ///   - forged: log objects that the plan must not use.
  private func choose(
    without damaged: [GenerationID: String] = [:], _ forged: Set<ObjectPath> = []
  ) async throws -> Choice {
    guard let repository = try await Repository.open(store, keys: options.keys) else {
      if let id = options.repositoryID {
        throw LifeboatError(
          .noBackup, "\(store.location) is empty", cause: "the repository \(id) was expected there",
          hint: "check the bucket and prefix")
      }
      if options.isIfBackupExists, !options.question.isNamed { return .absent(.noBackup) }
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)",
        hint: "check the prefix; for a first start, pass --if-backup-exists")
    }
    if let id = options.repositoryID, id != repository.id {
      throw LifeboatError(
        .refused, "\(store.location) is the repository \(repository.id), not \(id)",
        hint: "check the bucket and prefix, or --repository-id")
    }
    var isLossConfirmed = false
    return try await repository.withHistory { whole in
      let history = try whole.without(forged)
      let reader = HistoryReader(repository: repository, history: history)
      var found = try await reader.point(options.question, now: now(), url: options.url)
      if found == nil {
        switch try await concludeAbsence(reader) {
        case .outcome(let outcome): return .absent(outcome)
        case .point(let point): found = point
        }
      }
      guard let point = found else { return .absent(.noBackup) }
      var planOptions = options.plan
      planOptions.names = options.names
      var plan: RestorePlan
      do {
        plan = try await reader.plan(point, planOptions, without: damaged)
      } catch let error as LifeboatError {
        throw try await reader.ask { try $0.explained(error, point) }
      }
      if let loss = plan.loss, !isLossConfirmed {
        isLossConfirmed = true
        throw LifeboatError(missing: loss.object)
      }
      if case .unfinished = options.question {
        plan.warnings.append(
          "this is correct only if Redis had no keys when this log began: its BASE was never uploaded. "
            + "Check it with `lifeboat inspect --data` before Redis starts")
      }
      if let server = options.server { try plan.check(for: server) }
      if options.isDryRun {
        plan.surroundings = try await CutReading(reader: reader).surroundings(of: point)
      }
      return .plan(repository, history, plan)
    }
  }

  private enum Conclusion {
    case outcome(Outcome)
    case point(RestorePoint)
  }

  /// Concludes "there is no backup" only from a complete listing that proves it.
  private func concludeAbsence(_ reader: HistoryReader) async throws -> Conclusion {
    var snapshots: [Snapshot] = []
    let budget = SpanBudget()
    for timeline in reader.history.claims.keys {
      snapshots += try await reader.snapshots(of: timeline, within: budget).values
    }
    let logs = reader.history.unfinishedLogs(snapshots)
    guard reader.history.provesNoRestorePoint(snapshots: snapshots),
      !logs.contains(where: \.hasHole)
    else {
      throw LifeboatError(
        .corrupt, "\(store.location) has no restore point, but there was one",
        cause:
          "objects of the repository are missing, or its first upload was interrupted at the end",
        hint: "check it with `lifeboat list`; if you don't need anything in it, use another prefix")
    }
    for log in logs where log.snapshot.detached?.awaitedBase == nil {
      if let point = reader.history.point(of: log) { return .point(point) }
    }
    if let log = logs.first(where: { !$0.isShort }) ?? logs.first {
      return .outcome(try concludeUnfinished(log, reader))
    }
    if options.isIfBackupExists, !options.question.isNamed { return .outcome(.noBackup) }
    throw LifeboatError(
      .noBackup, "there is no restore point at \(store.location) yet",
      hint: "`lifeboat ship` creates the first one; for a first start, pass --if-backup-exists")
  }

  /// An interrupted first ship must not prevent a new pod from starting. But an hour of log or more is not
  /// just an interrupted first ship, nor is any log if the caller knows that there is a backup.
  private func concludeUnfinished(_ log: UnfinishedLog, _ reader: HistoryReader) throws -> Outcome {
    let command = reader.repository.command(options.url).line(
      "--timeline \(log.timeline) --base empty")
    let isShort = log.isShort && options.repositoryID == nil
    if isShort, options.isIfBackupExists, !options.question.isNamed {
      return .neverCompleted(log, command: command)
    }
    let way =
      reader.history.point(of: log) == nil
      ? "nothing in it can be loaded"
      : "if Redis had no keys when that log began, `\(command)` restores it"
    throw LifeboatError(
      isShort ? .noBackup : .corrupt,
      "\(store.location) has a log without the full copy that it needs",
      cause: "\(log.text), in timeline \(log.timeline): its BASE was never completely uploaded",
      hint: way + "; to start without it, use another prefix")
  }
}
