package import BackupTypes
package import SystemPackage

// This file decides what each error number means for an operator; see errno(3). The calls themselves only
// decide which numbers are results and not errors: ENOENT if the file may be absent, EEXIST if a creation is
// exclusive.

extension LifeboatError {
  /// The error for a failed system call.
  ///
  /// - Parameters:
  ///   - number: the value of `errno` after the call.
  ///   - action: what was attempted, as the words after "can't": `read`, `create`.
  ///   - path: the object.
  package init(_ number: Errno, action: String, path: FilePath) {
    self.init(number, action: action, object: printable(path.description))
  }

  /// As above, for an object that is not a path. Its text must be safe to print.
  package init(_ number: Errno, action: String, object: String) {
    let meaning = Meaning(number)
    self.init(
      meaning.code, "can't \(action) \(object)", cause: number.description, hint: meaning.hint,
      isRetryable: meaning.isRetryable)
    isDenied = number == .permissionDenied || number == .notPermitted
  }
}

/// The system's text for an error number from another library.
package func systemWords(of number: Int32) -> String { Errno(rawValue: number).description }

private struct Meaning {
  var code = ExitCode.failure
  var hint: String?
  var isRetryable = false

  init(_ number: Errno) {
    switch number {
    case .noSpace:
      (code, hint) = (.noRoom, "the file system is full: free space or inodes, or enlarge it")
    case .diskQuotaExceeded:
      (code, hint) = (.noRoom, "the disk quota is used up: free space or raise the quota")
    case .permissionDenied:
      hint =
        "check the owner and mode of the path and of every directory above it, and the user this"
        + " process runs as (runAsUser, fsGroup)"
    case .notPermitted:
      hint =
        "check the owner of the file and the user this process runs as; a security profile can"
        + " forbid the call too"
    case .readOnlyFileSystem:
      hint = "the file system is mounted read-only: mount it writable, or use another directory"
    case .noSuchFileOrDirectory, .notDirectory:
      hint = "check the path, and that the volume is mounted"
    case .tooManyOpenFiles, .tooManyOpenFilesInSystem:
      (hint, isRetryable) = ("raise the limit of open files (ulimit -n)", true)
    case .tooManySymbolicLinkLevels:
      code = .corrupt
      hint = "there is a symbolic link instead of a file; it is not followed"
    case .fileNameTooLong:
      code = .usage
    case .ioError:
      (hint, isRetryable) = ("the device or network file system failed; see the kernel's log", true)
    case .resourceBusy:
      // EBUSY of a rename or a removal, see rename(2).
      hint = "it is a mount point, or a program uses it: unmount it, or stop that program"
      isRetryable = true
    case .improperLink:
      hint = "the two are on different file systems: check what is mounted below the directory"
    case .staleNFSFileHandle, .interrupted, .resourceTemporarilyUnavailable, .noMemory, .timedOut:
      isRetryable = true
    default:
      break
    }
  }
}

/// Calls `call` again as long as a signal interrupts it. A successful result is not negative.
///
/// Never use this for close(2): on Linux the descriptor is closed even if close returns EINTR.
func retryingInterrupts<Value: SignedInteger>(_ call: () -> Value) -> Result<Value, Errno> {
  while true {
    let value = call()
    if value >= 0 { return .success(value) }
    let number = Errno.current
    if number != .interrupted { return .failure(number) }
  }
}
