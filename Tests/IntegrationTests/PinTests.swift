import BackupTypes
import TestSupport
import Testing

/// Pins that a person sets by name: set, listed, kept and released, through the binary.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct PinTests {
  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `a name brings back the state before a migration, also after retention`(
    version: ServerVersion
  ) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.fill("old:", 1...50)
    try await place.shipOnce()
    let pinned = try await place.run("pin", ["--name", "before-migration", "--for", "90d"])
    #expect(pinned.exitCode == 0, "\(pinned)")
    #expect(pinned.outputText.has("as before-migration, until "), "\(pinned)")
    let listed = try await place.run("list", [])
    #expect(listed.outputText.has("Pin before-migration keeps 1."), "\(listed)")
    #expect(listed.outputText.has(" --point before-migration --data DIR"), "\(listed)")
    let again = try await place.run("pin", ["--name", "before-migration"])
    #expect(again.exit == .refused && again.errorText.has("lifeboat unpin"), "\(again)")
    let before = try await server.dataset()
    try server.command("FLUSHALL")
    try server.fill("new:", 1...50)
    if version != .v6_2 { try await server.rewriteAOF() }
    try await place.shipOnce()
    // From forty days ago, nothing else is kept.
    let clock = try await SteppedClock(place.folder, seconds: 40 * 86_400)
    var later = place
    later.environment.merge(clock.environment) { $1 }
    _ = try await later.run(
      "prune", ["--keep-within", "0s", "--keep-daily", "0", "--confirm"])
    let target = try place.folder.makeDirectory("target")
    let restored = try await later.run(
      "restore", ["--data", target, "--point", "before-migration"])
    try #require(restored.exitCode == 0, "\(restored)")
    let loaded = try await RedisServer.start(
      version, directory: target, options: ["appendonly": "yes"])
    #expect(try await loaded.dataset() == before)
    loaded.kill()
    // Such a pin asks no question: the newest state is restored without one.
    let newest = try await later.run(
      "restore", ["--data", try place.folder.makeDirectory("newest")])
    #expect(newest.exitCode == 0, "\(newest)")
    let all = try await later.run("unpin", ["--all"])
    #expect(all.exitCode == 0 && all.outputText.has("kept: before-migration"), "\(all)")
    let inspected = try await later.run("inspect", ["--point", "before-migration"])
    #expect(inspected.exitCode == 0, "\(inspected)")
    let released = try await later.run("unpin", ["before-migration"])
    #expect(released.exitCode == 0, "\(released)")
    let gone = try await later.run(
      "restore", ["--data", target, "--replace", "--point", "before-migration"])
    #expect(gone.exit == .noBackup, "\(gone)")
  }
}
