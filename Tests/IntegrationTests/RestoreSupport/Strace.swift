import Glibc
import TestSupport

/// strace, which counts the system calls of a program and kills it at one of them.
enum Strace {
  static let path = "/usr/bin/strace"

  /// Whether it is installed, and the kernel lets it trace.
  static let works: Bool = {
    guard access(path, X_OK) == 0,
      let child = try? ChildProcess(path, ["-f", "-o", "/dev/null", "/bin/true"])
    else { return false }
    // It has nothing to wait for.
    for _ in 0..<3000 {
      if let end = child.end { return end == .exited(0) }
      usleep(10_000)
    }
    return false
  }()

  /// Every call that changes files or names, and `openat`, which may create one.
  private static let changing = [
    "openat", "write", "pwrite64", "writev", "pwritev", "ftruncate", "truncate", "fallocate",
    "rename",
    "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat",
    "mkdir",
    "mkdirat", "rmdir", "fsync", "fdatasync", "sync_file_range", "fchmod", "fchmodat", "fchown",
    "fchownat", "utimensat", "copy_file_range", "sendfile", "fsetxattr", "setxattr",
  ].joined(separator: ",")

  struct Call: Sendable {
    var thread: Substring
    var name: String
    /// The name, and the first file that it has as an argument.
    var words: String
    var changesTheDisk: Bool
  }

  /// - Parameter killAt: the number of the call of one thread, from 1, at which all of the process is killed
  ///   before the call does anything.
  static func arguments(
    below directory: String, _ places: [String], killAt number: Int?, to trace: String
  ) -> [String] {
    ["-f", "-qq", "-o", trace, "-e", "trace=" + changing]
      + places.flatMap { ["-P", directory + $0] }
      + (number.map { ["-e", "inject=\(changing):signal=SIGKILL:when=\($0)"] } ?? [])
  }

  /// The calls of a trace, in order, without those that end later and with those that a kill cut off.
  static func calls(_ text: String) -> [Call] {
    text.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: " ", maxSplits: 1)
      guard parts.count == 2, let name = parts[1].split(separator: "(").first,
        name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
      else { return nil }
      let quoted = parts[1].split(separator: "\"", omittingEmptySubsequences: false)
      // A temporary name is another one each time.
      let file =
        quoted.count > 1 ? String(quoted[1].prefix { $0 != "-" || !quoted[1].contains("tmp") }) : ""
      return Call(
        thread: parts[0], name: String(name), words: "\(name) \(file)",
        changesTheDisk: name != "openat" || parts[1].contains("O_CREAT"))
    }
  }
}
