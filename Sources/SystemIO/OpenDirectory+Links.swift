import BackupTypes
import CLinux
import Glibc
import SystemPackage

extension OpenDirectory {
  /// Follows a link in a server's data directory. A server follows every link that its user can. Lifeboat may
  /// run as another user, often root, so a link counts only if it stays within the file system of the
  /// directory and leads to a file of the link's own owner: then whoever made it could have put the file
  /// itself there. A link of root is the operator's choice.
  ///
  /// - Returns: what it leads to; the caller closes the descriptor. Nil if it leads nowhere.
  /// - Throws: `.corrupt` if it leads elsewhere.
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
      let device = try status().device
      guard target.device == device else {
        throw unsafe(name, "it leads to another file system")
      }
      guard link.owner == 0 || link.owner == target.owner else {
        throw unsafe(
          name, "user \(link.owner) made it, and it leads to a file of user \(target.owner)")
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
        + "link's owner, or if root made them")
  }
}
