import CLinux
import Glibc
import SystemPackage

/// How the process behaves towards its machine. All of it is best effort: a container's security
/// profile may forbid any of these calls, and Lifeboat works without them.
package enum ProcessTuning {
  /// Puts every thread at nice 10 and into the idle I/O class; threads made later inherit both.
  /// On Linux either call reaches one thread only, so all of `/proc/self/task` are visited.
  package static func beGentle() {
    for thread in threads() {
      _ = clinux_nice(thread, 10)
      _ = clinux_ioprio_idle(thread)
    }
  }

  /// No core dumps: memory can hold keys and credentials.
  package static func disableCoreDumps() {
    _ = clinux_disable_dumps()
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    _ = setrlimit(__rlimit_resource_t(UInt32(RLIMIT_CORE.rawValue)), &none)
  }

  /// Blocks of 1 MiB and more go back to the system when freed, and there is one arena: the default of
  /// eight a core keeps what each thread once used. To be called before the first thread is made.
  package static func tuneAllocator() {
    _ = clinux_tune_malloc(1 << 20, 1 << 20, 1)
  }

  /// For a command that moves much and ends: freed blocks are handed out again, since clearing new
  /// pages takes longer than anything else that is done with a piece.
  package static func tuneAllocatorForBulk() {
    _ = clinux_tune_malloc(32 << 20, 16 << 20, 1)
  }

  /// A write to a closed socket or pipe then fails with EPIPE and doesn't end the process.
  package static func ignoreBrokenPipes() {
    _ = signal(SIGPIPE, SIG_IGN)
  }

  private static func threads() -> [pid_t] {
    guard let entries = try? OpenDirectory(FilePath("/proc/self/task")).entries() else {
      return [0]
    }
    return entries.compactMap { pid_t($0.name) }
  }
}
