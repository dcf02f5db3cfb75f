package import BackupTypes
import SystemIO

/// The rules for names that every store can hold: "/"-separated components, none of them empty,
/// `.`, `..`, longer than 255 bytes, holding a NUL, or beginning as temporary files do.
package enum ObjectName {
  package static let byteCountMax = 1024
  package static let componentByteCountMax = 255
  /// A directory that mkfs creates at the top of some file systems, readable by root only.
  static let foreignDirectory = "lost+found"

  /// The components of `name`.
  ///
  /// - Throws: `.corrupt`, since a bad name comes from a damaged or hostile record.
  package static func components(_ name: String) throws(LifeboatError) -> [String] {
    let components = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard name.utf8.count <= byteCountMax, components.allSatisfy(isComponent),
      components[0] != foreignDirectory
    else {
      throw LifeboatError(.corrupt, "\"\(printable(name))\" is not the name of an object")
    }
    return components
  }

  /// Whether any name can begin with `prefix`. Some stores would treat "//" as "/", and return names that do
  /// not begin with it.
  package static func mayBegin(with prefix: String) -> Bool {
    !prefix.hasPrefix("/") && prefix.firstRange(of: "//") == nil
  }

  private static func isComponent(_ text: String) -> Bool {
    OpenDirectory.isName(text) && text.utf8.count <= componentByteCountMax
      && !text.hasPrefix(DurableFile.temporaryPrefix)
  }
}
