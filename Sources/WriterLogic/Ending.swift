/// How writing under a claim ends.
package enum Ending: Sendable {
  /// A stop was requested, and nothing is left to do, or the time is up.
  case stopped
  /// Another shipper claimed.
  case superseded(String)
  /// The files on disk no longer continue what was shipped, or may be the result of an accident. The next
  /// claim begins at the common position.
  case diverged(String)
  /// Something could not be read or written.
  case failed(any Error)
}
