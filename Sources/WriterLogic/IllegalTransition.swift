import BackupTypes

/// A change of state that must never happen. It traps in a debug build. In a release build the state stays
/// as it was, and the writer is blocked with the reason.
package struct IllegalTransition: Error, Sendable, Equatable {
  package let reason: String

  /// Whether a debug build traps. Tests of what a release build does switch it off.
  @TaskLocal package static var traps = true

  init(_ reason: String) {
    if IllegalTransition.traps { assertionFailure(reason) }
    self.reason = reason
  }

  var error: LifeboatError {
    LifeboatError(
      .failure, "internal error in shipping", cause: reason,
      hint: "please report this bug; shipping starts over with a fresh comparison")
  }
}
