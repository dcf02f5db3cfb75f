package import BackupFormat
import BackupTypes
package import SystemIO

extension FileIdentity {
  package init(_ status: FileStatus) {
    self.init(
      inode: status.inode, bornSeconds: status.born?.seconds,
      bornNanoseconds: status.born?.nanoseconds)
  }
}

extension FileVersion {
  package init(_ status: FileStatus) {
    self.init(
      identity: FileIdentity(status), size: status.size, modified: status.modified,
      changed: status.changed)
  }
}
