package import BackupFormat
package import BackupTypes
import SystemIO
import SystemPackage

/// Where the key of an encrypted repository is given: a file, or the environment.
///
/// The file is read whenever a repository is opened, and not before: a restore that has nothing to do
/// needs no key, and a sidecar whose Secret was mended goes on without a restart.
package struct KeySource: Sendable {
  /// The key itself. There is no flag for it: every user of a machine sees the arguments of every process.
  package static let variable = "LIFEBOAT_ENCRYPTION_KEY"
  private static let flag = "--encryption-key-file"
  /// Far more than a key, so that another file that was given by mistake is told of as what it is.
  private static let bytesMax = 64 << 10
  /// No key: for a repository that is not encrypted.
  package static let none = KeySource(file: nil, value: nil)

  private let file: String?
  private let value: Result<EncryptionKey, LifeboatError>?

  /// - Parameters:
  ///   - file: what `--encryption-key-file` says.
  ///   - value: what `LIFEBOAT_ENCRYPTION_KEY` says; of it only the key, or why there is none, is kept.
  package init(file: String?, value: String?) {
    self.file = file
    self.value = value.map { value in
      Result { () throws(LifeboatError) in
        try EncryptionKey(parsing: Array(value.utf8), origin: KeySource.variable)
      }
    }
  }

  package var isGiven: Bool { file != nil || value != nil }

  /// The key; nil when none was given. One that was given and can't be used is an error, never nil:
  /// else a repository would be made in the clear.
  package func read() throws(LifeboatError) -> EncryptionKey? {
    var found: EncryptionKey?
    if let file { found = try KeySource.read(file) }
    guard let other = try value?.get() else { return found }
    guard found == nil || found == other else {
      throw LifeboatError(
        .usage, "\(KeySource.flag) and \(KeySource.variable) give different keys",
        hint: "give the repository's key, and only in one of the two ways")
    }
    return other
  }

  private static func read(_ file: String) throws(LifeboatError) -> EncryptionKey {
    guard !EncryptionKey.isLikely(file) else {
      throw LifeboatError(
        .usage, "\(flag) takes the path of a file, and was given a key",
        cause: "others can see the arguments of a process",
        hint: "write the key into a file; if others use this machine, make a new key")
    }
    guard !file.isEmpty else {
      throw LifeboatError(
        .wrongKey, "\(flag) is empty", hint: "give the path of the file that holds the key")
    }
    let name = "the key file \(printable(file))"
    let content: [UInt8]
    do throws(LifeboatError) {
      let opened = try OpenFile(reading: FilePath(file), links: .follow)
      guard try opened.status().kind == .regular else {
        throw LifeboatError(
          .wrongKey, "it is not a regular file", hint: "it is read more than once")
      }
      content = try opened.readAll(limit: bytesMax)
    } catch {
      throw LifeboatError(
        .wrongKey, "can't read \(name)", cause: error.cause ?? error.message,
        hint: error.hint ?? "check the path, and that the Secret is mounted")
    }
    return try EncryptionKey(parsing: content, origin: name)
  }

  /// What is careless about the key file; nil when nothing is, or the file can't be looked at.
  package func warning() -> String? {
    guard let file, !EncryptionKey.isLikely(file),
      let status = try? OpenFile(reading: FilePath(file), links: .follow).status(),
      KeySource.isExposed(mode: status.mode, owner: status.owner)
    else { return nil }
    return "the key file \(printable(file)) can be read by every user of this machine: chmod 600"
  }

  /// Whether others than its owner's group can read a file. One that is root's is left out: so Kubernetes
  /// mounts a Secret, into a container that has no other users.
  package static func isExposed(mode: UInt32, owner: UInt32) -> Bool {
    mode & 0o004 != 0 && owner != 0
  }
}
