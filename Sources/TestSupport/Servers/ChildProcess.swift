import Glibc
import Synchronization

/// How a process ended.
package enum ProcessEnd: Hashable, Sendable, CustomStringConvertible {
  case exited(Int32)
  case signalled(Int32)

  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7f
    self = signal == 0 ? .exited(waitStatus >> 8 & 0xff) : .signalled(signal)
  }

  package var description: String {
    switch self {
    case .exited(let code): "exit \(code)"
    case .signalled(let signal): "signal \(signal)"
    }
  }
}

/// What an exited process used.
package struct ResourceUsage: Sendable {
  package var userSeconds: Double
  package var systemSeconds: Double
  /// The largest resident set, but at least what the test process held when it started the child, because
  /// exec passes on the high-water mark. To check a memory limit, read `residentPeakBytes` while the child
  /// runs.
  package var peakBytes: Int
}

/// A process in a group of its own. It ends with this object and with this process.
package final class ChildProcess: Sendable {
  package let pid: Int32
  /// The command line, for messages.
  package let commandLine: String
  private let state = Mutex(State())

  private struct State {
    var end: ProcessEnd?
    var usage: ResourceUsage?
  }

  /// `executable` is a path. The environment is exactly the one given.
  package init(
    _ executable: String, _ arguments: [String] = [],
    environment: [String: String] = ChildProcess.minimalEnvironment, directory: String? = nil,
    input: ChildStream = .null, output: ChildStream = .null, errors: ChildStream = .null
  ) throws {
    pid = try Reaper.register {
      try spawnProcess(
        executable, arguments, environment: environment, directory: directory,
        descriptors: [input, output, errors])
    }
    commandLine = ([executable] + arguments).joined(separator: " ")
  }

  deinit {
    signal(SIGKILL)
    _ = reap(flags: 0)
  }

  /// Only PATH, HOME and TMPDIR of this process, so no credentials of a developer.
  package static var minimalEnvironment: [String: String] {
    var environment: [String: String] = [:]
    for name in ["PATH", "HOME", "TMPDIR"] {
      environment[name] = getenv(name).map { String(cString: $0) }
    }
    return environment
  }

  /// How it ended; nil while it is running.
  package var end: ProcessEnd? { reap(flags: WNOHANG) }
  package var isRunning: Bool { end == nil }
  /// nil while it is running.
  package var usage: ResourceUsage? { state.withLock { $0.usage } }

  /// The largest resident set of this program so far (VmHWM); nil if it has ended.
  package var residentPeakBytes: Int? {
    guard let status = try? TestFiles.text("/proc/\(pid)/status") else { return nil }
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line?.split { $0 == " " || $0 == "\t" }.dropFirst().first.flatMap { Int($0) }
      .map { $0 * 1024 }
  }

  /// Sends a signal to this process only. Does nothing if it has ended.
  package func signal(_ number: Int32) { send(number, to: pid) }

  private func send(_ number: Int32, to target: pid_t) {
    state.withLock { state in
      // The process was not reaped, so the pid is still its own.
      if state.end == nil { _ = Glibc.kill(target, number) }
    }
  }

  /// Waits until it has ended. Throws after `deadline` seconds and leaves it running.
  @discardableResult
  package func wait(deadline: Double = 60) async throws -> ProcessEnd {
    try await eventually(deadline: deadline, "end of \(commandLine)") { end != nil }
    return end!
  }

  /// Sends SIGKILL to the whole group, as when a container dies, and waits until all of its processes are
  /// gone.
  @discardableResult
  package func kill() -> ProcessEnd {
    send(SIGKILL, to: -pid)
    let end = reap(flags: 0)!
    // The leader's children belong to init now. A save child may still be in its last write. Waits at most
    // ten seconds, in case a dead disk blocks it.
    for _ in 0..<10_000 where groupRuns(pid) { usleep(1000) }
    return end
  }

  private func reap(flags: Int32) -> ProcessEnd? {
    state.withLock { state in
      if let end = state.end { return end }
      // First without reaping it, so that the group is forgotten while its number can't be reused.
      var information = siginfo_t()
      guard waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT | flags) == 0,
        information.si_signo != 0
      else { return nil }
      _ = Glibc.kill(-pid, SIGKILL)  // What it left in its group, say a save child.
      Reaper.forget(pid)
      var status: Int32 = 0
      var used = rusage()
      wait4(pid, &status, 0, &used)
      state.end = ProcessEnd(waitStatus: status)
      state.usage = ResourceUsage(used)
      return state.end
    }
  }
}

extension ResourceUsage {
  fileprivate init(_ used: rusage) {
    func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
    self.init(
      userSeconds: seconds(used.ru_utime), systemSeconds: seconds(used.ru_stime),
      peakBytes: Int(used.ru_maxrss) * 1024)
  }
}
