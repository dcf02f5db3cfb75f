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

  /// Every call that changes files or names, without those that open or create.
  static let changing = [
    "write", "pwrite64", "writev", "pwritev", "ftruncate", "truncate", "fallocate", "rename",
    "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "mkdir", "mkdirat",
    "rmdir", "fsync", "fdatasync", "sync_file_range", "fchmod", "fchmodat", "fchown", "fchownat",
    "utimensat", "copy_file_range", "sendfile", "fsetxattr", "setxattr",
  ].joined(separator: ",")
  static let opening = "openat"

  struct Call: Sendable {
    var thread: Substring
    /// The call, and its file without the part of a temporary name that is another one each time. Nil if it does
    /// not touch the directory.
    var words: String?
  }

  /// - Parameters:
  ///   - calls: which are counted.
  ///   - killAt: the number of the call of one thread, from 1, at which all of the process is killed before the
  ///     call does anything.
  static func arguments(_ calls: String, killAt number: Int?, to trace: String) -> [String] {
    ["-f", "-qq", "-y", "-s", "200", "-o", trace, "-e", "trace=" + calls]
      + (number.map { ["-e", "inject=\(calls):signal=SIGKILL:when=\($0)"] } ?? [])
  }

  /// The calls of a trace, in order, with those that a kill cut off.
  static func calls(_ text: String, below directory: String) -> [Call] {
    text.split(separator: "\n").compactMap { line in
      // The number of the thread is padded.
      let thread = line.prefix { $0 != " " }
      let text = line.dropFirst(thread.count).drop { $0 == " " }
      guard let name = text.split(separator: "(").first,
        name.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "_" })
      else { return nil }
      guard let place = text.split(separator: "<").first(where: { $0.hasPrefix(directory) })
      else {
        return Call(thread: thread, words: nil)
      }
      let path = place.prefix { $0 != ">" }.dropFirst(directory.utf8.count)
      let quoted = name.hasPrefix("pwrite") ? [] : text.split(separator: "\"")
      let file = quoted.count > 1 ? quoted[1] : ""
      return Call(thread: thread, words: "\(name) \(stable(path)) \(stable(file))")
    }
  }

  private static func stable(_ name: Substring) -> String {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    return parts.map { $0.hasPrefix(".lifeboat-tmp-") ? ".lifeboat-tmp" : String($0) }
      .joined(separator: "/")
  }
}
