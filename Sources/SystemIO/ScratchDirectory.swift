package import BackupTypes
import Glibc
package import SystemPackage

/// A directory of its own for what a command needs for a while; removed with this object.
package final class ScratchDirectory: Sendable {
  package let path: FilePath
  private let parent: OpenDirectory

  /// In `parent`, for this user alone.
  package init(in parent: FilePath, prefix: String) throws(LifeboatError) {
    self.parent = try OpenDirectory(parent)
    var template = Array(parent.appending(prefix + "XXXXXX").string.utf8CString)
    guard mkdtemp(&template) != nil else {
      throw LifeboatError(.current, action: "create a scratch directory in", path: parent)
    }
    path = FilePath(
      String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
  }

  /// Best effort: what stays is in a directory for temporary files.
  deinit { if let name = path.lastComponent?.string { _ = try? parent.removeTree(name) } }
}
