package import BackupTypes
import SystemPackage

/// The one way in which Lifeboat makes a file that must survive a crash: a temporary file in the
/// same directory, a full write, fsync, the name, fsync of the directory.
///
/// A crash at any instruction leaves the name absent (or its former content) or the whole new
/// content; a temporary file may stay, whose name begins with `temporaryPrefix`.
package enum DurableFile {
  package static let temporaryPrefix = ".lifeboat-tmp"

  /// Makes `name` with `bytes`; an existing file is never touched.
  ///
  /// - Parameter mode: permission bits, of which the process's umask takes its part.
  /// - Returns: false when the name exists. Then, too, its name is durable on return, also when
  ///   the writer that made it did not live to say so.
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

  /// Makes `name` with `bytes`, in place of what it names now.
  ///
  /// - Parameter mode: permission bits, of which the process's umask takes its part.
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

  /// Writes and synchronizes a new temporary file; leaves none behind when that fails.
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

  /// Best effort: a temporary file that stays is skipped by every reader.
  private static func discard(_ name: String, in directory: OpenDirectory) {
    _ = try? directory.remove(name)
  }
}
