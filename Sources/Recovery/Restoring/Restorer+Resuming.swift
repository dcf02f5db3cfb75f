import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO

/// Handles what an earlier restore left in the directory. This is decided from the volume alone, before the
/// store is used.
extension Restorer {
  /// The result for an interrupted restore.
  package struct Interrupted: Sendable, Equatable {
    package enum Result: String, Sendable {
      /// Its renames were finished: the directory has the state that it was to restore.
      case finished
      /// Its renames were undone: the directory is as it was before.
      case undone
      /// The files have changed since then, and stay.
      case changed
      /// Its journal does not match the files, and was ignored.
      case notFollowed = "not-followed"
    }
    package var result: Result
    /// Nil if unknown.
    package var point: String?
    package var reason: String?
    /// Where its staged files are now.
    package var movedAside: String?
  }

  struct Resumed {
    var interrupted: Interrupted?
    /// Whether there are staged files that can be used again.
    var reuses = false
    /// Whether it was finished, and has the state that this run is to restore.
    var isDone = false
  }

  func resume(_ target: RestoreTarget) throws -> Resumed {
    let data = target.directory
    switch try RestoreJournal.read(in: data) {
    case .none:
      // At most an empty staging directory is left after a crash.
      if !options.isDryRun, try data.status(of: RestoreJournal.directory) != nil { discard(data) }
      return Resumed()
    case .staging: return Resumed(reuses: true)
    case .unusable(let reason):
      guard !options.isDryRun else {
        note("the journal in \(RestoreJournal.directory) is ignored: \(reason)")
        return Resumed()
      }
      let aside = setAside(data)
      let interrupted = Interrupted(result: .notFollowed, reason: reason, movedAside: aside)
      say(interrupted)
      return Resumed(interrupted: interrupted)
    case .committing(let journal):
      guard !options.isDryRun else {
        note(
          "a restore of \(journal.point) was interrupted here; the next restore without --dry-run "
            + "finishes or undoes it first")
        return Resumed()
      }
      return try resume(RestoreCommit(journal, in: data, perform: performing), target)
    }
  }

  private func resume(_ commit: RestoreCommit, _ target: RestoreTarget) throws -> Resumed {
    let journal = commit.journal
    let places = try commit.look()
    let wish = wish(journal)
    var resumed = Resumed()
    switch CommitRecovery.decide(places, wish: wish, replacesData: journal.replacesData) {
    case .finish:
      if places.contains(where: \.isToMove), let user = try target.user() { throw inUse(user) }
      if let warning = try commit.run() { note(warning) }
      resumed.interrupted = Interrupted(result: .finished, point: journal.point)
      resumed.isDone = wish == .same
    case .undo:
      if places.contains(where: \.hasMoved), let user = try target.user() { throw inUse(user) }
      try commit.undo()
      resumed.reuses = places.allSatisfy { $0.staged != .other }
      resumed.interrupted = Interrupted(
        result: .undone, point: journal.point,
        reason: resumed.reuses
          ? (wish == .another ? "this restore is for another restore point" : nil)
          : "its staged files do not match its journal")
      if !resumed.reuses { resumed.interrupted?.movedAside = setAside(target.directory) }
    case .leave(let changed):
      resumed.interrupted = try leave(commit, places, changed, target)
    }
    if let interrupted = resumed.interrupted { say(interrupted) }
    return resumed
  }

  private func wish(_ journal: RestoreJournal) -> CommitRecovery.Wish {
    if RestoreRequest(options, repository: store.location).isThat(of: journal) { return .same }
    let isOtherRepository =
      options.repositoryID.map { $0 != journal.marker.repository } ?? false
    return options.isIfEmpty && !options.question.isNamed && !isOtherRepository
      ? .anyState : .another
  }

  /// Does not touch files of a server. Our own files are moved back only if no other file has data. Otherwise
  /// our dump beside an empty AOF would look like the data of the server that made the AOF.
  private func leave(
    _ commit: RestoreCommit, _ places: [CommitRecovery.Place], _ changed: [String],
    _ target: RestoreTarget
  ) throws -> Interrupted {
    try commit.keepExchanged()
    let ours = places.filter { $0.live == .asStaged }
    let isWhole = places.allSatisfy {
      !$0.isMovedIn || ($0.staged == .absent && $0.live != .absent)
    }
    let holdsOurs = !ours.isEmpty && !isWhole
    if holdsOurs, holdsNothing(beside: ours.map(\.name), commit.journal, target),
      try target.user() == nil
    {
      try commit.takeOut(ours)
    } else if !isWhole {
      // An incomplete state must not have a marker, which would say where it comes from.
      try commit.takeMarkerBack()
    }
    var interrupted = Interrupted(
      result: changed.isEmpty ? .notFollowed : .changed, point: commit.journal.point)
    interrupted.reason =
      changed.isEmpty
      ? "the files it staged or moved aside do not match its journal"
      : "\(changed.map { printable($0) }.joined(separator: ", ")) changed since"
    // Unchanged staged files can be downloaded again.
    if places.allSatisfy({ $0.staged != .other }) {
      discard(target.directory)
    } else {
      interrupted.movedAside = setAside(target.directory)
    }
    return interrupted
  }

  private func holdsNothing(
    beside ours: [String], _ journal: RestoreJournal, _ target: RestoreTarget
  ) -> Bool {
    let names = journal.names
    guard var facts = try? DirectoryLook(target.path, names: names).facts() else { return false }
    if ours.contains(names.dump) { facts.dump = .absent }
    if ours.contains(names.appendFile) { facts.legacy = .absent }
    if ours.contains(names.appendDirectory) { (facts.manifest, facts.files) = (.absent, [:]) }
    return DataVerdict.judge(facts, appendOnly: .unknown) == .empty
  }

  // MARK: What was staged

  /// Nil if it could not be moved. A restore that needs this name then fails; one with nothing to do
  /// succeeds.
  private func setAside(_ data: OpenDirectory) -> String? {
    let name = RestoreJournal.debris + "\(now().milliseconds)"
    do {
      try data.rename(RestoreJournal.directory, to: data, as: name, noReplace: true)
      try data.synchronize()
      return name
    } catch {
      note("\(RestoreJournal.directory) could not be moved aside: \(error)")
      return nil
    }
  }

  func discard(_ data: OpenDirectory) {
    do {
      try RestoreJournal.discard(in: data)
    } catch {
      note("\(RestoreJournal.directory) could not be removed: \(error)")
    }
  }

  private func say(_ interrupted: Interrupted) {
    let restore =
      "an interrupted restore"
      + (interrupted.point.map { " of \(printable($0, limit: 80))" } ?? "")
    let reason = interrupted.reason.map { ": \($0)" } ?? ""
    switch interrupted.result {
    case .finished: note("finished \(restore) in \(options.data)")
    case .undone: note("undid \(restore) in \(options.data)\(reason)")
    case .changed:
      note(
        "found \(restore) in \(options.data) that can't be finished\(reason). The existing files stay; "
          + "the staged files are removed")
    case .notFollowed:
      note("found \(restore) in \(options.data) and ignored it\(reason)")
    }
    if let aside = interrupted.movedAside {
      note("its staged files are in \(options.data)/\(aside)")
    }
  }
}
