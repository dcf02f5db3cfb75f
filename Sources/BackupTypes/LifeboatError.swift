/// The exit codes of commands. `docs/scripting.md` is the contract.
package enum ExitCode: Int32, Sendable, CaseIterable {
  case success = 0
  /// Any other failure, including unshipped bytes at shutdown.
  case failure = 1
  case usage = 2
  /// There is provably no backup, or none at the requested time.
  case noBackup = 3
  /// The store can't be reached or denies access.
  case storeUnavailable = 4
  /// Corrupt, broken or inconsistent data.
  case corrupt = 5
  /// The data directory contains data, or another writer or source owns the repository.
  case refused = 6
  case noRoom = 7
  /// Wrong or missing key.
  case wrongKey = 8
  /// The newest state may be the result of an accident. The operator has to choose a state.
  case suspect = 9
  /// Written by, or meant for, an incompatible version.
  case versionMismatch = 10
  case interrupted = 130
  case terminated = 143
}

/// The only error type: what happened, to what, why, and what the operator can do.
package struct LifeboatError: Error, Sendable {
  /// The exit code of a command that ends with this error. It is also the error's class.
  package var code: ExitCode
  /// What happened, and to what, as a sentence without its full stop: `can't read /data/dump.rdb`.
  package var message: String
  /// Why it happened, if the message does not say so: the text of the operating system or a library.
  package var cause: String?
  /// What the operator can do.
  package var hint: String?
  /// Whether the same call may succeed later without any change. Only one layer retries.
  package var isRetryable: Bool
  /// Whether the store, or the service that issues its credentials, denies access, so that someone has to
  /// grant it.
  package var isDenied = false
  /// The missing object, which a listing had or another object names.
  package var missingObject: String?

  package init(
    _ code: ExitCode, _ message: String, cause: String? = nil, hint: String? = nil,
    isRetryable: Bool = false
  ) {
    self.code = code
    self.message = message
    self.cause = cause
    self.hint = hint
    self.isRetryable = isRetryable
  }

  package func denied(_ isDenied: Bool = true) -> LifeboatError {
    var copy = self
    copy.isDenied = isDenied
    return copy
  }

  package func adding(hint: String) -> LifeboatError {
    var copy = self
    copy.hint = copy.hint ?? hint
    return copy
  }
}

extension LifeboatError {
  /// Any error as text for a person. An error of another type is a bug in Lifeboat or in a library. Swift's
  /// description of it would not help an operator.
  package init(wording error: any Error) {
    if let known = error as? LifeboatError {
      self = known
    } else if error is CancellationError {
      self.init(.failure, "interrupted")
    } else {
      self.init(
        .failure, "unexpected error",
        hint: "please report this bug, with the command that was run")
    }
  }

  /// Message and cause on one line, for places that show the remedy separately.
  package var inOneLine: String { message + (cause.map { ": " + $0 } ?? "") }
}

extension LifeboatError: CustomStringConvertible {
  package var description: String {
    inOneLine + (hint.map { "\n  what to do: " + $0 } ?? "")
  }
}
