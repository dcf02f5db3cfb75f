package import BackupTypes
package import HistoryLogic

/// The result of a run of retention, or of `--dry-run`.
package struct PruneReport: Sendable, Equatable, Encodable {
  package enum Result: String, Sendable, Encodable {
    /// Everything is kept.
    case nothing
    /// `--dry-run`.
    case planned
    /// More than half of the restore points would be deleted. It is announced now, and done after a grace
    /// period.
    case announced
    /// It was announced before.
    case waiting
    case pruned
  }

  package var result: Result
  package var repository: String
  package var location: String
  package var at: String
  /// Every mark since then is kept.
  package var keepsAllSince: String
  package var keepHourly: String
  package var keepDaily: Int
  /// The first remaining restore point; absent if there is none.
  package var recoverableFrom: String?
  /// When an announced run will delete.
  package var due: String?
  /// Restore points, as `list` counts them, before and after.
  package var points: Int
  package var pointsLeft: Int
  /// How many objects are deleted.
  package var snapshots: Int
  package var logObjects: Int
  package var generations: Int
  package var foldedObjects: Int
  package var operations: Int
  /// How many missing snapshots `--confirm` accepts as lost.
  package var lost = 0
  package var objects: Int

  /// What is kept although the policy would not keep it.
  package var held: [Held] = []

  package struct Held: Sendable, Equatable, Encodable {
    /// Absent if it is the newest state.
    package var pin: String?
    package var until: String?
    package var from: String

    init(_ held: Retention.Held) {
      pin = held.pin?.id
      until = held.pin?.until.description
      from = held.from.description
    }

    fileprivate var text: String {
      guard let pin, let until else {
        return
          "the newest state needs data since \(from), as Redis's own disk does, until an AOF rewrite "
          + "(BGREWRITEAOF) or the next dump replaces it\n"
      }
      return "the pin \(printable(pin)) keeps data since \(from) until a day after \(until); "
        + "`lifeboat unpin` releases it\n"
    }
  }

  /// `recoverableFrom`, as a time.
  package var recoverableFromInstant: Instant?
  /// Claims that can't be read and that a later claim has passed.
  package var unreadableClaims: [TimelineNumber] = []
  /// The losses of all restore points.
  package var losses: [LogLoss] = []

  private enum CodingKeys: String, CodingKey {
    case result, repository, location, at, keepsAllSince, keepHourly, keepDaily, recoverableFrom,
      due, points
    case pointsLeft, snapshots, logObjects, generations, foldedObjects, operations, lost, objects
    case held
  }

  /// A fold that does not have the bytes and marks of the objects inside it replaces none of them.
  mutating func noteFolded(_ deleted: Int) {
    objects -= foldedObjects - deleted
    foldedObjects = deleted
  }

  package var text: String {
    let goes =
      "\(counted(objects, "object")): \(points - pointsLeft) of \(counted(points, "restore point")) "
      + "(\(counted(snapshots, "snapshot"))), \(counted(generations, "dump or BASE", "dumps and BASEs")), \(counted(logObjects + foldedObjects, "log object"))\n"
    let keeps =
      "kept: everything since \(keepsAllSince) (without an AOF, the dumps of the last two days, "
      + "then the last of each hour for \(keepHourly)), and before that the last restore point of each day, "
      + "for \(counted(keepDaily, "day"))\n"
    return (lost == 0 ? "" : "missing, and declared lost: \(counted(lost, "snapshot"))\n")
      + said(goes, keeps)
      + held.map(\.text).joined()
  }

  private func said(_ goes: String, _ keeps: String) -> String {
    switch result {
    case .nothing: return "nothing to delete; " + keeps
    case .planned: return "would delete " + goes + keeps
    case .announced, .waiting:
      return "NOTHING WAS DELETED: this would delete more than half of the restore points.\n"
        + "would delete " + goes + keeps
        + "The first run after \(due ?? "") deletes them. To delete them now: lifeboat prune --confirm\n"
    case .pruned: return "deleted " + goes + keeps
    }
  }
}
