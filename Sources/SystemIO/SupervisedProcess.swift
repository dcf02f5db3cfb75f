package import BackupTypes
import CLinux
import Glibc
import Synchronization
package import SystemPackage

/// A program that this process runs for a while, in a group of its own. It ends with this object, and
/// with this process however that ends: the kernel kills it.
package final class SupervisedProcess: Sendable {
  package let pid: Int32
  private let ending = Mutex<String?>(nil)

  /// Starts `program`, a path. Its environment is exactly the one given; what it writes goes to `output`.
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

  /// How it ended; nil while it runs.
  package var end: String? { reap(flags: WNOHANG) }

  /// SIGKILL to it and to what it started, and waits.
  package func kill() {
    ending.withLock { end in
      // Not reaped, so the number is still its own.
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
      // What it left in its group, a save child for one.
      _ = Glibc.kill(-pid, SIGKILL)
      let signal = status & 0x7f
      end =
        signal == 0 ? "it exited with \(status >> 8 & 0xff)" : "it was killed by signal \(signal)"
      return end
    }
  }
}
