import Glibc
import SystemPackage

/// A system call of the harness that failed.
package struct HarnessError: Error, CustomStringConvertible {
  package let description: String

  package init(_ description: String) { self.description = description }

  /// `call: text of errno`. Reads `errno`, so use it immediately after the call.
  static func last(_ call: String) -> HarnessError {
    HarnessError("\(call): \(Errno(rawValue: errno))")
  }
}

/// The few file operations that tests need, on whole files. Uses neither Foundation nor the code under test.
package enum TestFiles {
  package static func read(_ path: String) throws -> [UInt8] {
    let file = try FileDescriptor.open(FilePath(path), .readOnly)
    return try file.closeAfter {
      var status = stat()
      guard fstat(file.rawValue, &status) == 0 else { throw HarnessError.last("fstat \(path)") }
      var bytes: [UInt8] = []
      var chunk = [UInt8](repeating: 0, count: max(Int(status.st_size) + 1, 4096))
      while true {
        let count = try chunk.withUnsafeMutableBytes { try file.read(into: $0) }
        if count == 0 { return bytes }
        bytes += chunk[..<count]
      }
    }
  }

  package static func text(_ path: String) throws -> String {
    String(decoding: try read(path), as: UTF8.self)
  }

  /// Replaces or creates the file.
  package static func write(
    _ bytes: [UInt8], to path: String, permissions: UInt32 = 0o600
  ) throws {
    try write(bytes, path, [.create, .truncate], FilePermissions(rawValue: permissions))
  }

  package static func write(_ text: String, to path: String) throws {
    try write(Array(text.utf8), to: path)
  }

  package static func append(_ bytes: [UInt8], to path: String) throws {
    try write(bytes, path, [.create, .append], [.ownerReadWrite])
  }

  private static func write(
    _ bytes: [UInt8], _ path: String, _ options: FileDescriptor.OpenOptions,
    _ permissions: FilePermissions
  ) throws {
    let file = try FileDescriptor.open(
      FilePath(path), .writeOnly, options: options, permissions: permissions)
    _ = try file.closeAfter { try file.writeAll(bytes) }
  }

  /// Whether the path exists. A dangling symbolic link exists, too.
  package static func exists(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0
  }

  package static func isDirectory(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether it is a file that can be read to its end, not a link or a FIFO.
  package static func isRegular(_ path: String) -> Bool {
    var status = stat()
    return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFREG
  }

  package static func size(_ path: String) throws -> Int {
    var status = stat()
    guard stat(path, &status) == 0 else { throw HarnessError.last("stat \(path)") }
    return Int(status.st_size)
  }

  package static func truncate(_ path: String, to size: Int) throws {
    guard Glibc.truncate(path, off_t(size)) == 0 else {
      throw HarnessError.last("truncate \(path)")
    }
  }

  /// Creates the directory and its parents. An existing one is not changed.
  package static func makeDirectory(_ path: String) throws {
    if isDirectory(path) || mkdir(path, 0o755) == 0 || errno == EEXIST { return }
    guard errno == ENOENT else { throw HarnessError.last("mkdir \(path)") }
    try makeDirectory(FilePath(path).removingLastComponent().string)
    guard mkdir(path, 0o755) == 0 || errno == EEXIST else {
      throw HarnessError.last("mkdir \(path)")
    }
  }

  /// The names in a directory, sorted; empty if there is no such directory.
  package static func list(_ path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      // Not through a copy of `dirent`: the name is as long as the record, not as the type.
      let name = UnsafeRawPointer(entry).advanced(by: MemoryLayout<dirent>.offset(of: \.d_name)!)
      names.append(String(cString: name.assumingMemoryBound(to: CChar.self)))
    }
    return names.filter { $0 != "." && $0 != ".." }.sorted()
  }

  /// The paths of all files below a directory, relative to it, sorted.
  package static func tree(_ path: String) -> [String] {
    list(path).flatMap { name in
      isDirectory(path + "/" + name) ? tree(path + "/" + name).map { name + "/" + $0 } : [name]
    }.sorted()
  }

  package static func rename(_ from: String, to: String) throws {
    guard Glibc.rename(from, to) == 0 else { throw HarnessError.last("rename \(from)") }
  }

  package static func copy(_ from: String, to: String) throws {
    try write(try read(from), to: to)
  }

  /// Copies files and directories, but not modes or links.
  package static func copyTree(_ from: String, to: String) throws {
    try makeDirectory(to)
    for name in list(from) {
      let (source, target) = (from + "/" + name, to + "/" + name)
      if isDirectory(source) {
        try copyTree(source, to: target)
      } else {
        try copy(source, to: target)
      }
    }
  }

  /// Removes a file or a whole directory. No error if it does not exist or disappears meanwhile.
  package static func remove(_ path: String) {
    if isDirectory(path) {
      chmod(path, 0o700)
      for name in list(path) { remove(path + "/" + name) }
      rmdir(path)
    } else {
      unlink(path)
    }
  }
}
