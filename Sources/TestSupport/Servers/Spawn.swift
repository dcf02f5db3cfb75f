import Glibc

/// What one of a child's three standard descriptors is connected to.
package enum ChildStream: Sendable {
  case null
  /// The descriptor of this process with the same number.
  case inherited
  /// A file. It is read for standard input, otherwise it is created and appended to.
  case file(String)
  /// A copy of a descriptor of this process, which the caller keeps and closes.
  case descriptor(Int32)
}

/// Starts a process as the leader of a group of its own. It gets only the three given descriptors. No signal
/// is blocked or ignored. Does not wait.
func spawnProcess(
  _ executable: String, _ arguments: [String], environment: [String: String], directory: String?,
  descriptors: [ChildStream]
) throws -> pid_t {
  var actions = posix_spawn_file_actions_t()
  posix_spawn_file_actions_init(&actions)
  defer { posix_spawn_file_actions_destroy(&actions) }
  for (number, stream) in descriptors.enumerated() {
    add(stream, as: Int32(number), to: &actions)
  }
  _ = addCloseFrom(&actions, 3)
  if let directory { _ = addChangeDirectory(&actions, directory) }

  var attributes = posix_spawnattr_t()
  posix_spawnattr_init(&attributes)
  defer { posix_spawnattr_destroy(&attributes) }
  var signals = sigset_t()
  sigemptyset(&signals)
  posix_spawnattr_setsigmask(&attributes, &signals)
  sigfillset(&signals)
  posix_spawnattr_setsigdefault(&attributes, &signals)
  posix_spawnattr_setpgroup(&attributes, 0)
  posix_spawnattr_setflags(
    &attributes,
    Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))

  let argv = ([executable] + arguments).map { strdup($0) } + [nil]
  let environ =
    environment.sorted { $0.key < $1.key }.map { strdup("\($0.key)=\($0.value)") } + [nil]
  defer { for pointer in argv + environ { free(pointer) } }
  var pid: pid_t = 0
  let failure = posix_spawn(&pid, executable, &actions, &attributes, argv, environ)
  guard failure == 0 else {
    errno = failure
    throw HarnessError.last("can't start \(executable)")
  }
  return pid
}

// The Glibc module lacks this function. glibc has it since 2.34, which is older than Debian 12.
private let addCloseFrom = glibcFunction(
  "posix_spawn_file_actions_addclosefrom_np",
  as: (@convention(c) (UnsafeMutablePointer<posix_spawn_file_actions_t>, Int32) -> Int32).self)
private let addChangeDirectory = glibcFunction(
  "posix_spawn_file_actions_addchdir_np",
  as: (@convention(c) (
    UnsafeMutablePointer<posix_spawn_file_actions_t>, UnsafePointer<CChar>
  ) -> Int32).self)

private func glibcFunction<Function>(_ name: String, as type: Function.Type) -> Function {
  guard let address = dlsym(nil, name) else { preconditionFailure("glibc lacks \(name)") }
  return unsafeBitCast(address, to: type)
}

private func add(
  _ stream: ChildStream, as number: Int32, to actions: inout posix_spawn_file_actions_t
) {
  let flags = number == 0 ? O_RDONLY : O_WRONLY | O_CREAT | O_APPEND
  switch stream {
  case .inherited: break
  case .null: posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0)
  case .file(let path): posix_spawn_file_actions_addopen(&actions, number, path, flags, 0o644)
  case .descriptor(let other): posix_spawn_file_actions_adddup2(&actions, other, number)
  }
}

/// Whether a member of the group is still running. A process that has ended but was not reaped does not
/// count. In a container, the parent may be an init that never reaps.
func groupRuns(_ group: pid_t) -> Bool {
  guard kill(-group, 0) == 0 else { return false }
  return TestFiles.list("/proc").contains { name in
    guard Int(name) != nil, let text = try? TestFiles.text("/proc/\(name)/stat"),
      let nameEnd = text.lastIndex(of: ")")
    else { return false }
    // After the name: state, parent, group; see proc(5).
    let fields = text[nameEnd...].split(separator: " ")
    return fields.count > 3 && fields[3] == "\(group)" && fields[1] != "Z" && fields[1] != "X"
  }
}
