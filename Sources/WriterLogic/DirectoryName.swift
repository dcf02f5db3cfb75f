import BackupFormat
package import BackupTypes

/// The name of the data directory in a claim: `<file system>:<inode>[:<seconds>.<nanoseconds> of its
/// birth]`. Release 0.1.0 compares the text, so the text keeps the form of that release.
package struct DirectoryName: Sendable, Hashable {
  /// `f_fsid` in hexadecimal. On XFS it contains the device number, so it differs after a mount on another
  /// machine. On NFS and FUSE it is 0.
  package var fileSystem: String
  package var inode: UInt64
  /// Nil if the file system has no birth times.
  package var birth: FileMoment?

  package init(fileSystem: UInt64, inode: UInt64, birth: FileMoment?) {
    self.fileSystem = hexadecimal(littleEndianBytes(fileSystem))
    self.inode = inode
    self.birth = birth
  }

  /// Nil if the text is not such a name.
  package init?(_ text: String) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard (2...3).contains(parts.count), BackupTypes.bytes(hexadecimal: parts[0])?.count == 8,
      let inode = UInt64(parts[1])
    else { return nil }
    fileSystem = String(parts[0])
    self.inode = inode
    guard parts.count == 3 else { return }
    let time = parts[2].split(separator: ".", omittingEmptySubsequences: false)
    guard time.count == 2, let seconds = Int64(time[0]), let nanoseconds = Int64(time[1]) else {
      return nil
    }
    birth = FileMoment(seconds: seconds, nanoseconds: nanoseconds)
  }

  package enum Relation: Sendable { case same, other, unknown }

  /// Whether two names mean the same directory, whatever device it is mounted from.
  ///
  /// - Parameter isStable: this file system keeps its inode numbers and its identifier. Network and FUSE
  ///   file systems need not do so.
  package func relation(to other: DirectoryName, isStable: Bool) -> Relation {
    switch (knownBirth, other.knownBirth) {
    case (let mine?, let theirs?):
      guard inode == other.inode, mine == theirs else { return isStable ? .other : .unknown }
      // `mkfs` always gives a root directory the same inode, and a birth time in whole seconds. Two volumes
      // that were made in the same second differ only in the file system's identifier.
      if mine.nanoseconds == 0, fileSystem != other.fileSystem { return .unknown }
      return .same
    case (nil, nil):
      guard isStable, !isAnonymous, !other.isAnonymous else { return .unknown }
      return fileSystem == other.fileSystem && inode == other.inode ? .same : .other
    default: return .unknown
    }
  }

  /// Some file systems without birth times report the epoch.
  private var knownBirth: FileMoment? {
    birth == FileMoment(seconds: 0, nanoseconds: 0) ? nil : birth
  }

  private var isAnonymous: Bool { fileSystem.allSatisfy { $0 == "0" } }
}

extension DirectoryName: CustomStringConvertible {
  package var description: String {
    "\(fileSystem):\(inode)" + (birth.map { ":\($0.seconds).\($0.nanoseconds)" } ?? "")
  }
}
