import BackupTypes
import CLinux
import Glibc
import SystemPackage

extension OpenDirectory {
  /// Follows a link in a server's data directory. A server follows every link that its user can. Lifeboat may
  /// run as another user, often root, so a link is only followed if it stays within the file system of the
  /// directory, and if its owner could have put the file itself there (`isSafe`).
  ///
  /// - Returns: the descriptor of the target, which the caller closes. Nil if there is no target.
  /// - Throws: `.corrupt` if the link must not be followed.
  func follow(
    _ name: String, _ link: FileStatus, flags: Int32
  ) throws(LifeboatError) -> (descriptor: Int32, status: FileStatus)? {
    let opened: Int32
    switch retryingInterrupts({ clinux_openat(descriptor, name, flags | O_CLOEXEC, 0) }) {
    case .success(let descriptor): opened = descriptor
    case .failure(.noSuchFileOrDirectory): return nil
    case .failure(let number): throw LifeboatError(number, action: "open", path: path(of: name))
    }
    var raw = clinux_status()
    guard clinux_status_of(opened, &raw) == 0 else {
      let number = Errno.current
      _ = close(opened)
      throw LifeboatError(number, action: "stat", path: path(of: name))
    }
    let target = FileStatus(raw)
    do throws(LifeboatError) {
      let place = try status()
      guard target.device == place.device else {
        throw unsafe(name, "it leads to another file system")
      }
      guard OpenDirectory.isSafe(link, to: target, in: place) else {
        throw unsafe(
          name,
          link.owner == 0
            ? "root made it in a directory of user \(place.owner)"
              + (place.isWritableByOthers ? ", in which others can write" : "")
              + ", and it leads to a file of user \(target.owner)"
            : "user \(link.owner) made it, and it leads to a file of user \(target.owner)")
      }
      // Ensures that the link that was checked is the one that was followed. A rename would change its time.
      var now = clinux_status()
      guard clinux_status_at(descriptor, name, &now) == 0, FileStatus(now) == link else {
        throw LifeboatError(
          .corrupt, "\(printable(path(of: name).description)) changed while it was opened",
          hint: "try again", isRetryable: true)
      }
    } catch {
      _ = close(opened)
      throw error
    }
    return (opened, target)
  }

  private func unsafe(_ name: String, _ cause: String) -> LifeboatError {
    let place = printable(path(of: name).description)
    return LifeboatError(
      .corrupt, "\(place) is a symbolic link that is not followed", cause: cause,
      hint:
        "put the file itself in its place; links are followed within one file system, to files of the "
        + "link's owner, or of the directory's owner if root made them")
  }

  /// Whether a link only gives access to a file that its owner may read.
  ///
  /// A link of root is the operator's choice, but its path can go through directories in which others may
  /// write. So it is only followed to a file of the directory's owner. If that is root, nobody else may write
  /// in the directory. Otherwise the server's user could rename such a link to the name of a file of Redis.
  static func isSafe(
    _ link: FileStatus, to target: FileStatus, in directory: FileStatus
  ) -> Bool {
    guard link.owner == 0 else { return link.owner == target.owner }
    guard target.owner == directory.owner else { return false }
    return directory.owner != 0 || !directory.isWritableByOthers
  }
}

extension FileStatus {
  /// Whether its group or everybody may write.
  fileprivate var isWritableByOthers: Bool { mode & 0o022 != 0 }
}
