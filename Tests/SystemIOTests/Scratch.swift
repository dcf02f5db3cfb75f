import BackupTypes
import Glibc
import SystemIO
import SystemPackage

/// A new directory. It is removed with everything in it when the last reference is released.
final class Scratch: Sendable {
  let path: FilePath
  let directory: OpenDirectory

  init() throws {
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
    let name = "lifeboat-test-\(hexadecimal(secureRandomBytes(8)))"
    try OpenDirectory(FilePath(parent)).makeDirectory(name, mode: 0o700)
    path = FilePath(parent).appending(name)
    directory = try OpenDirectory(path)
  }

  deinit {
    _ = try? OpenDirectory(path.removingLastComponent()).removeTree(path.lastComponent!.string)
  }

  func path(_ name: String) -> FilePath { path.appending(name) }

  func write(_ name: String, _ text: String) throws {
    try DurableFile.replace(name, in: directory, bytes: Array(text.utf8), mode: 0o600)
  }

  func read(_ name: String) throws -> String? {
    guard let file = try directory.open(name) else { return nil }
    return String(decoding: try file.readAll(limit: 1 << 20), as: UTF8.self)
  }

  var names: [String] {
    get throws { try directory.entries().map(\.name) }
  }
}

/// The error that `body` throws, or nil.
func failure<Value>(_ body: () throws(LifeboatError) -> Value) -> LifeboatError? {
  do throws(LifeboatError) {
    _ = try body()
    return nil
  } catch {
    return error
  }
}
