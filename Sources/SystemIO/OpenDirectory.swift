package import BackupTypes
import CLinux
import Glibc
package import SystemPackage

/// An open directory. Everything in it is accessed by a single name relative to the descriptor.
///
/// So renaming or replacing a directory above it has no effect. Symbolic links inside are only followed if it
/// was opened with `followsLinks`. A name that is empty, `.` or `..`, or that contains `/` or a NUL, is
/// `.corrupt`. Such a name comes from a damaged or hostile record.
package final class OpenDirectory: Sendable {
  /// The path it was opened by, for messages. It may have moved since.
  package let path: FilePath
  let descriptor: Int32
  /// Whether links in it are followed if that is safe (`OpenDirectory+Links`).
  let followsLinks: Bool

  init(descriptor: Int32, path: FilePath, followsLinks: Bool = false) {
    self.descriptor = descriptor
    self.path = path
    self.followsLinks = followsLinks
  }

  deinit { _ = close(descriptor) }

  /// Opens the directory at `path`. Symbolic links in the path, or at `path` itself, are the operator's
  /// choice and are followed.
  ///
  /// - Parameter followsLinks: for reading a server's files. A link in this directory, or in directories
  ///   opened from it, is replaced by its target.
  package convenience init(
    _ path: FilePath, followsLinks: Bool = false
  ) throws(LifeboatError) {
    let result = path.withPlatformString { name in
      retryingInterrupts { clinux_openat(AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0) }
    }
    switch result {
    case .success(let descriptor):
      self.init(descriptor: descriptor, path: path, followsLinks: followsLinks)
    case .failure(let number):
      throw LifeboatError(number, action: "open the directory", path: path)
    }
  }

  /// The status of `name`; of the link itself unless links are followed. Nil if nothing has that name.
  package func status(of name: String) throws(LifeboatError) -> FileStatus? {
    try check(name)
    var raw = clinux_status()
    if clinux_status_at(descriptor, name, &raw) == 0 {
      let status = FileStatus(raw)
      guard followsLinks, status.kind == .symlink else { return status }
      guard let found = try follow(name, status, flags: O_RDONLY | O_NONBLOCK) else { return nil }
      _ = close(found.descriptor)
      return found.status
    }
    let number = Errno.current
    if number == .noSuchFileOrDirectory { return nil }
    throw LifeboatError(number, action: "stat", path: path(of: name))
  }

  /// The status of this directory itself.
  package func status() throws(LifeboatError) -> FileStatus {
    var raw = clinux_status()
    guard clinux_status_of(descriptor, &raw) == 0 else {
      throw LifeboatError(.current, action: "stat", path: path)
    }
    return FileStatus(raw)
  }

  /// Opens a regular file for reading; nil if nothing has that name. Anything but a regular file is
  /// `.corrupt`.
  package func open(_ name: String) throws(LifeboatError) -> OpenFile? {
    // O_NONBLOCK, so that a FIFO in place of a file does not make us wait for its writer.
    guard let file = try open(name, flags: O_RDONLY | O_NOFOLLOW | O_NONBLOCK) else { return nil }
    let result = OpenFile(descriptor: file, path: path(of: name))
    try result.requireRegular()
    return result
  }

  /// Opens a directory inside this one; nil if nothing has that name.
  package func openDirectory(_ name: String) throws(LifeboatError) -> OpenDirectory? {
    guard let directory = try open(name, flags: O_RDONLY | O_NOFOLLOW | O_DIRECTORY) else {
      return nil
    }
    return OpenDirectory(
      descriptor: directory, path: path(of: name), followsLinks: followsLinks)
  }

  private func open(_ name: String, flags: Int32) throws(LifeboatError) -> Int32? {
    try check(name)
    switch retryingInterrupts({ clinux_openat(descriptor, name, flags | O_CLOEXEC, 0) }) {
    case .success(let descriptor): return descriptor
    case .failure(.noSuchFileOrDirectory): return nil
    // A link as the last component gives ELOOP, or ENOTDIR if a directory was requested (open(2)).
    case .failure(let number)
    where followsLinks && (number == .tooManySymbolicLinkLevels || number == .notDirectory):
      var raw = clinux_status()
      guard clinux_status_at(descriptor, name, &raw) == 0 else {
        throw LifeboatError(number, action: "open", path: path(of: name))
      }
      let link = FileStatus(raw)
      guard link.kind == .symlink else {
        throw LifeboatError(number, action: "open", path: path(of: name))
      }
      return try follow(name, link, flags: flags & ~O_NOFOLLOW)?.descriptor
    case .failure(let number): throw LifeboatError(number, action: "open", path: path(of: name))
    }
  }

  /// Creates a new file for reading and writing; `.refused` if the name exists.
  ///
  /// - Parameter mode: permission bits, reduced by the process's umask.
  package func create(_ name: String, mode: UInt32) throws(LifeboatError) -> OpenFile {
    try check(name)
    let flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC
    switch retryingInterrupts({ clinux_openat(descriptor, name, flags, mode) }) {
    case .success(let file): return OpenFile(descriptor: file, path: path(of: name))
    case .failure(.fileExists): throw LifeboatError.exists(path(of: name))
    case .failure(let number): throw LifeboatError(number, action: "create", path: path(of: name))
    }
  }

  /// Creates a directory, unless something of that name exists. It is durable only after `synchronize()` of
  /// this directory.
  ///
  /// - Returns: whether it is new.
  @discardableResult
  package func makeDirectory(_ name: String, mode: UInt32) throws(LifeboatError) -> Bool {
    try check(name)
    switch retryingInterrupts({ mkdirat(descriptor, name, mode) }) {
    case .success: return true
    case .failure(.fileExists): return false
    case .failure(let number):
      throw LifeboatError(number, action: "create the directory", path: path(of: name))
    }
  }

  /// Makes changes of names in this directory durable: fsync(2) of the directory.
  package func synchronize() throws(LifeboatError) {
    switch retryingInterrupts({ fsync(descriptor) }) {
    // Some network and FUSE file systems have no fsync for directories. There, the reply to the operation
    // itself is the only durability.
    case .success, .failure(.invalidArgument), .failure(.notSupported): return
    case .failure(let number):
      throw LifeboatError(number, action: "synchronize the directory", path: path)
    }
  }

  /// Whether this process may create and rename in this directory.
  package var isWritable: Bool { faccessat(descriptor, ".", W_OK | X_OK, AT_EACCESS) == 0 }

  /// - Parameter mode: the exact permission bits; the umask does not apply.
  package func setPermissions(_ mode: UInt32) throws(LifeboatError) {
    if case .failure(let number) = retryingInterrupts({ fchmod(descriptor, mode) }) {
      throw LifeboatError(number, action: "change the mode of", path: path)
    }
  }

  package func setOwner(_ owner: UInt32, group: UInt32) throws(LifeboatError) {
    if case .failure(let number) = retryingInterrupts({ fchown(descriptor, owner, group) }) {
      throw LifeboatError(number, action: "change the owner of", path: path)
    }
  }

  func path(of name: String) -> FilePath {
    var path = path
    path.append(name)
    return path
  }

  func check(_ name: String) throws(LifeboatError) {
    guard OpenDirectory.isName(name) else {
      throw LifeboatError(
        .corrupt, "\"\(printable(name))\" is not the name of a file",
        cause: "in \(printable(path.description))")
    }
  }

  /// Whether `name` can be a name in a directory: one component, and not `.` or `..`.
  package static func isName(_ name: String) -> Bool {
    !name.isEmpty && name != "." && name != ".."
      && name.utf8.allSatisfy { $0 != UInt8(ascii: "/") && $0 != 0 }
  }
}

