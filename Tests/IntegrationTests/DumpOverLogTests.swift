import BackupTypes
import TestSupport
import Testing

/// A server that is started without AOF on a directory with one does not load it, and its first dump becomes
/// the newest state. A restore of this state asks first.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct DumpOverLogTests {
  private func fillLog(_ place: Place) async throws {
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.fill("key:", 1...500)
    _ = try await server.shutdown()
    try await place.shipOnce("--source", "redis")
  }

  /// Starts a server without AOF, writes one key, and ships what it saves.
  private func startWithoutLog(_ place: Place, _ directory: String) async throws {
    TestFiles.remove(directory + "/dump.rdb")
    try await nextSecond()
    let server = try await RedisServer.start(.v7_4, directory: directory)
    try server.command("SET", "only", "1")
    try await server.save()
    _ = try await server.shutdown()
    let result = try await LifeboatCommand.run([
      "ship", "--once", "--data", directory, "--repo", place.repository, "--source", "redis",
    ])
    #expect(result.exitCode == 0, "\(result)")
  }

  private func expectQuestion(_ place: Place) async throws {
    let target = try place.folder.makeDirectory("new")
    let asked = try await place.run("restore", ["--data", target])
    #expect(asked.exit == .suspect, "\(asked)")
    let before = try await place.run("restore", ["--data", target, "--suspect", "before"])
    #expect(before.exitCode == 0, "\(before)")
    let server = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    defer { server.kill() }
    #expect(try server.command("DBSIZE").integer == 500)
  }

  @Test func `beside the log of a history that is all log`() async throws {
    let place = try Place()
    try await fillLog(place)
    try await startWithoutLog(place, place.data)
    try await expectQuestion(place)
  }

  /// Choosing one state does not confirm a different one that replaced it.
  @Test func `beside a log that was restored by its name`() async throws {
    let place = try Place()
    try await fillLog(place)
    let point = try #require(await place.newest())
    let restored = try await place.restore(into: "restored", "--point", point)
    try await startWithoutLog(place, restored)
    try await expectQuestion(place)
  }
}
