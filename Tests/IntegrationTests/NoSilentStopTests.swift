import Glibc
import TestSupport
import Testing

/// If files can't be read, the shipper reports it as a state and recovers later. It does not exit, because a
/// sidecar that exits takes its pod out of service.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct NoSilentStopTests {
  @Test(arguments: [true, false])
  func `a directory in the place of the dump`(isThereFromTheStart: Bool) async throws {
    let place = try Place()
    let blocker = place.data + "/dump.rdb"
    if isThereFromTheStart { try TestFiles.makeDirectory(blocker) }
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "dbfilename": "other.rdb"])
    try server.command("SET", "first", "1")
    let ship = try place.ship("--ship-interval", "200ms")
    if !isThereFromTheStart {
      try await eventually(
        deadline: 60, "it ships", condition: { await place.newest() != nil },
        state: { ship.errorText })
      try TestFiles.makeDirectory(blocker)
    }
    try await eventually(
      deadline: 60, "it says what is wrong",
      condition: {
        try #require(ship.end == nil, "\(ship.errorText)")
        return ship.errorText.contains("is not a regular file")
          && ship.errorText.contains("shipping is blocked")
      }, state: { ship.errorText })
    try server.command("SET", "second", "2")
    rmdir(blocker)
    _ = try await server.shutdown()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(
      .v7_4, directory: restored, options: ["appendonly": "yes"])
    #expect(try again.command("GET", "second").string == "2")
  }
}
