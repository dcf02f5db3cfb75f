package import BackupTypes
import Glibc
package import SystemPackage

/// A new directory for temporary files of a command. It is removed with this object.
package final class ScratchDirectory: Sendable {
  package let path: FilePath
  private let parent: OpenDirectory

  /// Makes a directory in `parent` that only this user can access.
  package init(in parent: FilePath, prefix: String) throws(LifeboatError) {
    self.parent = try OpenDirectory(parent)
    var template = Array(parent.appending(prefix + "XXXXXX").string.utf8CString)
    guard mkdtemp(&template) != nil else {
      throw LifeboatError(.current, action: "create a scratch directory in", path: parent)
    }
    path = FilePath(
      String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }

  /// Best effort, since the rest is in a directory for temporary files.
  deinit { if let name = path.lastComponent?.string { _ = try? parent.removeTree(name) } }
}
