/// A `lifeboat restore` or `unpin` command for one repository, to copy into a shell.
package struct RestoreCommand: Sendable, Hashable {
  /// The value of `--repo`.
  package var repository: String
  package var isEncrypted: Bool

  package init(repository: String, isEncrypted: Bool) {
    self.repository = repository
    self.isEncrypted = isEncrypted
  }

  /// The part before the restore point.
  package var head: String { "lifeboat restore --repo \(shellQuoted(repository))" }
  /// The part after the restore point.
  package var tail: String { key + " --data DIR" }
  /// - Parameter point: `--at …`, `--point …`, or nothing for the newest.
  package func line(_ point: String = "") -> String {
    head + (point.isEmpty ? "" : " " + point) + tail
  }

  /// - Parameter pin: the id of the pin.
  package func unpin(_ pin: String) -> String {
    "lifeboat unpin --repo \(shellQuoted(repository))\(key) \(pin)"
  }

  package var inspect: String { "lifeboat inspect --repo \(shellQuoted(repository))\(key)" }

  package var verify: String { "lifeboat verify --repo \(shellQuoted(repository))\(key)" }

  private var key: String { isEncrypted ? " --encryption-key-file KEYFILE" : "" }
}

/// The text as one word for a POSIX shell, whatever it contains.
package func shellQuoted(_ text: String) -> String {
  "'" + text.replacing("'", with: "'\\''") + "'"
}
