/// What becomes of a restore that was interrupted while it committed: decided from where the files of each
/// top-level name are, and from what this run asks for. `docs/decisions/0050` has the reasons.
package enum CommitRecovery: Sendable, Equatable {
  /// The renames that are left are done: the directory holds what that restore asked for.
  case finish
  /// The renames that were done are undone: the directory is as it was before.
  case undo
  /// No file that is there is renamed: one of these names was written to since, or what was staged is not
  /// what the journal says and what was moved aside is gone.
  case leave(changed: [String])

  /// Where the files of one top-level name are.
  package struct Place: Sendable, Equatable {
    /// In the data directory.
    package enum Live: Sendable, Equatable, CaseIterable {
      case absent
      /// As the restore found it.
      case asFound
      /// As the restore staged it.
      case asStaged
      /// Neither: a server, or somebody else, wrote since.
      case other
    }
    /// In the directory for what was moved aside, or among the staged files.
    package enum Stored: Sendable, Equatable, CaseIterable { case absent, intact, other }

    package var name: String
    /// The restore found something of this name, and moves it aside.
    package var isMovedAside: Bool
    /// The restore lays something of this name down.
    package var isMovedIn: Bool
    package var live: Live
    package var aside: Stored
    package var staged: Stored

    package init(
      name: String, isMovedAside: Bool, isMovedIn: Bool, live: Live, aside: Stored, staged: Stored
    ) {
      self.name = name
      self.isMovedAside = isMovedAside
      self.isMovedIn = isMovedIn
      self.live = live
      self.aside = aside
      self.staged = staged
    }

    /// What is there is neither what was found nor what was staged, or it was removed.
    var isChanged: Bool {
      switch live {
      case .other: true
      case .asFound, .asStaged: false
      case .absent:
        (isMovedAside && aside != .intact) || (isMovedIn && staged == .absent)
      }
    }
    /// A rename was done; one is still to be done.
    package var hasMoved: Bool { live == .asStaged || (isMovedAside && live != .asFound) }
    package var isToMove: Bool {
      (isMovedIn && live != .asStaged) || (isMovedAside && live == .asFound)
    }
    var canBeFinished: Bool {
      !isMovedIn || live == .asStaged || staged == .intact
    }
    var canBeUndone: Bool {
      (!isMovedAside || live == .asFound || aside == .intact)
        && !(live == .asStaged && staged == .other)
    }
  }

  /// What this run asks for, beside what the interrupted one asked for.
  package enum Wish: Sendable, Equatable {
    /// The same.
    case same
    /// A directory that a server can start on, whatever its point: `--if-empty` without a point.
    case anyState
    case another
  }

  /// - Parameter replacesData: what stood in the way held data, and not only what an empty server leaves.
  package static func decide(_ places: [Place], wish: Wish, replacesData: Bool) -> CommitRecovery {
    let changed = places.filter(\.isChanged).map(\.name)
    guard changed.isEmpty else { return .leave(changed: changed) }
    let canFinish = places.allSatisfy(\.canBeFinished)
    let finishes =
      switch wish {
      case .same: true
      // A run that moves no data aside by itself does not begin to: it only ends what has begun.
      case .anyState: !replacesData || places.contains(where: \.hasMoved)
      case .another: false
      }
    if finishes, canFinish { return .finish }
    if places.allSatisfy(\.canBeUndone) { return .undo }
    return canFinish ? .finish : .leave(changed: [])
  }
}
