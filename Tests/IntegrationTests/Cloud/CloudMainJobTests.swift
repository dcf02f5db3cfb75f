import BackupTypes
import TestSupport
import Testing

/// The main job with its repository on a real S3 server, run through the binary.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct CloudMainJobTests {
  private static let cases = [ServerVersion.v7_4, .valkey9_1].flatMap { version in
    [
      CrashTests.Case(version: version, appendOnly: true, fsync: "always"),
      CrashTests.Case(version: version, appendOnly: false, fsync: "everysec"),
    ]
  }

  @Test(arguments: cases)
  func `kill -9 of both: what the bucket has is whole and in order`(
    test: CrashTests.Case
  ) async throws {
    try await Place.onSeaweed().survivesKills(test)
  }

  @Test(arguments: [ServerVersion.v7_4, .valkey9_1])
  func `every command works on a bucket`(version: ServerVersion) async throws {
    let place = try await Place.onSeaweed()
    let first = try await fill(place, version) { client in
      for index in 1...200 { try client.command("SET", "key:\(index)", "value \(index)") }
    }
    try await place.shipOnce()
    let listed = try await place.run("list", ["--json"])
    #expect(listed.exitCode == 0 && listed.jsonText("newest") != nil, "\(listed)")
    let inspected = try await place.run("inspect", [])
    #expect(inspected.exitCode == 0 && inspected.outputText.contains("200"), "\(inspected)")
    // There is nothing new, so nothing is written.
    try await place.shipOnce()
    #expect(await place.newest() == listed.jsonText("newest"))

    // What may be an accident is pinned and asked about, and then the pin is released.
    let second = try await fill(place, version) { client in
      try client.command("FLUSHALL")
      try client.command("SET", "left", "over")
    }
    try await place.shipOnce()
    let asked = try await place.run("restore", ["--data", try place.folder.makeDirectory("asked")])
    try #require(asked.exit == .suspect, "\(asked)")
    for (choice, expected) in [("before", first), ("newest", second)] {
      let target = try await place.restore(into: choice, "--suspect", choice)
      #expect(try await loaded(target, version) == expected, "--suspect \(choice)")
    }
    let unpinned = try await place.run("unpin", ["--all"])
    #expect(unpinned.exitCode == 0, "\(unpinned)")
    let target = try await place.restore(into: "accepted")
    #expect(try await loaded(target, version) == second)
  }

  @Test func `a bucket without a backup is proved to be without one`() async throws {
    let place = try await Place.onSeaweed()
    let target = try place.folder.makeDirectory("target")
    let boot = try await place.run(
      "restore", ["--data", target, "--if-empty", "--if-backup-exists", "--json"])
    #expect(boot.exitCode == 0 && boot.jsonText("result") == "no-backup", "\(boot)")
    let asked = try await place.run("restore", ["--data", target])
    #expect(asked.exit == .noBackup, "\(asked)")
    #expect(try await place.run("list", []).exit == .noBackup)
  }

  /// Runs a server on the place's volume for as long as `body` takes, saves, and returns its content.
  private func fill(
    _ place: Place, _ version: ServerVersion, _ body: (RESPClient) throws -> Void
  ) async throws -> Dataset {
    let server = try await RedisServer.start(version, directory: place.data)
    defer { server.kill() }
    try body(try server.connect())
    try await server.save()
    return try await server.dataset()
  }

  private func loaded(_ directory: String, _ version: ServerVersion) async throws -> Dataset {
    let server = try await RedisServer.start(version, directory: directory)
    defer { server.kill() }
    return try await server.dataset()
  }
}
