import BackupTypes
import Synchronization
package import SystemIO

/// Gives the staged files to their owner, and gives the group the same rights as in the data directory. A
/// `chown` can be refused although it is not needed: for root on NFS (root_squash), in FUSE, in a container
/// without CAP_CHOWN.
///
/// The group of a pod (`fsGroup`) may write to its volumes. Redis may run as another user of that group than
/// the restore, and has to append to the restored files.
package final class StagedOwner: Sendable {
  /// What the owner needs to do with a file, but can't, because `chown` was refused.
  package enum Need: Sendable, Equatable {
    /// Nothing: the owner can do everything that a server does.
    case none
    /// Write access: the file can be loaded, but not appended to.
    case toWrite
    case toRead
  }

  private let owner: (user: UInt32, group: UInt32)?
  /// `--owner` was given.
  private let isAsked: Bool
  private let directory: FileStatus
  private let failure = Mutex<String?>(nil)

  /// - Parameter directory: the data directory.
  package init(
    _ owner: (user: UInt32, group: UInt32)?, isAsked: Bool, in directory: FileStatus
  ) {
    self.owner = owner
    self.isAsked = isAsked
    self.directory = directory
  }

  /// A single warning, whatever the number of files.
  package var warning: String? { failure.withLock { $0 } }

  /// - Parameter isWritten: whether a server appends to the file. It replaces all other files.
  package func give(_ file: OpenFile, isWritten: Bool) throws {
    try give(try file.status(), access: isWritten ? 6 : 4) { try file.setOwner($0, group: $1) }
    try share(try file.status(), isDirectory: false, { try file.setOwner($0, group: $1) }) {
      try file.setPermissions($0)
    }
  }

  package func give(_ directory: OpenDirectory) throws {
    try give(try directory.status(), access: 7) { try directory.setOwner($0, group: $1) }
    try share(try directory.status(), isDirectory: true, { try directory.setOwner($0, group: $1) })
    {
      try directory.setPermissions($0)
    }
  }

  /// The mode of a file or directory in a directory of mode `directory`. If the group may write to the
  /// directory, it may write to this, too, and files in it get the same group. The umask does not apply.
  package static func mode(_ mode: UInt32, in directory: UInt32, isDirectory: Bool) -> UInt32 {
    guard directory & 0o020 != 0 else { return mode }
    return mode | (isDirectory ? 0o070 | directory & 0o2000 : 0o060)
  }

  private func share(
    _ status: FileStatus, isDirectory: Bool, _ setOwner: (UInt32, UInt32) throws -> Void,
    _ setMode: (UInt32) throws -> Void
  ) throws {
    let mode = StagedOwner.mode(status.mode, in: directory.mode, isDirectory: isDirectory)
    let isForeign = owner == nil && directory.mode & 0o020 != 0 && status.group != directory.group
    do {
      // Only the group changes.
      if isForeign { try setOwner(.max, directory.group) }
      if mode != status.mode { try setMode(mode) }
    } catch let error as LifeboatError {
      failure.withLock {
        $0 =
          "the files could not be given to the directory's group \(directory.group) "
          + "(\(error.cause ?? error.message)): a server of that group that runs as another user than "
          + "\(status.owner) can't append to them"
      }
    }
  }

  private func give(
    _ status: FileStatus, access: UInt32, _ change: (UInt32, UInt32) throws -> Void
  ) throws {
    guard let owner, (status.owner, status.group) != owner else { return }
    do {
      try change(owner.user, owner.group)
    } catch let error as LifeboatError {
      switch StagedOwner.need(
        of: owner, heldBy: (status.owner, status.group), mode: status.mode, access: access,
        isAsked: isAsked)
      {
      case .none: return
      case .toRead: throw error
      case .toWrite:
        failure.withLock {
          $0 =
            "the files belong to \(status.owner):\(status.group) and can't be changed to "
            + "\(owner.user):\(owner.group), the owner of the directory "
            + "(\(error.cause ?? error.message)): a server that runs as that user can read them, but not "
            + "append to them; run restore as that user"
        }
      }
    }
  }

  /// - Parameter access: the mode bits, of one class, that a server needs for the file.
  package static func need(
    of owner: (user: UInt32, group: UInt32), heldBy holder: (user: UInt32, group: UInt32),
    mode: UInt32, access: UInt32, isAsked: Bool
  ) -> Need {
    if holder.user == owner.user { return .none }
    // If an owner was named, the file gets it, or the restore fails.
    if isAsked { return .toRead }
    // Root can access any file. If root is squashed, the files belong to it already.
    if owner.user == 0 { return .none }
    let bits = (holder.group == owner.group ? mode >> 3 : mode) & 7
    if bits & access == access { return .none }
    return bits & access & 5 == access & 5 ? .toWrite : .toRead
  }
}
