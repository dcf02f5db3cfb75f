import BackupTypes
package import SystemPackage

/// The identity of the block device below a file system, from sysfs. A disk keeps it when it is attached to
/// another machine. A clone of the disk has another one.
package struct BlockDevice: Sendable {
  /// As in `/proc/self/mountinfo`: `259:3`.
  package var number: String
  private let folder: FilePath

  private static let devicesMax = 16
  private static let depthMax = 6
  private static let textBytesMax = 8192

  /// Nil if `device` is not a block device of the kernel, for example with a network file system.
  ///
  /// - Parameters:
  ///   - device: the `FileStatus.device` of a file on it.
  ///   - system: where sysfs is mounted.
  package init?(_ device: UInt64, system: FilePath = "/sys") {
    number = BlockDevice.number(device)
    folder = system.appending("dev").appending("block").appending(number)
    // Follows the link.
    guard (try? OpenDirectory(folder)) != nil else { return nil }
  }

  /// The two parts of a device number, as makedev(3) of glibc combines them.
  package static func number(_ device: UInt64) -> String {
    let major = device >> 32 & 0xffff_f000 | device >> 8 & 0xfff
    let minor = device >> 12 & 0xffff_ff00 | device & 0xff
    return "\(major):\(minor)"
  }

  /// Nil if its identity is not unique.
  package func name() -> String? { name(of: folder, depth: 0) }

  private func name(of folder: FilePath, depth: Int) -> String? {
    guard depth < BlockDevice.depthMax else { return nil }
    guard let partition = text(folder, "partition") else { return disk(folder, depth) }
    return disk(folder.pushing(".."), depth).map { "\($0)-part\(partition)" }
  }

  private func disk(_ folder: FilePath, _ depth: Int) -> String? {
    // RADOS block devices.
    if let cluster = text(folder, "device", "cluster_fsid"),
      let pool = text(folder, "device", "pool_id"), let image = text(folder, "device", "image_id")
    {
      return "rbd.\(cluster).\(pool).\(image)"
    }
    if let file = text(folder, "loop", "backing_file") { return "loop.\(file)" }
    // For device mapper and RAID, the disks below it decide, since a clone of a disk has the same data.
    if let below = below(folder, depth) {
      let uuid = text(folder, "dm", "uuid") ?? ""
      return below.isEmpty ? nil : "\(below.joined(separator: "+")).\(uuid)"
    }
    let places = [["wwid"], ["device", "wwid"], ["serial"], ["device", "serial"]]
    return places.lazy.compactMap { text(folder, $0) }.first { BlockDevice.isUnique($0) }
  }

  /// The names of the devices that this one consists of. Empty if one of them has no name, nil if it does not
  /// consist of others.
  private func below(_ folder: FilePath, _ depth: Int) -> [String]? {
    let slaves = folder.appending("slaves")
    guard let entries = try? OpenDirectory(slaves).entries(), !entries.isEmpty else { return nil }
    guard entries.count <= BlockDevice.devicesMax else { return [] }
    let names = entries.compactMap { name(of: slaves.appending($0.name), depth: depth + 1) }
    return names.count == entries.count ? names.sorted() : []
  }

  /// Some names are the same on every machine: those of virtual disks without a serial number, of iSCSI
  /// targets that number their disks, and of the controller of Google's NVMe disks.
  private static func isUnique(_ name: String) -> Bool {
    name.utf8.count { (0x30...0x39).contains($0) } >= 4
      && !["drive-", "QM0000", "IET", "nvme_card", "6e766d655f63617264"].contains {
        name.contains($0)
      }
  }

  private func text(_ folder: FilePath, _ names: String...) -> String? { text(folder, names) }

  private func text(_ folder: FilePath, _ names: [String]) -> String? {
    let path = names.reduce(folder) { $0.pushing(FilePath($1)) }
    guard let file = try? OpenFile(reading: path, links: .follow),
      let bytes = try? file.readAll(limit: BlockDevice.textBytesMax)
    else { return nil }
    let words = String(decoding: bytes, as: UTF8.self).split { $0.isWhitespace || $0 == "\0" }
    return words.isEmpty ? nil : words.joined(separator: " ")
  }
}
