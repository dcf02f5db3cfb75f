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

  package enum Outcome: Sendable {
    case restored(RestorePlan, movedAside: String?)
    case planned(RestorePlan)
    /// The directory holds data, and `--if-empty` was given.
    case dataPresent(String, warnings: [String])
    /// There has never been a restore point, and `--if-backup-exists` was given.
    case noBackup
    /// There is log whose BASE never became durable, of a first ship that was cut off, and
    /// `--if-backup-exists` was given.
    case neverCompleted(UnfinishedLog, command: String)
    /// A restore that was interrupted while it committed is finished now.
    case finished(point: String)
  }

  let options: Options
  let store: any ObjectStore
  let now: @Sendable () -> Instant
  let note: @Sendable (String) -> Void
  let progress: @Sendable (_ done: UInt64, _ of: UInt64) -> Void

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
  private static let asideName = ".lifeboat-replaced"

  package func run() async throws -> Outcome {
    if options.isDryRun, try RestoreTarget.isToBeMade(options.data) {
      switch try await choose() {
      case .absent(let outcome): return outcome
      case .plan(_, _, let plan): return .planned(plan)
      }
    }
    let names = options.names ?? ServerNames()
    var target = try RestoreTarget(options.data, names: names, makes: !options.isDryRun)
    let isResuming = try RestoreJournal.read(in: target.directory) != nil
    if let done = try finishInterrupted(target) { return done }
    if let end = try look(target) { return end }
    var damaged: [GenerationID: String] = [:]
    for attempt in 1... {
      let choice = try await choose(without: damaged)
      guard case .plan(let repository, let history, let plan) = choice else {
        if case .absent(let outcome) = choice { return outcome }
        return .noBackup
      }
      if plan.names != target.names {
        // The backup has names of its own: what stands under those is data as well.
        target = try RestoreTarget(options.data, names: plan.names, makes: false)
        if let end = try look(target) { return end }
      }
      if options.isDryRun { return .planned(plan) }
      do {
        let aside = try await perform(
          plan, repository, history, target, reuses: isResuming || attempt > 1)
        return .restored(plan, movedAside: aside)
      } catch let unneeded as RestoreStaging.UnneededDamage {
        // Each time it is another one: there are only so many that a plan could have.
        damaged[unneeded.generation] = unneeded.reason
        note("the dump beside the log is damaged: planning again without it")
      } catch let missing as RestoreStaging.Missing {
        guard attempt - damaged.count < Restorer.plansMax else {
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

  /// An interrupted restore that was committing is finished, without the store.
  private func finishInterrupted(_ target: RestoreTarget) throws -> Outcome? {
    guard let journal = try RestoreJournal.read(in: target.directory),
      journal.phase == .committing
    else { return nil }
    if options.isDryRun { return nil }
    if let user = try target.user() { throw inUse(user) }
    try journal.commit(in: target.directory)
    return .finished(point: journal.point)
  }

  /// Decides by what is there; nil: go on.
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

  private func inUse(_ user: String) -> LifeboatError {
    LifeboatError(
      .refused, "\(options.data) is in use by \(user)",
      hint: "stop the server first; nothing was changed")
  }

  // MARK: Plan

  private enum Choice {
    case plan(Repository, History, RestorePlan)
    case absent(Outcome)
  }

  /// - Parameter damaged: dumps that a plan does without, and why.
  private func choose(without damaged: [GenerationID: String] = [:]) async throws -> Choice {
    guard let repository = try await Repository.open(store, keys: options.keys) else {
      if let id = options.repositoryID {
        throw LifeboatError(
          .noBackup, "\(store.location) is empty", cause: "the repository \(id) was expected there",
          hint: "check the bucket and prefix")
      }
      if options.isIfBackupExists, !options.selection.isNamed { return .absent(.noBackup) }
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)",
        hint: "check the prefix; on a first start, give --if-backup-exists")
    }
    if let id = options.repositoryID, id != repository.id {
      throw LifeboatError(
        .refused, "\(store.location) is the repository \(repository.id), not \(id)",
        hint: "check the bucket and prefix, or --repository-id")
    }
    var isLossConfirmed = false
    return try await repository.withHistory { history in
      let reader = HistoryReader(repository: repository, history: history)
      let chooser = PointChooser(reader: reader, now: now(), url: options.url)
      var found = try await chooser.choose(options.selection)
      if found == nil {
        switch try await concludeAbsence(chooser) {
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
        throw try await chooser.explained(error, point)
      }
      if let loss = plan.loss, !isLossConfirmed {
        isLossConfirmed = true
        throw LifeboatError(missing: loss.object)
      }
      if options.selection.isBaseEmpty {
        plan.warnings.append(
          "this is Redis's state only if Redis began with no keys when this log began: its BASE was "
            + "never shipped. Look at it with `lifeboat inspect --data` before Redis starts")
      }
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

  /// "There is no backup" is concluded only from a complete listing that proves it.
  private func concludeAbsence(_ chooser: PointChooser) async throws -> Conclusion {
    let reader = chooser.reader
    var snapshots: [Snapshot] = []
    for timeline in reader.history.claims.keys {
      snapshots += try await reader.snapshots(of: timeline).values
    }
    let logs = reader.history.unfinishedLogs(snapshots)
    guard reader.history.provesNoRestorePoint(snapshots: snapshots),
      !logs.contains(where: \.hasHole)
    else {
      throw LifeboatError(
        .corrupt, "\(store.location) holds no restore point, but there has been one",
        cause: "objects of the repository are missing, or its first upload was cut off at its end",
        hint: "look at it with `lifeboat list`; if nothing in it is of worth, use another prefix")
    }
    for log in logs where log.snapshot.detached?.awaitedBase == nil {
      if let point = chooser.point(of: log) { return .point(point) }
    }
    if let log = logs.first(where: { !$0.isShort }) ?? logs.first {
      return .outcome(try concludeUnfinished(log, chooser))
    }
    if options.isIfBackupExists, !options.selection.isNamed { return .outcome(.noBackup) }
    throw LifeboatError(
      .noBackup, "there is no restore point at \(store.location) yet",
      hint: "`lifeboat ship` makes the first one; on a first start, give --if-backup-exists")
  }

  /// A first ship that was cut off must not keep a new pod from starting; an hour of log is more than that,
  /// and so is any where the caller knows that there is a backup.
  private func concludeUnfinished(_ log: UnfinishedLog, _ chooser: PointChooser) throws -> Outcome {
    let command = chooser.reader.repository.command(options.url).line(
      "--timeline \(log.timeline) --base empty")
    let isShort = log.isShort && options.repositoryID == nil
    if isShort, options.isIfBackupExists, !options.selection.isNamed {
      return .neverCompleted(log, command: command)
    }
    let way =
      chooser.point(of: log) == nil
      ? "nothing in it can be loaded"
      : "if Redis began with no keys when that log began, `\(command)` restores it"
    throw LifeboatError(
      isShort ? .noBackup : .corrupt,
      "\(store.location) holds log without the full copy that it goes on from",
      cause: "\(log.text), in timeline \(log.timeline): its BASE was never shipped to its end",
      hint: way + "; to start without it, use another prefix")
  }

  // MARK: Perform

  private func perform(
    _ plan: RestorePlan, _ repository: Repository, _ history: History, _ target: RestoreTarget,
    reuses: Bool
  ) async throws -> String? {
    let before = try target.fingerprint()
    let holdsData = try target.verdict(appendOnly: .unknown) != .empty
    if holdsData, try target.directory.status(of: Restorer.asideName) != nil {
      throw LifeboatError(
        .refused, "\(options.data)/\(Restorer.asideName) is there from an earlier --replace",
        cause: "what was replaced is kept once",
        hint: "look at it, then: rm -r \(options.data)/\(Restorer.asideName)")
    }
    try clearStaging(plan, target, reuses: reuses)
    try checkRoom(plan, target)
    let marker = Marker(
      repository: repository.id, point: plan.point.id, instant: plan.point.instant,
      isDeliberate: options.selection.isNamed, newest: history.newestClaim!.timeline,
      end: history.contiguousEnd(of: history.newestClaim!.timeline, starts: [:]),
      restoredAt: now())
    var journal = RestoreJournal(
      phase: .staging, point: plan.point.id, aside: nil, movedAside: [], movedIn: [], marker: marker
    )
    try begin(&journal, target, reuses: reuses)
    let owner = try effectiveOwner(target)
    let counter = ProgressCounter(total: plan.bytes, report: progress)
    try await RestoreStaging(
      repository: repository, plan: plan, history: history,
      root: options.data.appending(RestoreJournal.directory).appending(RestoreJournal.files),
      owner: owner, reuses: reuses, progress: { counter.add($0) }
    ).run()
    // Look once more: a Redis that runs there has changed something, or is visible.
    if let user = try target.user() { throw inUse(user) }
    guard try target.fingerprint() == before else {
      throw LifeboatError(
        .refused, "\(options.data) changed while the backup was fetched",
        cause: "a server writes there", hint: "stop it first; nothing was changed")
    }
    journal.movedAside = try target.inTheWay(of: plan)
    journal.aside =
      journal.movedAside.isEmpty
      ? nil : (holdsData ? Restorer.asideName : ".lifeboat-debris-\(now().milliseconds)")
    journal.movedIn = order(plan)
    journal.phase = .committing
    try journal.write(in: target.directory)
    try journal.commit(in: target.directory)
    return journal.aside
  }

  /// The top-level names in the order of the commit: the AOF directory, with its manifest, last.
  private func order(_ plan: RestorePlan) -> [String] {
    let files = plan.files.filter { $0.directory == nil }.map(\.name)
    return files + Set(plan.files.compactMap(\.directory)).sorted()
  }

  private func begin(_ journal: inout RestoreJournal, _ target: RestoreTarget, reuses: Bool) throws
  {
    if !reuses { try target.directory.removeTree(RestoreJournal.directory) }
    try target.directory.makeDirectory(RestoreJournal.directory, mode: 0o755)
    guard let staging = try target.directory.openDirectory(RestoreJournal.directory) else {
      throw LifeboatError(.failure, "\(options.data)/\(RestoreJournal.directory) is no directory")
    }
    try staging.makeDirectory(RestoreJournal.files, mode: 0o755)
    try journal.write(in: target.directory)
    try target.directory.synchronize()
  }

  private func effectiveOwner(_ target: RestoreTarget) throws -> (user: UInt32, group: UInt32)? {
    if let owner = options.owner { return owner }
    guard HostFacts.effectiveUserIsRoot else { return nil }
    let status = try target.directory.status()
    return (status.owner, status.group)
  }

  /// What an earlier run staged and this one can't use makes room first.
  private func clearStaging(_ plan: RestorePlan, _ target: RestoreTarget, reuses: Bool) throws {
    guard let staging = try target.directory.openDirectory(RestoreJournal.directory) else { return }
    guard reuses, let files = try staging.openDirectory(RestoreJournal.files) else {
      try target.directory.removeTree(RestoreJournal.directory)
      return
    }
    for entry in try files.entries()
    where !plan.files.contains(where: { ($0.directory ?? $0.name) == entry.name }) {
      try files.removeTree(entry.name)
    }
  }

  /// What an earlier run staged of the plan's files: it is used again, or written over.
  private func stagedBytes(_ plan: RestorePlan, _ target: RestoreTarget) throws -> UInt64 {
    guard let staging = try target.directory.openDirectory(RestoreJournal.directory),
      let files = try staging.openDirectory(RestoreJournal.files)
    else { return 0 }
    var bytes: UInt64 = 0
    for file in plan.files {
      if case .same(_, mustCopy: false) = file.content { continue }
      guard let place = try file.directory.map({ try files.openDirectory($0) }) ?? files,
        let status = try place.status(of: file.name)
      else { continue }
      bytes += min(status.size, file.size)
    }
    return bytes
  }

  /// Room is checked before anything is written.
  private func checkRoom(_ plan: RestorePlan, _ target: RestoreTarget) throws {
    let space = try FileSystemSpace.at(options.data)
    let staged = try stagedBytes(plan, target)
    let needed = plan.bytes - min(staged, plan.bytes) + UInt64(plan.files.count) * 4096
    if space.freeBytes < needed {
      throw LifeboatError(
        .noRoom,
        "\(options.data) has \(humanBytes(space.freeBytes)) free, and \(humanBytes(needed)) are needed",
        hint: "grow the volume (the claim), or restore into a new, larger one; nothing was changed")
    }
    if let inodes = space.freeInodes, space.totalBytes > 0, inodes < UInt64(plan.files.count) + 8 {
      throw LifeboatError(
        .noRoom,
        "\(options.data) has \(inodes) inodes free, and \(plan.files.count + 8) are needed",
        hint: "remove files, or restore into a new volume; nothing was changed")
    }
  }
}
