import BackupTypes
import SystemIO
import TestSupport
import Testing

/// A plan shows what a restore gives and what it leaves out. Nothing is written.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct DryRunTests {
  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `the plan says how exact it is, and what stands on both sides of the cut`(
    version: ServerVersion
  ) async throws {
    let place = try Place()
    var options = ["appendonly": "yes", "appendfsync": "always"]
    if version.hasMultiPartAOF { options["aof-timestamp-enabled"] = "yes" }
    let server = try await RedisServer.start(version, directory: place.data, options: options)
    try server.command("SET", "first", "1")
    let ship = try place.ship("--ship-interval", "100ms", "--admin-listen", "off")
    try await eventually(
      deadline: 60, "a restore point", condition: { await place.newest() != nil },
      state: { ship.errorText })
    try server.command("SET", "precious\r\n", "1")
    let written = SystemClock.now()
    try await eventually("the next second but one") {
      SystemClock.now().milliseconds / 1000 > written.milliseconds / 1000 + 1
    }
    try server.command("FLUSHALL")
    try server.command("SET", "life", "goes on")
    _ = try await ship.terminate()
    let target = try place.folder.makeDirectory("restored")

    let before = try await place.run(
      "restore", ["--data", target, "--before", "FLUSHALL", "--dry-run"])
    #expect(before.exitCode == 0, "\(before)")
    let text = before.outputText
    #expect(text.contains("would restore "), "\(before)")
    #expect(text.contains("last command kept: SET precious\\u{d}\\u{a}, seen at 20"), "\(before)")
    #expect(text.contains("first left out:    FLUSHALL, seen at 20"), "\(before)")
    #expect(text.contains("mark after:        20"), "\(before)")

    let second = Instant(seconds: written.milliseconds / 1000 + 1)
    let planned = try await place.run(
      "restore", ["--data", target, "--at", "\(second)", "--dry-run", "--json"])
    #expect(planned.exitCode == 0, "\(planned)")
    #expect(
      planned.jsonText("precision") == (version.hasMultiPartAOF ? "second" : "mark"), "\(planned)")
    #expect(planned.outputText.contains("\"firstLeftOut\""), "\(planned)")
    #expect(TestFiles.tree(target).isEmpty)
  }

  @Test func `a directory that a restore would make has a plan, and is not made`() async throws {
    let place = try Place()
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    let target = place.folder("new")
    let planned = try await place.run("restore", ["--data", target, "--dry-run"])
    #expect(planned.exitCode == 0 && planned.outputText.contains("would restore "), "\(planned)")
    #expect(!TestFiles.list(place.folder.path).contains("new"))
    let far = try await place.run("restore", ["--data", target + "/deeper", "--dry-run"])
    #expect(far.exit == .failure, "\(far)")
    let file = try await place.run(
      "restore", ["--data", place.data + "/dump.rdb/deeper", "--dry-run"])
    #expect(file.exit == .failure, "\(file)")
    let restored = try await place.run("restore", ["--data", target])
    #expect(restored.exitCode == 0, "\(restored)")
    // The plan of a first start says that it is one.
    let empty = try place.folder.makeDirectory("nothing")
    let absent = try await LifeboatCommand.run([
      "restore", "--repo", empty, "--data", place.folder("none"), "--dry-run",
      "--if-backup-exists",
    ])
    #expect(absent.exitCode == 0, "\(absent)")
    #expect(!TestFiles.list(place.folder.path).contains("none"))
  }
}
