import Glibc
import Synchronization

/// Kills the process groups that this process leaves behind, however it ends.
///
/// `posix_spawn` can't set `PR_SET_PDEATHSIG`, and an `atexit` handler does not run if the test process
/// crashes or is killed. So a shell reads from a socket that only this process holds open. It learns of each
/// child, and when the stream ends, it kills the remaining ones.
enum Reaper {
  private static let control = Mutex<Int32?>(nil)

  private static let script = """
    left=; while read -r sign group; do case $sign in
    +) left="$left $group" ;;
    *) rest=; for one in $left; do [ "$one" = "$group" ] || rest="$rest $one"; done; left=$rest ;;
    esac; done
    for one in $left; do kill -s KILL -- "-$one"; done
    """

  /// Runs `spawn`, which starts the leader of a group, and remembers the group.
  static func register(_ spawn: () throws -> pid_t) throws -> pid_t {
    try control.withLock { end in
      let descriptor = try end ?? start()
      end = descriptor
      let group = try spawn()
      tell(descriptor, "+ \(group)\n")
      return group
    }
  }

  /// Forgets a group. Call this before waiting for its leader, because the number may be reused afterwards.
  static func forget(_ group: pid_t) {
    control.withLock { end in
      if let end { tell(end, "- \(group)\n") }
    }
  }

  /// Best effort: a missing reaper only matters if this process is also killed later.
  private static func tell(_ descriptor: Int32, _ line: String) {
    let bytes = Array(line.utf8)
    _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  private static func start() throws -> Int32 {
    var ends: [Int32] = [0, 0]
    // Not a pipe, so that the test process can keep SIGPIPE as the code under test expects it.
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
      throw HarnessError.last("socketpair")
    }
    // Other children must not inherit it.
    _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
    _ = try spawnProcess(
      "/bin/sh", ["-c", script], environment: [:], directory: nil,
      descriptors: [.descriptor(ends[0]), .null, .null])
    close(ends[0])
    return ends[1]
  }
}
