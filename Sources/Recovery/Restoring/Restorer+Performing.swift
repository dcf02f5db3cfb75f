import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO

/// Free space, staging, and the commit.
extension Restorer {
  func perform(
    _ plan: RestorePlan, _ repository: Repository, _ history: History, _ target: RestoreTarget,
    reuses: Bool
  ) async throws -> Outcome {
    try checkSpans(plan, history)
    let before = try target.fingerprint()
    let holdsData = try target.verdict(appendOnly: .unknown) != .empty
    if holdsData, options.performs == nil, try isTaken(RestoreJournal.replaced, target.directory) {
      throw LifeboatError(
        .refused, "\(options.data)/\(RestoreJournal.replaced) exists from an earlier --replace",
        cause: "only one set of replaced files is kept",
        hint: "if it is no longer needed: rm -r \(options.data)/\(RestoreJournal.replaced)")
    }
    let owner = StagedOwner(
      try effectiveOwner(target), isAsked: options.owner != nil, in: try target.directory.status())
    try clearStaging(plan, target, reuses: reuses)
    try checkRoom(plan, target)
    var marker = Marker(
      repository: repository.id, point: plan.point.id, instant: plan.point.instant,
      isDeliberate: options.question.isNamed, newest: history.newestClaim!.timeline,
      end: history.contiguousEnd(of: history.newestClaim!.timeline, starts: [:]),
      restoredAt: now())
    marker.requests = rememberedRequests(target)
    var journal = RestoreJournal(
      run: hexadecimal(secureRandomBytes(8)), point: plan.point.id,
      request: RestoreRequest(options, repository: store.location), names: plan.names,
      marker: marker)
    let files = try begin(journal, target, owner)
    let counter = ProgressCounter(total: plan.bytes, report: progress)
    let staging = RestoreStaging(
      repository: repository, plan: plan, history: history, root: files, owner: owner,
      reuses: reuses, now: now(), progress: { counter.add($0) })
    journal.staged = try await staging.run()
    try checkUnchanged(target, before, journal)
    for name in try target.inTheWay(of: plan) {
      journal.movedAside.append(name)
      journal.found += try RestoreJournal.Found.under(name, in: target.directory)
    }
    if !journal.movedAside.isEmpty {
      journal.aside =
        holdsData ? replacedName : RestoreJournal.debris + "\(now().milliseconds)"
    }
    journal.movedIn = order(plan)
    journal.phase = .committing
    try journal.write(in: target.directory)
    let commit = RestoreCommit(journal, in: target.directory, perform: performing)
    var done = plan
    for (index, staged) in journal.staged.enumerated() { done.files[index].size = staged.size }
    done.warnings += try [owner.warning, commit.run()].compactMap { $0 }
    if let words = ClusterNode.words(
      file: ClusterNode.file(in: target.directory), hasSlots: staging.seen.hasSlots)
    {
      done.warnings.append(words)
    }
    if staging.seen.expired > 0 {
      done.warnings.append(
        "\(counted(staging.seen.expired, "key")) of the full copy expired after it was saved: a server that is "
          + "not a replica does not load expired keys")
    }
    return .restored(done, movedAside: journal.aside)
  }

  /// A request is performed without a person, and files that an earlier request moved aside may still be
  /// there. So each request has its own directory.
  private var replacedName: String {
    RestoreJournal.replaced + (options.performs == nil ? "" : "-\(now().milliseconds)")
  }

  /// Inspects the directory once more. A Redis that runs there has changed something or is visible. Another
  /// restore, on a file system without locks, has written its own journal.
  private func checkUnchanged(
    _ target: RestoreTarget, _ before: [String: FileStatus], _ journal: RestoreJournal
  ) throws {
    guard RestoreJournal.run(in: target.directory) == journal.run else {
      throw LifeboatError(
        .refused, "another restore is running in \(options.data)",
        cause: "\(RestoreJournal.directory) was not created by this restore",
        hint: "wait until it has finished, or stop it; this one changed nothing")
    }
    let user = try target.user()
    if try user == nil && target.fingerprint() == before { return }
    // The staged files are deleted: the server needs the space more than another attempt needs them.
    try RestoreJournal.discard(in: target.directory)
    if let user { throw inUse(user) }
    throw LifeboatError(
      .refused, "\(options.data) changed while the backup was downloaded",
      cause: "a server writes to it", hint: "stop the server first; restore changed nothing")
  }

