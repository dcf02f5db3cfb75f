import Glibc
import TestSupport
import Testing

/// What can happen to the mount of the data directory while it is shipped.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct OtherVolumeTests {
  private func shows(_ words: String, _ shown: Shown, _ what: String) async throws {
    var last = ""
    try await eventually(
      deadline: 90, what,
      condition: {
        guard shown.command.end == nil else {
          throw HarnessError("it ended: \(shown.command.errorText)")
        }
        last = try await shown.run("status").outputText
        return last.contains(words)
      }, state: { last + shown.command.errorText })
  }

  private func restores(_ value: String, _ place: Place, _ version: ServerVersion, into: String)
    async throws
  {
    let server = try await RedisServer.start(
      version, directory: try await place.restore(into: into), options: ["appendonly": "yes"])
    defer { _ = server.kill() }
    #expect(try server.command("GET", "key").string == value)
  }

  /// The volume is mounted after the sidecar has started, as can happen if both start at the same time.
  @Test(
    .enabled(if: getuid() == 0, "mount(2) needs root"),
    arguments: [ServerVersion.v7_0, .valkey9_1])
  func `a volume that is mounted after the start is shipped`(version: ServerVersion) async throws {
    let place = try Place()
    let volume = try place.folder.makeDirectory("volume")
    let server = try await RedisServer.start(
      version, directory: volume, options: ["appendonly": "yes"])
    try server.command("SET", "key", "1")
    let shown = try Shown(place)
    try await shows("nothing on disk yet", shown, "has not written any of these files yet")
    guard mount(volume, place.data, "", UInt(MS_BIND), nil) == 0 else {
      throw HarnessError("mount: \(String(cString: strerror(errno)))")
    }
    defer { umount2(place.data, Int32(MNT_DETACH)) }
    try await shown.becomesWell("the volume is shipped")
    try server.command("SET", "key", "2")
    try await shown.becomesWell("so is what comes then")
    try await restores("2", place, version, into: "mounted")

    // After the unmount, the path is the empty directory beneath it, but the server still writes to the
    // volume.
    umount2(place.data, Int32(MNT_DETACH))
    try server.command("SET", "key", "3")
    try await shows("state         blocked", shown, "what is gone is not said to be well")
    let sync = try await shown.run("sync", "--wait", "--timeout", "1s")
    #expect(sync.exitCode != 0, "\(sync)")
    guard mount(volume, place.data, "", UInt(MS_BIND), nil) == 0 else {
      throw HarnessError("mount: \(String(cString: strerror(errno)))")
    }
    try server.command("SET", "key", "4")
    try await shown.becomesWell("the volume is back")
    try await restores("4", place, version, into: "again")
    _ = try await shown.command.terminate()
  }

  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `a directory that the file server forgot is not said to be well`(version: ServerVersion)
    async throws
  {
    var place = try Place()
    let stale = try await StaleDirectory(place.folder, place.data)
    place.environment = stale.environment
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "1")
    let shown = try Shown(place)
    try await shown.becomesWell("before")
    try stale.isStale(true)
    try server.command("SET", "key", "2")
    try await shows("state         blocked", shown, "it is blocked")
    try await shows("Stale file handle", shown, "it says why")
    let sync = try await shown.run("sync", "--wait", "--timeout", "1s")
    #expect(sync.exitCode != 0, "\(sync)")
    let once = try await place.run("ship", ["--once", "--data", place.data])
    #expect(once.exitCode == 1 && once.errorText.contains("Stale file handle"), "\(once)")
    try stale.isStale(false)
    try await shown.becomesWell("the file server is back")
    try await restores("2", place, version, into: "after")
    _ = try await shown.command.terminate()
  }
}
