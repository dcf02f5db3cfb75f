import Auditing
package import BackupFormat
package import BackupTypes
import Codec
import HistoryLogic
package import Logging
package import RepositoryAccess
package import SystemIO
import SystemPackage
package import WriterLogic

/// The files of a data directory as a source.
extension Capture: Source {
  package func file(_ pin: PinID) -> (any SourceFile)? { openFile(pin) }

  package func origin() throws(LifeboatError) -> SourceOrigin {
    let identity = try directory.identity()
    return SourceOrigin(
      directory: DirectoryName(identity).description,
      place: Claim.Place(device: try directory.status().device), isStable: identity.isStable)
  }

  package func receipt() -> Marker? { Marker.read(in: path) }

  package func isEmpty() throws -> Bool {
    let facts = try DirectoryLook(path, names: names).facts()
    return DataVerdict.judge(facts, appendOnly: .unknown) == .empty
  }

  package func watch(_ logger: Logger, onChange: @escaping @Sendable () -> Void) -> any SourceWatch
  {
    DirectoryWatch(
      data: path, appendDirectory: path.appending(names.appendDirectory), logger: logger,
      onChange: onChange)
  }
}

extension OpenFile: SourceFile {
  package var name: String { path.description }

  package func version() throws(LifeboatError) -> FileVersion { FileVersion(try status()) }

  package func read(from: UInt64, to: UInt64) throws(LifeboatError) -> [UInt8] {
    let count = Int(to - from)
    var failure: LifeboatError?
    let bytes = [UInt8](unsafeUninitializedCapacity: bulkCapacity(count)) { buffer, filled in
      let wanted = UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
      do throws(LifeboatError) { filled = try read(into: wanted, at: from) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }
}

extension DirectoryName {
  init(_ identity: DirectoryIdentity) {
    self.init(
      fileSystem: identity.fileSystem, inode: identity.inode,
      birth: identity.born)
  }
}

extension Claim.Place {
  /// - Parameter device: the device number of the data directory's file system.
  init(device: UInt64) {
    let disk = BlockDevice(device)
    // A disk without an identifier is named by its device number, together with the identifier of the
    // machine.
    let name =
      disk?.name()
      ?? disk.flatMap { disk in HostFacts.machine().map { "machine.\($0).\(disk.number)" } }
    self.init(
      boot: HostFacts.bootIdentifier(), device: BlockDevice.number(device),
      volume: name.map { SHA256Hasher.digest(of: Array($0.utf8)).short.hexadecimal })
  }
}