  /// Whether something of that name exists. An empty directory, which a crash can leave, is removed.
  private func isTaken(_ name: String, _ data: OpenDirectory) throws -> Bool {
    guard let status = try data.status(of: name) else { return false }
    guard status.kind == .directory, let directory = try data.openDirectory(name),
      try directory.entries().isEmpty
    else { return true }
    try data.removeDirectory(name)
    return false
  }

  /// The top-level names in the order of the commit, the AOF last. Its directory contains the manifest.
  private func order(_ plan: RestorePlan) -> [String] {
    let files = plan.files.filter { $0.directory == nil }
    return files.filter { $0.role != .legacy }.map(\.name)
      + files.filter { $0.role == .legacy }.map(\.name)
      + Set(plan.files.compactMap(\.directory)).sorted()
  }

  /// Returns the directory for the staged files.
  private func begin(
    _ journal: RestoreJournal, _ target: RestoreTarget, _ owner: StagedOwner
  ) throws -> OpenDirectory {
    try target.directory.makeDirectory(RestoreJournal.directory, mode: 0o755)
    guard let staging = try target.directory.openDirectory(RestoreJournal.directory) else {
      throw LifeboatError(
        .failure, "\(options.data)/\(RestoreJournal.directory) was removed during the restore")
    }
    try staging.makeDirectory(RestoreJournal.files, mode: 0o755)
    guard let files = try staging.openDirectory(RestoreJournal.files) else {
      throw LifeboatError(
        .failure, "\(staging.path)/\(RestoreJournal.files) was removed during the restore")
    }
    // After a crash, the next run may be by another user of the group.
    for made in [staging, files] { try owner.give(made) }
    try journal.write(in: target.directory)
    try target.directory.synchronize()
    return files
  }

  private func effectiveOwner(_ target: RestoreTarget) throws -> (user: UInt32, group: UInt32)? {
    if let owner = options.owner { return owner }
    guard HostFacts.effectiveUserIsRoot else { return nil }
    let status = try target.directory.status()
    return (status.owner, status.group)
  }

  /// Frees the space of files that an earlier run staged and this one can't use.
  private func clearStaging(_ plan: RestorePlan, _ target: RestoreTarget, reuses: Bool) throws {
    let data = target.directory
    guard reuses,
      let files = try data.openDirectory(RestoreJournal.directory)?
        .openDirectory(RestoreJournal.files)
    else {
      try RestoreJournal.discard(in: data)
      return
    }
    for entry in try files.entries() {
      let wanted = plan.files.first { ($0.directory ?? $0.name) == entry.name }
      if wanted.map({ ($0.directory != nil) == (entry.kind == .directory) }) ?? false { continue }
      try files.removeTree(entry.name)
    }
  }

  /// The size of the plan's files that an earlier run staged. They are used again, or overwritten.
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

  /// The name of a log object says how many bytes it has. Anyone who may create objects can make up a number
  /// for which no volume has room.
  private func checkSpans(_ plan: RestorePlan, _ history: History) throws {
    for file in plan.files {
      guard case .log(let parts) = file.content else { continue }
      for part in parts where part.span.count > LogPayload.bytesMax {
        let error = LifeboatError(
          .corrupt, "the object \(part.name.text) is damaged",
          cause: "no object has as many bytes as its name says",
          hint: "`lifeboat verify` lists all damage")
        throw RestoreStaging.unusableLog(part.name, error, plan, history)
      }
    }
  }

  /// Checks the free space before anything is written.
  private func checkRoom(_ plan: RestorePlan, _ target: RestoreTarget) throws {
    let space = try FileSystemSpace.at(options.data)
    let staged = try stagedBytes(plan, target)
    let needed = plan.bytes - min(staged, plan.bytes) + UInt64(plan.files.count) * 4096
    if space.freeBytes < needed {
      throw LifeboatError(
        .noRoom,
        "\(options.data) has \(humanBytes(space.freeBytes)) free, and \(humanBytes(needed)) are needed",
        hint: "enlarge the volume, or restore to a new, larger one; nothing was changed")
    }
    if let inodes = space.freeInodes, space.totalBytes > 0, inodes < UInt64(plan.files.count) + 8 {
      throw LifeboatError(
        .noRoom,
        "\(options.data) has \(counted(inodes, "free inode")), and \(plan.files.count + 8) are needed",
        hint: "remove files, or restore to a new volume; nothing was changed")
    }
  }
}
