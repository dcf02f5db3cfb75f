import Glibc

/// A new directory under `TMPDIR` or `/tmp`. It is removed with everything in it when the last reference is
/// released. `LIFEBOAT_KEEP=1` keeps it, so that you can see what a failed test left.
package final class TemporaryDirectory: Sendable {
  package let path: String

  package init(_ label: String = "lifeboat") throws {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    var template = Array("\(parent)/\(label)-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw HarnessError.last("mkdtemp in \(parent)") }
    path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
  }

  deinit {
    if getenv("LIFEBOAT_KEEP") == nil { TestFiles.remove(path) }
  }

  /// The path of `name` inside.
  package func callAsFunction(_ name: String) -> String { path + "/" + name }

  /// A new directory inside.
  package func makeDirectory(_ name: String) throws -> String {
    try TestFiles.makeDirectory(self(name))
    return self(name)
  }
}
