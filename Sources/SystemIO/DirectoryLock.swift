import BackupTypes
import CLinux
import Glibc
import SystemPackage

/// An exclusive lock on a directory: flock(2) on its own descriptor. The kernel releases it when the process
/// ends in any way, and it leaves no file behind. On a network file system, it only works among the processes
/// of one node.
package final class DirectoryLock: Sendable {
  package enum Answer: Sendable {
    case taken(DirectoryLock)
    /// Another process or another part of this one holds it.
    case held
    /// The file system or the operating system does not support such locks. The value is the error text of
    /// the operating system.
    case unsupported(String)
  }

  private let descriptor: Int32

  fileprivate init(descriptor: Int32) { self.descriptor = descriptor }

  deinit { _ = close(descriptor) }
}

extension OpenDirectory {
  /// Takes the lock on this directory; never waits.
  package func tryLock() -> DirectoryLock.Answer {
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
    switch retryingInterrupts({ clinux_openat(descriptor, ".", flags, 0) }) {
    case .failure(let number): return .unsupported(number.description)
    case .success(let copy):
      let lock = DirectoryLock(descriptor: copy)
      switch retryingInterrupts({ clinux_try_lock(copy) }) {
      case .success: return .taken(lock)
      case .failure(.wouldBlock): return .held
      case .failure(let number): return .unsupported(number.description)
      }
    }
  }
}
