package import BackupTypes
import SystemPackage

/// How Lifeboat makes every file that must survive a crash: a temporary file in the same directory, a
/// complete write, fsync, the final name, and fsync of the directory.
///
/// After a crash at any instruction, the file is absent (or has its old content) or has the complete new
/// content. A temporary file may be left, whose name begins with `temporaryPrefix`.
package enum DurableFile {
  package static let temporaryPrefix = ".lifeboat-tmp"

  /// Makes `name` with `bytes`. An existing file is never changed.
  ///
  /// - Parameter mode: permission bits, reduced by the process's umask.
  /// - Returns: false if the name exists. The existing name is then durable, too, even if its writer was
  ///   interrupted.
  package static func createExclusively(
    _ name: String, in directory: OpenDirectory, bytes: [UInt8], mode: UInt32
  ) throws(LifeboatError) -> Bool {
    try directory.check(name)
    let temporary = try writeTemporary(in: directory, bytes: bytes, mode: mode)
    do throws(LifeboatError) {
      let isNew: Bool
      switch try directory.renameExclusively(temporary, to: directory, as: name) {
      case .success: isNew = true
      case .failure(.fileExists): isNew = false
      case .failure(let number):
        throw LifeboatError(number, action: "create", path: directory.path(of: name))
      }
      if !isNew { try directory.remove(temporary) }
      try directory.synchronize()
      return isNew
    } catch {
      discard(temporary, in: directory)
      throw error
    }
  }

  /// Makes `name` with `bytes`. Replaces an existing file.
  ///
  /// - Parameter mode: permission bits, reduced by the process's umask.
  package static func replace(
    _ name: String, in directory: OpenDirectory, bytes: [UInt8], mode: UInt32
  ) throws(LifeboatError) {
    try directory.check(name)
    let temporary = try writeTemporary(in: directory, bytes: bytes, mode: mode)
    do throws(LifeboatError) {
      try directory.rename(temporary, to: directory, as: name, noReplace: false)
    } catch {
      discard(temporary, in: directory)
      throw error
    }
    try directory.synchronize()
  }

  /// Writes and synchronizes a new temporary file. Removes it if this fails.
  static func writeTemporary(
    in directory: OpenDirectory, bytes: [UInt8], mode: UInt32
  ) throws(LifeboatError) -> String {
    let name = "\(temporaryPrefix)-\(hexadecimal(secureRandomBytes(12)))"
    let file = try directory.create(name, mode: mode)
    do throws(LifeboatError) {
      var failure: LifeboatError?
      bytes.withUnsafeBytes { buffer in
        do throws(LifeboatError) {
          try file.write(buffer, at: 0)
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      try file.synchronize()
      return name
    } catch {
      discard(name, in: directory)
      throw error
    }
  }

  /// Best effort, since every reader skips temporary files.
  private static func discard(_ name: String, in directory: OpenDirectory) {
    _ = try? directory.remove(name)
  }
}