/// Distinguishes a directory from every other one, including a new one in its place. Inode numbers are
/// reused, birth times are not.
package struct DirectoryIdentity: Sendable, Hashable {
  /// `f_fsid` of the file system.
  package var fileSystem: UInt64
  package var inode: UInt64
  /// nil if the file system has no birth times.
  package var born: FileMoment?
  /// Whether the file system keeps its inode numbers and its identifier, because it is of a kind that has its
  /// own disk.
  package var isStable: Bool

  package init(fileSystem: UInt64, inode: UInt64, born: FileMoment?, isStable: Bool = true) {
    self.fileSystem = fileSystem
    self.inode = inode
    self.born = born
    self.isStable = isStable
  }
}

extension DirectoryIdentity {
  /// Whether it is the same directory, possibly after its file system was mounted again, which can change the
  /// device number. Without birth times, the inode and the file system must be the same.
  package func isSameDirectory(as other: DirectoryIdentity) -> Bool {
    guard inode == other.inode, born == other.born else { return false }
    return born != nil || fileSystem == other.fileSystem
  }
}

extension OpenDirectory {
  package func identity() throws(LifeboatError) -> DirectoryIdentity {
    let status = try status()
    var raw = clinux_file_system()
    guard clinux_file_system_of(descriptor, &raw) == 0 else {
      throw LifeboatError(.current, action: "read the file system type of", path: path)
    }
    return DirectoryIdentity(
      fileSystem: raw.identifier, inode: status.inode, born: status.born,
      isStable: !FileSystemSpace.changesInodes(magic: raw.magic))
  }
}
