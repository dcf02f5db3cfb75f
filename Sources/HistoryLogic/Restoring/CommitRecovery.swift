/// Decides what happens to a restore that was interrupted while committing. The decision depends on the
/// places of the files of each top-level name, and on what this run is to restore. `docs/decisions/0050` has
/// the reasons.
package enum CommitRecovery: Sendable, Equatable {
  /// Perform the remaining renames. The directory then has the state that the interrupted restore was to
  /// give.
  case finish
  /// Undo the completed renames: the directory is then as it was before.
  case undo
  /// Rename no live file. Either one of these names was written to since then, or the staged files are not
  /// those of the journal and the files that were moved aside are gone.
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
      /// Neither: a server or someone else has written to it since then.
      case other
    }
    /// In the directory for files that were moved aside, or among the staged files.
    package enum Stored: Sendable, Equatable, CaseIterable { case absent, intact, other }

    package var name: String
    /// The restore found a file of this name, and moves it aside.
    package var isMovedAside: Bool
    /// The restore puts a file of this name in place.
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

    /// The current file is neither the found one nor the staged one, or the file was removed.
    var isChanged: Bool {
      switch live {
      case .other: true
      case .asFound, .asStaged: false
      case .absent:
        (isMovedAside && aside != .intact) || (isMovedIn && staged == .absent)
      }
    }
    /// Whether a rename of this name was done.
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

  /// What this run is to restore, compared with the interrupted one.
  package enum Wish: Sendable, Equatable {
    /// The same.
    case same
    /// Any directory on which a server can start: `--if-empty` without a point.
    case anyState
    case another
  }

  /// - Parameter replacesData: whether the replaced files held data, and not only the files of an empty
  ///   server.
  package static func decide(_ places: [Place], wish: Wish, replacesData: Bool) -> CommitRecovery {
    let changed = places.filter(\.isChanged).map(\.name)
    guard changed.isEmpty else { return .leave(changed: changed) }
    let canFinish = places.allSatisfy(\.canBeFinished)
    let finishes =
      switch wish {
      case .same: true
      // A run that would not itself move data aside does not begin to do so. It only finishes renames that
      // were begun.
      case .anyState: !replacesData || places.contains(where: \.hasMoved)
      case .another: false
      }
    if finishes, canFinish { return .finish }
    if places.allSatisfy(\.canBeUndone) { return .undo }
    return canFinish ? .finish : .leave(changed: [])
  }
}
