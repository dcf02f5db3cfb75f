import Glibc
import SystemPackage
import Testing

@testable import SystemIO

/// Facts about block devices, from a sysfs that is made of files.
struct BlockDeviceTests {
  private let scratch: Scratch
  init() throws { scratch = try Scratch() }

  private func write(_ path: String, _ text: String) throws {
    var directory = scratch.directory
    let parts = path.split(separator: "/").map(String.init)
    for part in parts.dropLast() {
      try directory.makeDirectory(part, mode: 0o700)
      directory = try #require(try directory.openDirectory(part))
    }
    try DurableFile.replace(parts.last!, in: directory, bytes: Array(text.utf8), mode: 0o600)
  }

  /// Makes a link like `dev/block/8:1`. Both paths are relative to the top of this sysfs.
  private func link(_ path: String, to target: String) throws {
    try write(path + ".x", "")
    let whole = scratch.path.appending(path)
    #expect(symlink(scratch.path.appending(target).string, whole.string) == 0)
  }

  private func name(_ major: UInt64, _ minor: UInt64) -> String? {
    BlockDevice(major << 8 | minor, system: scratch.path)?.name()
  }

  @Test(arguments: [
    (
      "wwid", "nvme.1d0f-766f6c3031323334-416d-00000001\n",
      "nvme.1d0f-766f6c3031323334-416d-00000001"
    ),
    ("device/wwid", "naa.60022480\0\n", "naa.60022480"),
    ("serial", "vol-0a1b2c3d4e5f\n", "vol-0a1b2c3d4e5f"),
    ("device/wwid", "t10.QEMU    QEMU HARDDISK   drive-scsi0   1234\n", nil),
    (
      "device/wwid", "t10.QEMU QEMU HARDDISK scsi-0HC_Volume_12345",
      "t10.QEMU QEMU HARDDISK scsi-0HC_Volume_12345"
    ),
    ("device/wwid", "t10.IET     00010001", nil), ("serial", "overlayblk", nil),
    ("serial", "\n", nil),
  ])
  func `a disk`(file: String, text: String, expected: String?) throws {
    try write("devices/vda/" + file, text)
    try link("dev/block/254:0", to: "devices/vda")
    #expect(name(254, 0) == expected)
  }

  @Test func `a partition is its disk's, with its number`() throws {
    try write("devices/sda/device/wwid", "naa.60022480")
    try write("devices/sda/sda3/partition", "3\n")
    try link("dev/block/8:3", to: "devices/sda/sda3")
    #expect(name(8, 3) == "naa.60022480-part3")
  }

  @Test func `device mapper is as unique as what is below`() throws {
    try write("devices/sda/device/wwid", "naa.60022480")
    try write("devices/dm-0/dm/uuid", "CRYPT-LUKS2-1\n")
    try link("devices/dm-0/slaves/sda", to: "devices/sda")
    try link("dev/block/253:0", to: "devices/dm-0")
    // The helper also makes a file beside each link.
    try OpenDirectory(scratch.path.appending("devices/dm-0/slaves")).remove("sda.x")
    #expect(name(253, 0) == "naa.60022480.CRYPT-LUKS2-1")
    try write("devices/sdb/size", "1")
    try link("devices/dm-0/slaves/sdb", to: "devices/sdb")
    try OpenDirectory(scratch.path.appending("devices/dm-0/slaves")).remove("sdb.x")
    #expect(name(253, 0) == nil, "one of two says nothing")
  }

  @Test func `others`() throws {
    try write("devices/loop1/loop/backing_file", "/images/a.img\n")
    try link("dev/block/7:1", to: "devices/loop1")
    #expect(name(7, 1) == "loop./images/a.img")
    for (file, text) in [("cluster_fsid", "c1"), ("pool_id", "2"), ("image_id", "3ab")] {
      try write("devices/rbd0/device/" + file, text)
    }
    try link("dev/block/252:0", to: "devices/rbd0")
    #expect(name(252, 0) == "rbd.c1.2.3ab")
    #expect(BlockDevice(45, system: scratch.path) == nil, "no block device")
  }

  @Test func `numbers are the kernel's`() throws {
    #expect(BlockDevice.number(259 << 8 | 3) == "259:3")
    let status = try #require(try FileStatus.at("/dev/null"))
    #expect(!BlockDevice.number(status.device).isEmpty)
  }
}
