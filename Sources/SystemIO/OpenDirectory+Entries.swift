package import BackupTypes
import Glibc
import SystemPackage

extension OpenDirectory {
  package struct Entry: Sendable, Hashable {
    /// A name that is not UTF-8 is repaired. The entry can't be opened by the repaired name.
    package var name: String
    package var kind: FileStatus.Kind
    package var isUTF8: Bool

    package init(name: String, kind: FileStatus.Kind, isUTF8: Bool = true) {
      self.name = name
      self.kind = kind
      self.isUTF8 = isUTF8
    }
  }

  /// Everything in the directory except `.` and `..`, sorted by the bytes of the names.
  package func entries() throws(LifeboatError) -> [Entry] {
    var result: [Entry] = []
    try forEachEntry { entry, _ in result.append(entry) }
    return result.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// Calls `body` for each entry, in the file system's order and in constant memory. Each call reads the
  /// directory again. Entries that are added or removed meanwhile may be seen or not.
  package func forEachEntry(
    _ body: (Entry) throws(LifeboatError) -> Void
  ) throws(LifeboatError) {
    try forEachEntry { (entry, _) throws(LifeboatError) in try body(entry) }
  }

  /// As above, with the name's bytes, which end in a NUL.
  func forEachEntry(
    _ body: (Entry, UnsafePointer<CChar>) throws(LifeboatError) -> Void
  ) throws(LifeboatError) {
    let stream = try openStream()
    defer { closedir(stream) }
    while true {
      // Only errno distinguishes the end of readdir(3) from a failure.
      errno = 0
      guard let entry = readdir(stream) else {
        let number = Errno.current
        if number.rawValue == 0 { return }
        throw LifeboatError(number, action: "list the directory", path: path)
      }
      // The address of the name inside the stream's buffer. The imported tuple can't be used, since an entry
      // can be shorter than the tuple and end with the buffer.
      let name = UnsafeRawPointer(entry).advanced(by: MemoryLayout<dirent>.offset(of: \.d_name)!)
        .assumingMemoryBound(to: CChar.self)
      let isSelf = strcmp(name, ".") == 0 || strcmp(name, "..") == 0
      if isSelf { continue }
      guard let kind = try kind(entry.pointee.d_type, of: name) else { continue }
      let exact = String(validatingCString: name)
      try body(
        Entry(name: exact ?? String(cString: name), kind: kind, isUTF8: exact != nil), name)
    }
  }

  /// A new open file description, since a descriptor made by dup(2) would share this one's position.
  private func openStream() throws(LifeboatError) -> OpaquePointer {
    let flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC
    switch retryingInterrupts({ openat(descriptor, ".", flags) }) {
    case .success(let copy):
      if let stream = fdopendir(copy) { return stream }
      let number = Errno.current
      _ = close(copy)
      throw LifeboatError(number, action: "list the directory", path: path)
    case .failure(let number):
      throw LifeboatError(number, action: "list the directory", path: path)
    }
  }

  /// nil if the entry is gone by now. Some file systems leave the kind out of the listing.
  private func kind(
    _ type: UInt8, of name: UnsafePointer<CChar>
  ) throws(LifeboatError) -> FileStatus.Kind? {
    switch Int(type) {
    case Int(DT_REG): return .regular
    case Int(DT_DIR): return .directory
    case Int(DT_LNK): return .symlink
    case Int(DT_UNKNOWN):
      var status = stat()
      if fstatat(descriptor, name, &status, AT_SYMLINK_NOFOLLOW) == 0 {
        return FileStatus.Kind(mode: status.st_mode)
      }
      let number = Errno.current
      if number == .noSuchFileOrDirectory { return nil }
      throw LifeboatError(number, action: "list the directory", path: path)
    default: return .other
    }
  }
}
