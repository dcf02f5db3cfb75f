import Glibc
import Synchronization

/// Kills the process groups that this process leaves behind, however it ends.
///
/// `PR_SET_PDEATHSIG` is out of reach of `posix_spawn`, and an `atexit` handler is not run when the
/// test process crashes or is killed. So a shell reads from a socket that only this process holds
/// open, is told of each child, and kills what remains when the stream ends.
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

  /// Forgets a group. Called before its leader is waited for: afterwards the number may be reused.
  static func forget(_ group: pid_t) {
    control.withLock { end in
      if let end { tell(end, "- \(group)\n") }
    }
  }

  /// Best effort: a reaper that is gone only matters if this process is killed later, too.
  private static func tell(_ descriptor: Int32, _ line: String) {
    let bytes = Array(line.utf8)
    _ = send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  private static func start() throws -> Int32 {
    var ends: [Int32] = [0, 0]
    // Not a pipe: a test process must keep SIGPIPE as the code under test expects it.
    guard socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0 else {
      throw HarnessError.last("socketpair")
    }
    // Children of others must not hold it open.
    _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
    _ = try spawnProcess(
      "/bin/sh", ["-c", script], environment: [:], directory: nil,
      descriptors: [.descriptor(ends[0]), .null, .null])
    close(ends[0])
    return ends[1]
  }
}
