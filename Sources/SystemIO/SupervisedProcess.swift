package import BackupTypes
import CLinux
import Glibc
import Synchronization
package import SystemPackage

/// A program that this process runs for a while, in a process group of its own. It ends with this object. If
/// this process ends in any way, the kernel kills it.
package final class SupervisedProcess: Sendable {
  package let pid: Int32
  private let ending = Mutex<String?>(nil)

  /// Starts the program at the path `program`. Its environment is exactly the given one. Its output goes to
  /// `output`.
  package init(
    _ program: FilePath, _ arguments: [String], environment: [String: String],
    directory: FilePath, output: OpenFile
  ) throws(LifeboatError) {
    let words = ([program.string] + arguments).map { strdup($0) } + [nil]
    let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in words + variables { free(pointer) } }
    let pid = clinux_spawn(program.string, words, variables, directory.string, output.descriptor)
    guard pid > 0 else {
      throw LifeboatError(.current, action: "start", path: program)
    }
    self.pid = pid
  }

  deinit { kill() }

  /// How it ended; nil while it is running.
  package var end: String? { reap(flags: WNOHANG) }

  /// Sends SIGKILL to it and its children, and waits.
  package func kill() {
    ending.withLock { end in
      // The process was not reaped, so the pid is still its own.
      if end == nil { _ = Glibc.kill(-pid, SIGKILL) }
    }
    _ = reap(flags: 0)
  }

  private func reap(flags: Int32) -> String? {
    ending.withLock { end in
      if let end { return end }
      var status: Int32 = 0
      var found: pid_t
      repeat { found = waitpid(pid, &status, flags) } while found < 0 && errno == EINTR
      guard found != 0 else { return nil }
      // Processes that it left in its group, for example a save child.
      _ = Glibc.kill(-pid, SIGKILL)
      let signal = status & 0x7f
      end =
        signal == 0 ? "it exited with \(status >> 8 & 0xff)" : "it was killed by signal \(signal)"
      return end
    }
  }
}
