package import BackupTypes
import CLinux
import Glibc
import SystemPackage

// Renaming, linking and removing. These are only durable after `synchronize()` of the affected directories.

extension OpenDirectory {
  /// The maximum depth of `removeTree`. Redis and Lifeboat write at most three levels.
  private static let treeDepthMax = 64

  /// Renames `name` to `newName` in `target`, on the same file system.
  ///
  /// With `noReplace`, an existing `newName` is `.refused` and not changed. On file systems that can't do
  /// this in one step (NFS), a hard link and an unlink are used instead, which are as exclusive. A directory
  /// can't be linked, so the name is checked first.
  package func rename(
    _ name: String, to target: OpenDirectory, as newName: String, noReplace: Bool
  ) throws(LifeboatError) {
    try check(name)
    try target.check(newName)
    let result =
      noReplace
      ? try renameExclusively(name, to: target, as: newName)
      : retryingInterrupts { renameat(descriptor, name, target.descriptor, newName) }
    switch result {
    case .success: return
    case .failure(.fileExists): throw LifeboatError.exists(target.path(of: newName))
    case .failure(let number):
      throw LifeboatError(
        number, action: "rename \(printable(path(of: name).description)) to",
        path: target.path(of: newName))
    }
  }

  /// Exchanges `name` with the same name in `other`, in one step. Returns false if the file system can't.
  package func exchange(_ name: String, with other: OpenDirectory) throws(LifeboatError) -> Bool {
    try check(name)
    let result = retryingInterrupts {
      clinux_rename_exchange(descriptor, name, other.descriptor, name)
    }
    switch result {
    case .success: return true
    case .failure(let number) where number.meansUnsupported: return false
    case .failure(let number):
      throw LifeboatError(
        number, action: "rename \(printable(path(of: name).description)) to",
        path: other.path(of: name))
    }
  }

  /// `.failure(.fileExists)` if the name exists.
  func renameExclusively(
    _ name: String, to target: OpenDirectory, as newName: String
  ) throws(LifeboatError) -> Result<Int32, Errno> {
    let direct = retryingInterrupts {
      clinux_rename_no_replace(descriptor, name, target.descriptor, newName)
    }
    guard case .failure(let number) = direct, number.meansUnsupported else { return direct }
    guard let status = try status(of: name) else { return .failure(.noSuchFileOrDirectory) }
    if status.kind == .directory {
      if try target.status(of: newName) != nil { return .failure(.fileExists) }
      return retryingInterrupts { renameat(descriptor, name, target.descriptor, newName) }
    }
    let linked = linkCountingLostReplies(name, status: status, to: target, as: newName)
    guard case .success = linked else { return linked }
    return retryingInterrupts { unlinkat(descriptor, name, 0) }
  }

  /// link(2). If an NFS client repeats the request after a lost reply, it gets EEXIST because of its own
  /// success. The link count of the file shows this (open(2), under O_EXCL).
  private func linkCountingLostReplies(
    _ name: String, status: FileStatus, to target: OpenDirectory, as newName: String
  ) -> Result<Int32, Errno> {
    let result = retryingInterrupts {
      linkat(descriptor, name, target.descriptor, newName, 0)
    }
    guard case .failure(.fileExists) = result,
      let now = try? target.status(of: newName), now.device == status.device,
      now.inode == status.inode
    else { return result }
    return .success(0)
  }

  /// Gives the file `name` a second name; `.refused` if that exists.
  package func link(
    _ name: String, to target: OpenDirectory, as newName: String
  ) throws(LifeboatError) {
    guard try linkIfSupported(name, to: target, as: newName) else {
      throw LifeboatError(
        .notSupported, action: "link \(printable(path(of: name).description)) to",
        path: target.path(of: newName))
    }
  }

  /// Like `link`, but false if the file system has no hard links, or not between these two.
  package func linkIfSupported(
    _ name: String, to target: OpenDirectory, as newName: String
  ) throws(LifeboatError) -> Bool {
    try check(name)
    try target.check(newName)
    let result = retryingInterrupts { linkat(descriptor, name, target.descriptor, newName, 0) }
    switch result {
    case .success: return true
    case .failure(.fileExists): throw LifeboatError.exists(target.path(of: newName))
    // EPERM: a file system without links (link(2)), or fs.protected_hardlinks.
    case .failure(let number)
    where number.meansUnsupported || number == .notPermitted || number == .improperLink
      || number == .tooManyLinks:
      return false
    case .failure(let number):
      throw LifeboatError(
        number, action: "link \(printable(path(of: name).description)) to",
        path: target.path(of: newName))
    }
  }

  /// Removes a file. If it is a link, the link itself is removed. A directory is an error.
  ///
  /// - Returns: false when there was nothing of that name.
  @discardableResult
  package func remove(_ name: String) throws(LifeboatError) -> Bool {
    try unlink(name, flags: 0)
  }

  /// Removes an empty directory.
  ///
  /// - Returns: false when there was nothing of that name.
  @discardableResult
  package func removeDirectory(_ name: String) throws(LifeboatError) -> Bool {
    try unlink(name, flags: AT_REMOVEDIR)
  }

  private func unlink(_ name: String, flags: Int32) throws(LifeboatError) -> Bool {
    try check(name)
    switch retryingInterrupts({ unlinkat(descriptor, name, flags) }) {
    case .success: return true
    case .failure(.noSuchFileOrDirectory): return false
    case .failure(let number): throw LifeboatError(number, action: "remove", path: path(of: name))
    }
  }

  /// Removes `name` and everything below it. Links are removed, but not their targets. Other file systems
  /// that are mounted below can't be removed, so they are an error and are not changed.
  ///
  /// - Returns: false when there was nothing of that name.
  @discardableResult
  package func removeTree(_ name: String) throws(LifeboatError) -> Bool {
    guard let status = try status(of: name) else { return false }
    guard status.kind == .directory else { return try remove(name) }
    if let directory = try openDirectory(name) { try directory.empty(depth: 1) }
    return try removeDirectory(name)
  }

  private func empty(depth: Int) throws(LifeboatError) {
    guard depth <= OpenDirectory.treeDepthMax else {
      throw LifeboatError(.corrupt, "\(printable(path.description)) is nested too deeply to remove")
    }
    try forEachEntry { (entry: Entry, name: UnsafePointer<CChar>) throws(LifeboatError) in
      // Uses the bytes of the name and not a String, since a name may not be UTF-8.
      let place = path(of: entry.name)
      if entry.kind == .directory {
        let flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
        switch retryingInterrupts({ clinux_openat(descriptor, name, flags, 0) }) {
        case .success(let child):
          try OpenDirectory(descriptor: child, path: place).empty(depth: depth + 1)
        case .failure(let number): throw LifeboatError(number, action: "remove", path: place)
        }
      }
      let flags = entry.kind == .directory ? AT_REMOVEDIR : 0
      if case .failure(let number) = retryingInterrupts({ unlinkat(descriptor, name, flags) }),
        number != .noSuchFileOrDirectory
      {
        throw LifeboatError(number, action: "remove", path: place)
      }
    }
  }
}
