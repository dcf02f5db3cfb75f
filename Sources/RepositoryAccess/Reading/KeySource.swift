package import BackupFormat
package import BackupTypes
import SystemIO
import SystemPackage

/// Where the key of an encrypted repository comes from: a file, or the environment.
///
/// The file is read each time a repository is opened, and not before. A restore with nothing to do
/// therefore needs no key, and a sidecar continues without a restart once its Secret is fixed.
package struct KeySource: Sendable {
  /// The key itself. There is no flag for it: every user of a machine sees the arguments of every process.
  package static let variable = "LIFEBOAT_ENCRYPTION_KEY"
  private static let flag = "--encryption-key-file"
  /// The key of a copy, see `Copier`.
  package static let copyVariable = "LIFEBOAT_TO_ENCRYPTION_KEY"
  private static let copyFlag = "--to-encryption-key-file"
  /// Much more than a key, so that another file given by mistake can be reported as such.
  private static let bytesMax = 64 << 10
  /// No key, for a repository that is not encrypted.
  package static let none = KeySource(file: nil, value: nil)

  private let file: String?
  private let value: Result<EncryptionKey, LifeboatError>?
  private let isCopys: Bool

  /// - Parameters:
  ///   - file: the value of `--encryption-key-file`.
  ///   - value: the value of `LIFEBOAT_ENCRYPTION_KEY`. Only the key, or the reason why there is none, is
  ///     kept.
  ///   - isCopys: it is the key of a copy, with names of its own.
  package init(file: String?, value: String?, isCopys: Bool = false) {
    self.file = file
    self.isCopys = isCopys
    self.value = value.map { value in
      Result { () throws(LifeboatError) in
        try EncryptionKey(
          parsing: Array(value.utf8),
          origin: isCopys ? KeySource.copyVariable : KeySource.variable)
      }
    }
  }

  private var flag: String { isCopys ? KeySource.copyFlag : KeySource.flag }
  private var variable: String { isCopys ? KeySource.copyVariable : KeySource.variable }

  package var isGiven: Bool { file != nil || value != nil }

  /// The key; nil if none was given. A key that was given and can't be used is an error, never nil:
  /// otherwise an unencrypted repository would be created.
  package func read() throws(LifeboatError) -> EncryptionKey? {
    var found: EncryptionKey?
    if let file { found = try read(file) }
    guard let other = try value?.get() else { return found }
    guard found == nil || found == other else {
      throw LifeboatError(
        .usage, "\(flag) and \(variable) contain different keys",
        hint: "set only one of them, with the repository's key")
    }
    return other
  }

  private func read(_ file: String) throws(LifeboatError) -> EncryptionKey {
    guard !EncryptionKey.isLikely(file) else {
      throw LifeboatError(
        .usage, "\(flag) needs the path of a file, not the key itself",
        cause: "other users can see the arguments of a process",
        hint: "write the key to a file; if others use this machine, create a new key")
    }
    guard !file.isEmpty else {
      throw LifeboatError(
        .wrongKey, "\(flag) is empty", hint: "pass the path of the file that contains the key")
    }
    let name = "the key file \(printable(file))"
    let content: [UInt8]
    do throws(LifeboatError) {
      let opened = try OpenFile(reading: FilePath(file), links: .follow)
      guard try opened.status().kind == .regular else {
        throw LifeboatError(
          .wrongKey, "it is not a regular file", hint: "it is read more than once")
      }
      content = try opened.readAll(limit: KeySource.bytesMax)
    } catch {
      throw LifeboatError(
        .wrongKey, "can't read \(name)", cause: error.cause ?? error.message,
        hint: error.hint ?? "check the path, and that the Secret is mounted")
    }
    return try EncryptionKey(parsing: content, origin: name)
  }

  /// What is insecure about the key file; nil if nothing is, or if the file can't be examined.
  package func warning() -> String? {
    guard let file, !EncryptionKey.isLikely(file),
      let status = try? OpenFile(reading: FilePath(file), links: .follow).status(),
      KeySource.isExposed(mode: status.mode, owner: status.owner)
    else { return nil }
    return "the key file \(printable(file)) can be read by every user of this machine: chmod 600"
  }

  /// Whether others than its owner's group can read a file. A file that belongs to root is not reported:
  /// Kubernetes mounts a Secret in this way, into a container without other users.
  package static func isExposed(mode: UInt32, owner: UInt32) -> Bool {
    mode & 0o004 != 0 && owner != 0
  }
}
