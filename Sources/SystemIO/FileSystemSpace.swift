package import BackupTypes
import CLinux
import Glibc
package import SystemPackage

/// The free space of a file system, and its kind.
package struct FileSystemSpace: Sendable {
  /// Bytes that a process without privileges can still write.
  package var freeBytes: UInt64
  package var totalBytes: UInt64
  /// Nil if inodes are not counted.
  package var freeInodes: UInt64?
  /// `f_fsid`.
  package var identifier: UInt64
  /// `f_type`, see statfs(2).
  package var magic: UInt64

  /// The values of the file system that contains `path`.
  package static func at(_ path: FilePath) throws(LifeboatError) -> FileSystemSpace {
    var raw = clinux_file_system()
    let result = path.withPlatformString { name in
      retryingInterrupts { clinux_file_system_at(name, &raw) }
    }
    if case .failure(let number) = result {
      throw LifeboatError(number, action: "read the free space of", path: path)
    }
    return FileSystemSpace(
      freeBytes: product(raw.blocks_available, raw.block_size),
      totalBytes: product(raw.blocks, raw.block_size),
      freeInodes: raw.files == 0 ? nil : raw.files_free,
      identifier: raw.identifier, magic: raw.magic)
  }

  /// Whether changes made elsewhere can go unnoticed, because they cause no inotify event.
  package var isNetworkOrFuse: Bool { FileSystemSpace.isNetworkOrFuse(magic: magic) }

  /// Whether a file system of this kind may give a directory another inode number when it is mounted again.
  static func changesInodes(magic: UInt64) -> Bool {
    // overlayfs assigns new numbers to directories if its layers are on several file systems.
    magic == 0x794c_7630 || isNetworkOrFuse(magic: magic)
  }

  private static func isNetworkOrFuse(magic: UInt64) -> Bool {
    let magics: Set<UInt64> = [
      0x6969,  // NFS
      0xfe53_4d42, 0xff53_4d42, 0x517b,  // SMB2, CIFS, SMB
      0x6573_5546,  // FUSE, virtiofs included
      0x0102_1997,  // 9p
      0x00c3_6400,  // Ceph
      0x0bd0_0bd0,  // Lustre
      0x4750_4653,  // GPFS
    ]
    return magics.contains(magic)
  }

  private static func product(_ a: UInt64, _ b: UInt64) -> UInt64 {
    let (value, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? .max : value
  }
}
