import BackupTypes
import SystemIO
import SystemPackage

/// Refuses a copy that is in the source, or that is the source under another name.
struct CopyPlaces {
  /// The locations of the stores. Only directories are compared.
  var source: String
  var copy: String

  func check() throws(LifeboatError) {
    // The same bucket may exist at two endpoints.
    guard source.hasPrefix(CopyPlaces.scheme), copy.hasPrefix(CopyPlaces.scheme) else { return }
    if try isSameDirectory() {
      throw LifeboatError(
        .usage, "\(copy) is the same directory as the source, \(source)",
        cause: "one of the two is a symbolic link or a mount of the other",
        hint: "copy to another volume or to a bucket")
    }
    // A listing of the outer one would have the objects of the inner one.
    guard !isInside(copy, source), !isInside(source, copy) else {
      throw LifeboatError(
        .usage, "one of \(source) and \(copy) would be inside the other",
        hint: "give the copy a directory of its own")
    }
  }

  private static let scheme = "file://"

  private func isInside(_ inner: String, _ outer: String) -> Bool {
    inner.hasPrefix(outer.hasSuffix("/") ? outer : outer + "/")
  }

  /// A directory that does not exist yet is another one.
  private func isSameDirectory() throws(LifeboatError) -> Bool {
    let paths = [source, copy].map { FilePath(String($0.dropFirst(CopyPlaces.scheme.count))) }
    guard paths.allSatisfy(FileStatus.isDirectory) else { return false }
    return try OpenDirectory(paths[0]).identity() == OpenDirectory(paths[1]).identity()
  }
}
