import Glibc
import TestSupport

/// Runs strace, which counts the system calls of a program and kills it at one of them.
enum Strace {
  static let path = "/usr/bin/strace"

  /// Whether strace is installed and the kernel lets it trace.
  static let works: Bool = {
    guard access(path, X_OK) == 0,
      let child = try? ChildProcess(path, ["-f", "-o", "/dev/null", "/bin/true"])
    else { return false }
    // There is no event to wait for.
    for _ in 0..<3000 {
      if let end = child.end { return end == .exited(0) }
      usleep(10_000)
    }
    return false
  }()

  /// Every call that changes files or names, and `openat`, which may create one.
  private static let calls = [
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
    /// The call and its file, without the random part of temporary names. Nil if the call does not change the
    /// directory.
    var words: String?
  }

  /// A call of a thread, for example its first `unlinkat` or its third `fsync`. strace counts each kind of
  /// call per thread.
  struct Moment: Sendable, Hashable, Comparable {
    var call: String
    var number: Int
    static func < (a: Moment, b: Moment) -> Bool { (a.call, a.number) < (b.call, b.number) }
  }

  /// - Parameter moment: when all of the process is killed, before the call does anything.
  static func arguments(killAt moment: Moment?, to trace: String) -> [String] {
    ["-f", "-qq", "-y", "-s", "200", "-o", trace, "-e", "trace=" + calls]
      + (moment.map { ["-e", "inject=\($0.call):signal=SIGKILL:when=\($0.number)"] } ?? [])
  }

  /// The moments of the calls that change the directory.
  static func moments(_ trace: [Call]) -> [Moment] {
    var numbers: [Substring: [String: Int]] = [:]
    var found: Set<Moment> = []
    for call in trace {
      let number = numbers[call.thread, default: [:]][call.name, default: 0] + 1
      numbers[call.thread, default: [:]][call.name] = number
      if call.words != nil { found.insert(Moment(call: call.name, number: number)) }
    }
    return found.sorted()
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
      guard name != "openat" || text.contains("O_CREAT"),
        let place = text.split(separator: "<").first(where: { $0.hasPrefix(directory) })
      else {
        return Call(thread: thread, name: String(name), words: nil)
      }
      let path = place.prefix { $0 != ">" }.dropFirst(directory.utf8.count)
      let quoted = name.hasPrefix("pwrite") ? [] : text.split(separator: "\"")
      let file = quoted.count > 1 ? quoted[1] : ""
      return Call(
        thread: thread, name: String(name), words: "\(name) \(stable(path)) \(stable(file))")
    }
  }

  private static func stable(_ name: Substring) -> String {
    let parts = name.split(separator: "/", omittingEmptySubsequences: false)
    return parts.map { $0.hasPrefix(".lifeboat-tmp-") ? ".lifeboat-tmp" : String($0) }
      .joined(separator: "/")
  }
}
