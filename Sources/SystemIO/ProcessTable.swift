package import BackupTypes
import Glibc
import SystemPackage

/// Facts about other processes from /proc.
package enum ProcessTable {
  /// A process that uses the directory with this `status`, as `name (pid)`: a Redis or Valkey server with it
  /// as its working directory, or any process with a file open for writing in it. Nil if none is visible.
  /// Processes of other containers and other users can't be seen.
  package static func user(of status: FileStatus) throws(LifeboatError) -> String? {
    guard let proc = try? OpenDirectory("/proc"), let entries = try? proc.entries() else {
      return nil
    }
    let own = String(getpid())
    for entry in entries where Int32(entry.name) != nil && entry.name != own {
      guard let name = command(of: entry.name) else { continue }
      let isServer = name.contains("redis") || name.contains("valkey")
      if isServer, isSame("/proc/\(entry.name)/cwd", status) { return "\(name) (\(entry.name))" }
      if hasOpenFile(entry.name, in: status) { return "\(name) (\(entry.name))" }
    }
    return nil
  }

  private static func command(of process: String) -> String? {
    guard let file = try? OpenFile(reading: FilePath("/proc/\(process)/comm"), links: .follow),
      let bytes = try? file.readAll(limit: 4096)
    else { return nil }
    return printable(String(decoding: bytes.prefix { $0 != 10 }, as: UTF8.self))
  }

  /// Whether the link leads to the directory that `status` describes.
  private static func isSame(_ link: String, _ status: FileStatus) -> Bool {
    var found = stat()
    guard stat(link, &found) == 0 else { return false }
    return UInt64(found.st_dev) == status.device && UInt64(found.st_ino) == status.inode
  }

  /// Whether the process has a regular file open for writing, in the given directory or one below it.
  private static func hasOpenFile(_ process: String, in status: FileStatus) -> Bool {
    let folder = "/proc/\(process)/fd"
    guard let directory = try? OpenDirectory(FilePath(folder)),
      let entries = try? directory.entries()
    else { return false }
    for entry in entries.prefix(4096) {
      guard let target = readLink("\(folder)/\(entry.name)"), target.hasPrefix("/") else {
        continue
      }
      let parent = ProcessTable.directory(above: target)
      if isSame(parent, status) || isSame(ProcessTable.directory(above: parent), status),
        isWritable(process, entry.name)
      {
        return true
      }
    }
    return false
  }

  /// The parent of an absolute path. Handled as text, because there are thousands of them.
  private static func directory(above path: String) -> String {
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash > path.startIndex else {
      return "/"
    }
    return String(path[..<slash])
  }

  private static func readLink(_ path: String) -> String? {
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
      let count = readlink(path, buffer.baseAddress!.assumingMemoryBound(to: CChar.self), 4096)
      return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
  }

  /// `flags:` in fdinfo is octal. Its lowest two bits are the access mode; 0 is reading only. A shipper
  /// next to the server only reads.
  private static func isWritable(_ process: String, _ descriptor: String) -> Bool {
    guard
      let file = try? OpenFile(
        reading: FilePath("/proc/\(process)/fdinfo/\(descriptor)"), links: .follow),
      let bytes = try? file.readAll(limit: 65_536)
    else { return false }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    where line.hasPrefix("flags:") {
      let octal = line.dropFirst(6).filter { $0.isNumber }
      return (Int(octal, radix: 8) ?? 0) & 3 != 0
    }
    return false
  }
}
