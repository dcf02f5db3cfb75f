/// A `lifeboat restore`, or an `unpin`, of one repository, to be copied into a shell.
package struct RestoreCommand: Sendable, Hashable {
  /// What `--repo` was given.
  package var repository: String
  package var isEncrypted: Bool

  package init(repository: String, isEncrypted: Bool) {
    self.repository = repository
    self.isEncrypted = isEncrypted
  }

  /// Up to where the point is named.
  package var head: String { "lifeboat restore --repo \(shellQuoted(repository))" }
  /// Behind it.
  package var tail: String { key + " --data DIR" }
  /// - Parameter point: `--at …`, `--point …`, or nothing for the newest.
  package func line(_ point: String = "") -> String {
    head + (point.isEmpty ? "" : " " + point) + tail
  }

  /// - Parameter pin: its id.
  package func unpin(_ pin: String) -> String {
    "lifeboat unpin --repo \(shellQuoted(repository))\(key) \(pin)"
  }

  private var key: String { isEncrypted ? " --encryption-key-file KEYFILE" : "" }
}

/// One word for a POSIX shell, whatever is in it.
package func shellQuoted(_ text: String) -> String {
  "'" + text.replacing("'", with: "'\\''") + "'"
}
