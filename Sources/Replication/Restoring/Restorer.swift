import BackupFormat
package import BackupLogic
package import BackupTypes
package import ObjectStorage
import SystemIO
package import SystemPackage

/// Fills a data directory from a repository. All or nothing: it ends with a complete, verified
/// directory, or with the directory as it was.
package struct Restorer: Sendable {
  package struct Options: Sendable {
    package var data: FilePath
    package var names: ServerNames?
    package var selection: PointSelection
    package var plan: RestorePlan.Options
    package var isIfEmpty = false
    package var isIfBackupExists = false
    package var replaces = false
    package var isDryRun = false
    package var repositoryID: Nonce?
    package var owner: (user: UInt32, group: UInt32)?
    package var keys = KeySource.none
    /// What `--repo` was given, for a command that is shown.
    package var url: String?

    package init(data: FilePath, selection: PointSelection, plan: RestorePlan.Options) {
      self.data = data
      self.selection = selection
      self.plan = plan
    }
  }

  package struct Report: Sendable {
    package var outcome: Outcome
    /// What became of an interrupted restore that was found.
    package var interrupted: Interrupted?
  }

  package enum Outcome: Sendable {
    case restored(RestorePlan, movedAside: String?)
    case planned(RestorePlan)
    /// The directory holds data, and `--if-empty` was given.
    case dataPresent(String)
    /// There has never been a restore point, and `--if-backup-exists` was given.
    case noBackup
    /// A restore that was interrupted while it committed is finished now, and that is what was asked for.
    case finished(point: String)
  }

  let options: Options
  let store: any ObjectStore
  let now: @Sendable () -> Instant
  let note: @Sendable (String) -> Void
  let progress: @Sendable (_ done: UInt64, _ of: UInt64) -> Void
  /// A test stops a commit at any step.
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

  /// So often a plan is made anew when an object of it went away meanwhile.
  private static let plansMax = 3

  package func run() async throws -> Outcome { try await report().outcome }

  package func report() async throws -> Report {
    if options.isDryRun, try RestoreTarget.isToBeMade(options.data) {
      guard let (_, _, plan) = try await choose() else { return Report(outcome: .noBackup) }
      return Report(outcome: .planned(plan))
    }
    let names = options.names ?? ServerNames()
    let target = try RestoreTarget(options.data, names: names, makes: !options.isDryRun)
    let lock = try takeLock(target)
    defer { withExtendedLifetime(lock) {} }
    let resumed = try resume(target)
    let outcome = try await outcome(target, resumed)
    // The server needs the room, and no run will use what was staged.
    if case .dataPresent = outcome, resumed.reuses, !options.isDryRun { discard(target.directory) }
    return Report(outcome: outcome, interrupted: resumed.interrupted)
  }

  private func outcome(_ first: RestoreTarget, _ resumed: Resumed) async throws -> Outcome {
    var target = first
    let found = resumed.interrupted
    let finished = found?.result == .finished ? found?.point : nil
    if let finished, resumed.isDone { return .finished(point: finished) }
    if let end = try look(target) { return end }
    // It is complete, if without a key.
    if let finished, options.isIfEmpty { return .finished(point: finished) }
    for attempt in 1... {
      guard let (repository, history, plan) = try await choose() else { return .noBackup }
      if plan.names != target.names {
        // The backup has names of its own: what stands under those is data as well.
        target = try RestoreTarget(options.data, names: plan.names, makes: false)
        if let end = try look(target) { return end }
      }
      if options.isDryRun { return .planned(plan) }
      do {
        return try await perform(
          plan, repository, history, target, reuses: resumed.reuses || attempt > 1)
      } catch let missing as RestoreStaging.Missing {
        guard attempt < Restorer.plansMax else {
          throw LifeboatError(
            .corrupt, "the object \(missing.name) is missing",
            cause: "the restore point needs it",
            hint: "nothing was changed; `lifeboat list` shows other restore points")
        }
        note("\(missing.name) went away while it was needed: planning again")
      }
    }
    preconditionFailure("the loop above returns or throws")
  }

  // MARK: Look

  /// Nil: this run changes nothing, or there are no locks.
  private func takeLock(_ target: RestoreTarget) throws -> DirectoryLock? {
    if options.isDryRun { return nil }
    switch target.directory.tryLock() {
    case .taken(let lock): return lock
    case .held:
      throw LifeboatError(
        .refused, "another restore is at work in \(options.data)",
        hint: "wait for its end, or stop it; this one changed nothing")
    case .unsupported(let reason):
      note(
        "\(options.data) can't be locked (\(reason)): see to it that no other restore works there")
      return nil
    }
  }

  /// Decides by what is there; nil: go on.
  private func look(_ target: RestoreTarget) throws -> Outcome? {
    let appendOnly = options.plan.appendOnly
    switch try target.verdict(appendOnly: appendOnly) {
    case .empty: break
    case .data(let what):
      if options.replaces { break }
      if options.isIfEmpty { return .dataPresent(what) }
      if options.isDryRun { break }
      throw LifeboatError(
        .refused, "\(options.data) holds data (\(what))",
        hint: "restore into an empty directory, or give --replace, which moves the data aside")
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

  private func choose() async throws -> (Repository, History, RestorePlan)? {
    guard let repository = try await Repository.open(store, keys: options.keys) else {
      if let id = options.repositoryID {
        throw LifeboatError(
          .noBackup, "\(store.location) is empty", cause: "the repository \(id) was expected there",
          hint: "check the bucket and prefix")
      }
      if options.isIfBackupExists, !options.selection.isNamed { return nil }
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)",
        hint: "check the prefix; on a first start, give --if-backup-exists")
    }
    if let id = options.repositoryID, id != repository.id {
      throw LifeboatError(
        .refused, "\(store.location) is the repository \(repository.id), not \(id)",
        hint: "check the bucket and prefix, or --repository-id")
    }
    return try await repository.withHistory { history in
      let reader = HistoryReader(repository: repository, history: history)
      let chooser = PointChooser(reader: reader, now: now(), url: options.url)
      guard let point = try await chooser.choose(options.selection) else {
        try await concludeAbsence(reader)
        return nil
      }
      var plan = try await plan(repository, history, point)
      if options.isDryRun {
        plan.surroundings = try await CutReading(reader: reader).surroundings(of: point)
      }
      return (repository, history, plan)
    }
  }

  /// "There is no backup" is concluded only from a complete listing that proves it.
  private func concludeAbsence(_ reader: HistoryReader) async throws {
    var snapshots: [Snapshot] = []
    for timeline in reader.history.claims.keys {
      snapshots += try await reader.snapshots(of: timeline).values
    }
    guard reader.history.provesNoRestorePoint(snapshots: snapshots) else {
      throw LifeboatError(
        .corrupt, "\(store.location) holds no restore point, but there has been one",
        cause: "objects of the repository are missing, or its first upload was cut off at its end",
        hint: "look at it with `lifeboat list`; if nothing in it is of worth, use another prefix")
    }
    if options.isIfBackupExists, !options.selection.isNamed { return }
    throw LifeboatError(
      .noBackup, "there is no restore point at \(store.location) yet",
      hint: "`lifeboat ship` makes the first one; on a first start, give --if-backup-exists")
  }

  private func plan(_ repository: Repository, _ history: History, _ point: RestorePoint)
    async throws
    -> RestorePlan
  {
    let reader = HistoryReader(repository: repository, history: history)
    var planOptions = options.plan
    planOptions.names = options.names
    let planner = RestorePlanner(
      history: history, point: point, indexes: try await reader.indexes(of: point.snapshot),
      options: planOptions)
    return try planner.plan()
  }
}
