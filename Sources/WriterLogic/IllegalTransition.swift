/// A change of state that must never happen. It traps in a debug build. In a release build the state stays
/// as it was, and the writer is blocked with the reason.
package struct IllegalTransition: Error, Sendable, Equatable {
  package var reason: String

  init(_ reason: String) {
    assertionFailure(reason)
    self.reason = reason
  }
}
