import BackupTypes
import Synchronization
package import SystemIO

/// Gives the staged files to their owner. A `chown` can be refused although nobody needs it: for root on
/// NFS (root_squash), in FUSE, in a container without CAP_CHOWN.
package final class StagedOwner: Sendable {
  /// What the owner needs but can't do with a file whose `chown` was refused.
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
  private let failure = Mutex<String?>(nil)

  package init(_ owner: (user: UInt32, group: UInt32)?, isAsked: Bool) {
    self.owner = owner
    self.isAsked = isAsked
  }

  /// One warning, whatever the number of files.
  package var warning: String? { failure.withLock { $0 } }

  /// - Parameter isWritten: a server appends to the file. It replaces all others.
  package func give(_ file: OpenFile, isWritten: Bool) throws {
    try give(try file.status(), access: isWritten ? 6 : 4) { try file.setOwner($0, group: $1) }
  }

  package func give(_ directory: OpenDirectory) throws {
    try give(try directory.status(), access: 7) { try directory.setOwner($0, group: $1) }
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

  /// - Parameter access: the bits of a mode, of one class, that a server needs for the file.
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
