import Glibc
import TestSupport
import Testing

/// Volumes that are mounted from another device, and clones of them. They are file systems in image files, so
/// this needs root and loop devices.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun && LoopVolume.isPossible))
struct MovedVolumeTests {
  private static let flags = ["--source", "test/redis", "--ship-interval", "200ms"]

  private func shipping(_ place: Place, _ volume: LoopVolume, pod: String?) throws -> RunningCommand
  {
    let flags = Self.flags + ["--data", volume.data, "--repo", place.repository]
    return try LifeboatCommand.start(
      ["ship"] + flags, environment: pod.map { ["POD_UID": $0] } ?? [:])
  }

  @Test(arguments: [true, false])
  func `a clone beside its idle original stands by, for ever`(hasPods: Bool) async throws {
    let place = try Place()
    let original = try await LoopVolume(place.folder, "original")
    try original.write("k", "1")
    let owner = try shipping(place, original, pod: hasPods ? "pod-a" : nil)
    try await eventually(
      deadline: 60, "the original is shipped", condition: { await place.newest() != nil },
      state: { owner.errorText })
    let clone = try await original.clone("clone")
    try clone.write("k", "2")
    let other = try shipping(place, clone, pod: hasPods ? "pod-b" : nil)
    try await eventually(
      deadline: 60, "the clone stands by",
      condition: {
        other.errorText.contains("standby: this shipper uploads nothing") || place.timelines > 1
      },
      state: { other.errorText })
    #expect(other.errorText.contains("was cloned from"), "\(other.errorText)")
    #expect(!other.errorText.contains("has not grown for"), "\(other.errorText)")
    #expect(place.timelines == 1)
    #expect(try await owner.terminate().exitCode == 0)
    other.kill()
  }

  @Test(arguments: [true, false])
  func `a volume that is mounted from another device goes on`(hasPods: Bool) async throws {
    let place = try Place()
    let volume = try await LoopVolume(place.folder, "volume")
    try volume.write("k", "1")
    let first = try shipping(place, volume, pod: hasPods ? "pod-a" : nil)
    try await eventually(
      deadline: 60, "it is shipped", condition: { await place.newest() != nil },
      state: { first.errorText })
    first.kill()
    // Another volume gets its device number.
    try await volume.unmount()
    let other = try await LoopVolume(place.folder, "other")
    try await volume.mount()
    try volume.write("k", "2")
    let second = try shipping(place, volume, pod: hasPods ? "pod-b" : nil)
    if hasPods {
      try await eventually(
        deadline: 60, "it waits, and not for ever",
        condition: { second.errorText.contains("taken over when it has not grown for") },
        state: { second.errorText })
    } else {
      try await eventually(
        deadline: 60, "it claims at once", condition: { place.timelines == 2 },
        state: { second.errorText })
    }
    second.kill()
    withExtendedLifetime(other) {}
  }
}

/// A file system in an image, mounted through a loop device.
final class LoopVolume {
  static var isPossible: Bool {
    geteuid() == 0 && access("/dev/loop-control", R_OK) == 0
      && access("/usr/sbin/mkfs.ext4", X_OK) == 0
  }

  private let folder: TemporaryDirectory
  private let image: String
  private let mountPoint: String
  /// Not the root of the volume, which has the same inode on every volume.
  var data: String { mountPoint + "/data" }

  init(_ folder: TemporaryDirectory, _ name: String) async throws {
    (self.folder, image) = (folder, folder(name + ".img"))
    mountPoint = try folder.makeDirectory(name)
    try await shell("truncate -s 16M '\(image)' && mkfs.ext4 -q '\(image)'")
    try await mount()
    try TestFiles.makeDirectory(data)
  }

  private init(of original: LoopVolume, _ name: String) async throws {
    (folder, image) = (original.folder, original.folder(name + ".img"))
    mountPoint = try folder.makeDirectory(name)
    try await shell("sync -f '\(original.mountPoint)' && cp '\(original.image)' '\(image)'")
    try await mount()
  }

  deinit {
    // A system call, since a command's process would outlive this object.
    _ = umount2(mountPoint, Int32(MNT_DETACH))
  }

  /// Copies the image block by block while the original is mounted.
  func clone(_ name: String) async throws -> LoopVolume { try await LoopVolume(of: self, name) }

  func mount() async throws { try await shell("mount -o loop '\(image)' '\(mountPoint)'") }
  func unmount() async throws { try await shell("umount '\(mountPoint)'") }

  /// Appends a SET to an AOF as Redis 6 does.
  func write(_ key: String, _ value: String) throws {
    try TestFiles.append(
      Array("*3\r\n$3\r\nSET\r\n$1\r\n\(key)\r\n$1\r\n\(value)\r\n".utf8),
      to: data + "/appendonly.aof")
  }

  private func shell(_ script: String) async throws {
    let end = try await ChildProcess("/bin/sh", ["-c", script]).wait()
    guard end == .exited(0) else { throw HarnessError("\(script): \(end)") }
  }
}
