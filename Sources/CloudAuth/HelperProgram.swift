import BackupTypes
import Glibc
import SystemIO

/// Runs a program until it ends, and keeps its output. Blocks.
///
/// Its standard output is a pipe; standard input and standard error are /dev/null. It gets no other
/// descriptors, except those that a library opened without close-on-exec.
struct HelperProgram: Sendable {
  struct Result: Sendable {
    var output: [UInt8]
    /// 0 for success; 128 plus its number for a signal.
    var status: Int32
    var ending: String
  }

  /// The program, found on PATH unless it holds a "/", and its arguments.
  let words: [String]
  let environment: [String: String]

  /// - Throws: if it can't be started, prints too much, or does not end in time and is killed.
  func run(outputBytesMax: Int, timeLimit: Duration) throws -> Result {
    var ends: [Int32] = [0, 0]
    guard pipe(&ends) == 0 else { throw failure("can't make a pipe", errno) }
    // Between the call of pipe and this one, another thread may start a program that keeps the write end
    // open. We then wait until the time limit.
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    defer { close(ends[0]) }
    let pid: pid_t
    do {
      defer { close(ends[1]) }
      pid = try spawn(output: ends[1])
    }
    let deadline = SystemClock.monotonicMilliseconds() + timeLimit.components.seconds * 1000
    let output: [UInt8]
    do {
      output = try read(ends[0], limit: outputBytesMax, deadline: deadline)
    } catch {
      kill(-pid, SIGKILL)
      _ = wait(pid)
      throw error
    }
    return finish(pid, output, deadline)
  }

  private func finish(_ pid: pid_t, _ output: [UInt8], _ deadline: Int64) -> Result {
    var status: Int32?
    while status == nil, SystemClock.monotonicMilliseconds() < deadline {
      var value: Int32 = 0
      if waitpid(pid, &value, WNOHANG) == pid { status = value } else { usleep(2000) }
    }
    if status == nil {
      kill(-pid, SIGKILL)
      status = wait(pid)
    }
    let signal = status! & 0x7f
    let code = status! >> 8 & 0xff
    return Result(
      output: output, status: signal == 0 ? code : 128 + signal,
      ending: signal == 0 ? "it exited with \(code)" : "signal \(signal)")
  }

  private func wait(_ pid: pid_t) -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return status
  }

  private func read(_ descriptor: Int32, limit: Int, deadline: Int64) throws -> [UInt8] {
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let left = deadline - SystemClock.monotonicMilliseconds()
      var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard left > 0, poll(&entry, 1, Int32(clamping: left)) != 0 else {
        throw credentialFailure(
          "the program \(printable(words[0])) does not finish", cause: "it was killed",
          isRetryable: true)
      }
      let count = Glibc.read(descriptor, &buffer, buffer.count)
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw failure("can't read from \(words[0])", errno) }
      if count == 0 { return output }
      output += buffer[..<count]
      guard output.count <= limit else {
        throw credentialFailure("the program \(printable(words[0])) prints too much")
      }
    }
  }

  private func spawn(output: Int32) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigfillset(&signals)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    // Its own process group, so that its children can be killed with it.
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes,
      Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
    let arguments = words.map { strdup($0) } + [nil]
    let variables = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for pointer in arguments + variables { free(pointer) } }
    var pid: pid_t = 0
    let number = posix_spawnp(&pid, words[0], &actions, &attributes, arguments, variables)
    guard number == 0 else { throw failure("can't start \(words[0])", number) }
    return pid
  }

  private func failure(_ message: String, _ number: Int32) -> LifeboatError {
    credentialFailure(
      printable(message), cause: String(cString: strerror(number)),
      hint: "check the command and its permissions; the image may not contain the program")
  }
}
