package import BackupTypes
import CLinux
import Glibc
package import SystemPackage

/// The metadata of one file. Symbolic links are not followed.
package struct FileStatus: Sendable, Hashable {
  package enum Kind: Sendable, Hashable { case regular, directory, symlink, other }

  package var device: UInt64
  package var inode: UInt64
  /// The size in bytes.
  package var size: UInt64
  package var modified: FileMoment
  package var changed: FileMoment
  /// Birth time; nil if the file system does not have it.
  package var born: FileMoment?
  package var links: UInt64
  package var owner: UInt32
  package var group: UInt32
  /// Permission bits, without the file's type.
  package var mode: UInt32
  package var kind: Kind
}

extension FileStatus {
  /// The status of `path`. If it is a link, the link is not followed. Nil if it does not exist.
  package static func at(_ path: FilePath) throws(LifeboatError) -> FileStatus? {
    var raw = clinux_status()
    let result = path.withPlatformString { name in
      retryingInterrupts { clinux_status_at(AT_FDCWD, name, &raw) }
    }
    switch result {
    case .success: return FileStatus(raw)
    case .failure(.noSuchFileOrDirectory): return nil
    case .failure(let number): throw LifeboatError(number, action: "stat", path: path)
    }
  }

  /// Whether `path` is a directory. Links are followed.
  package static func isDirectory(_ path: FilePath) -> Bool {
    var raw = stat()
    let result = path.withPlatformString { name in stat(name, &raw) }
    return result == 0 && raw.st_mode & S_IFMT == S_IFDIR
  }

  /// Whether this process may write there. False on a read-only file system, too.
  package static func isWritable(_ path: FilePath) -> Bool {
    path.withPlatformString { access($0, W_OK) == 0 }
  }

  init(_ raw: clinux_status) {
    device = raw.device
    inode = raw.inode
    size = raw.size
    links = raw.links
    owner = raw.owner
    group = raw.group
    mode = raw.mode & 0o7777
    kind = Kind(mode: raw.mode)
    modified = FileMoment(
      seconds: raw.modified_seconds, nanoseconds: Int64(raw.modified_nanoseconds))
    changed = FileMoment(seconds: raw.changed_seconds, nanoseconds: Int64(raw.changed_nanoseconds))
    born =
      raw.has_born == 1
      ? FileMoment(seconds: raw.born_seconds, nanoseconds: Int64(raw.born_nanoseconds)) : nil
  }
}

extension FileStatus.Kind {
  init(mode: UInt32) {
    switch mode & UInt32(S_IFMT) {
    case UInt32(S_IFREG): self = .regular
    case UInt32(S_IFDIR): self = .directory
    case UInt32(S_IFLNK): self = .symlink
    default: self = .other
    }
  }
}
