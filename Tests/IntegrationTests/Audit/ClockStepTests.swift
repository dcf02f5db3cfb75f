import Glibc
import TestSupport
import Testing

/// The clock of server and sidecar is set back by an hour. The data that was written later is still the
/// newest.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct ClockStepTests {
  private static let hour = 3600

  /// A file's times come from the machine's clock, whatever time the writing process sees.
  private func age(_ path: String, bySeconds seconds: Int) throws {
    var times = [timespec](repeating: timespec(tv_sec: time(nil) + seconds, tv_nsec: 0), count: 2)
    guard utimensat(AT_FDCWD, path, &times, 0) == 0 else { throw HarnessError("utimensat \(path)") }
  }

  @Test(arguments: [ServerVersion.v7_0, .valkey9_1], [true, false])
  func `a dump of before the step is not younger than what was written since`(
    version: ServerVersion, isRestarted: Bool
  ) async throws {
    let (place, clock, server) = try await started(version)
    var shown = try Shown(place)
    try await shown.becomesWell("before the dump")
    try await server.save()
    try age(place.data + "/dump.rdb", bySeconds: ClockStepTests.hour)
    try server.command("SET", "key", "2")
    try await shown.becomesWell("before the step")

    try clock.set(seconds: 0)
    for value in 3...5 {
      try server.command("SET", "key", "\(value)")
      try await shown.becomesWell("value \(value)")
    }
    if isRestarted {
      shown.command.kill()
      shown = try Shown(place)
      try server.command("SET", "key", "6")
      try await shown.becomesWell("a new sidecar")
    }
    let expected = isRestarted ? "6" : "5"
    let restored = try await RedisServer.start(
      version, directory: try await place.restore(into: "restored"),
      options: ["appendonly": "yes"])
    #expect(try restored.command("GET", "key").string == expected)
    _ = try await shown.command.terminate()
  }

  /// A server and its shipper, both with a clock that is an hour ahead, and a key with value 1.
  private func started(_ version: ServerVersion) async throws -> (
    place: Place, clock: SteppedClock, server: RedisServer
  ) {
    var place = try Place()
    let clock = try await SteppedClock(place.folder, seconds: ClockStepTests.hour)
    place.environment = clock.environment
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"],
      environment: clock.environment)
    try server.command("SET", "key", "1")
    return (place, clock, server)
  }

  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `the lag grows over a step`(version: ServerVersion) async throws {
    let (place, clock, server) = try await started(version)
    let shown = try Shown(place)
    try await shown.becomesWell("before")
    let away = place.repository + ".away"
    guard rename(place.repository, away) == 0 else { throw HarnessError("rename") }
    try server.command("SET", "key", "2")
    try clock.set(seconds: 0)
    var lag: Double?
    try await eventually(
      deadline: 90, "the lag is more than 15 s",
      condition: {
        lag = try await shown.metric("lifeboat_log_lag_seconds")
        return lag ?? 0 > 15
      }, state: { "\(lag ?? -1) \(shown.command.errorText)" })
    #expect(lag ?? 0 < 1000, "an hour of the clock is no hour of lag: \(lag ?? -1)")
    let status = try await shown.run("status")
    #expect(status.exitCode == 1, "\(status)")
    guard rename(away, place.repository) == 0 else { throw HarnessError("rename") }
    try await shown.becomesWell("the store is back")
    _ = try await shown.command.terminate()
  }
}
