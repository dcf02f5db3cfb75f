import BackupFormat
import BackupLogic
import BackupTypes
import Codec
import SystemIO

extension Shipper {
  /// The identity under which this shipper claims: this Redis, on this machine, with this directory.
  func ownership(of directory: String) throws(LifeboatError) -> Ownership {
    let open = try OpenDirectory(options.data)
    return Ownership(
      source: options.sourceName, instance: options.host + "/" + directory, directory: directory,
      place: Claim.Place(device: try open.status().device), isStable: try open.identity().isStable,
      takesOver: options.takesOver)
  }
}

extension DirectoryName {
  init(_ identity: DirectoryIdentity) {
    self.init(
      fileSystem: identity.fileSystem, inode: identity.inode,
      birth: identity.born.map { Birth(seconds: $0.seconds, nanoseconds: $0.nanoseconds) })
  }
}

extension Claim.Place {
  /// - Parameter device: the device number of the data directory's file system.
  init(device: UInt64) {
    let disk = BlockDevice(device)
    // A disk without an identity of its own is identified by its number, in a machine that has an identity.
    let name =
      disk?.name()
      ?? disk.flatMap { disk in HostFacts.machine().map { "machine.\($0).\(disk.number)" } }
    self.init(
      boot: HostFacts.bootIdentifier(), device: BlockDevice.number(device),
      volume: name.map { SHA256Hasher.digest(of: Array($0.utf8)).short.hexadecimal })
  }
}
