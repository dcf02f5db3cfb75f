import CLinux
import Glibc
import SystemPackage

/// How the process uses its machine. All of this is best effort: a container's security profile may forbid
/// any of these calls, and Lifeboat works without them.
package enum ProcessTuning {
  /// Sets nice 10 and the idle I/O class for every thread. Threads that are made later inherit both. On Linux
  /// each call only affects one thread, so this goes through `/proc/self/task`.
  package static func beGentle() {
    for thread in threads() {
      _ = clinux_nice(thread, 10)
      _ = clinux_ioprio_idle(thread)
    }
  }

  /// Disables core dumps, because memory can contain keys and credentials.
  package static func disableCoreDumps() {
    _ = clinux_disable_dumps()
    var none = rlimit(rlim_cur: 0, rlim_max: 0)
    _ = setrlimit(__rlimit_resource_t(UInt32(RLIMIT_CORE.rawValue)), &none)
  }

  /// Returns blocks of 1 MiB and more to the system when they are freed, and uses one arena. With the default
  /// of eight per core, the memory that each thread once used would be kept. Call this before the first
  /// thread is made.
  package static func tuneAllocator() {
    _ = clinux_tune_malloc(1 << 20, 1 << 20, 1)
  }

  /// For a command that transfers much data and then exits. Freed blocks are reused, since clearing new pages
  /// takes longer than anything else that is done with a piece.
  package static func tuneAllocatorForBulk() {
    _ = clinux_tune_malloc(32 << 20, 16 << 20, 1)
  }

  /// Makes a write to a closed socket or pipe fail with EPIPE, instead of ending the process.
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
