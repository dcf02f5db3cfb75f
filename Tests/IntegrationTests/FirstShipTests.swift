import HistoryLogic
import RepositoryAccess
import TestSupport
import Testing

/// A shipper that is killed before its first generation is durable leaves nothing to restore. The next pod
/// boots on an empty volume and ships.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct FirstShipTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var version: ServerVersion
    var appendOnly: Bool
    /// How often the first pod's shipper starts before the volume is lost.
    var starts: Int
    var testDescription: String {
      "\(version), AOF \(appendOnly ? "on" : "off"), \(starts) starts"
    }
    static let all: [Case] = [
      .init(version: .v7_4, appendOnly: true, starts: 1),
      .init(version: .v7_4, appendOnly: false, starts: 1),
      .init(version: .v6_2, appendOnly: false, starts: 2),
      .init(version: .valkey9_1, appendOnly: true, starts: 3),
      .init(version: .v8_2, appendOnly: false, starts: 2),
    ]
  }

  @Test(arguments: Case.all)
  func `killed before its first generation is durable: a new pod boots and ships`(
    test: Case
  ) async throws {
    let place = try Place()
    let options = ["appendonly": test.appendOnly ? "yes" : "no"]
    try await firstPod(place, test, options)
    let point = try await place.listing().newest
    #expect(point == nil, "nothing was durable, and yet there is \(point ?? "")")

    // The new pod has an empty volume. This is its init container.
    let volume = try place.folder.makeDirectory("volume")
    let boot = try await LifeboatCommand.run(
      [
        "restore", "--if-empty", "--if-backup-exists", "--data", volume, "--repo", place.repository,
      ],
      environment: ["POD_UID": "second"])
    try #require(boot.exitCode == 0, "\(boot)")
    let server = try await RedisServer.start(test.version, directory: volume, options: options)
    let ship = try place.ship(
      pod: "second", ["--source", "redis", "--ship-interval", "200ms"], data: volume)
    try server.command("SET", "second", "pod")
    if !test.appendOnly { try await server.save() }
    try await eventually(
      deadline: 60, "the second pod ships",
      condition: { await place.newest() != nil }, state: { ship.errorText })
    _ = try await server.shutdown()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(test.version, directory: restored, options: options)
    #expect(try again.command("GET", "second").string == "pod")
  }

  /// The shipped log is all that is left of that pod. It is reported and pinned, and can be restored.
  @Test
  func `log that was shipped before its BASE is told at the next boot, pinned and restorable`()
    async throws
  {
    let place = try Place()
    let test = Case(version: .v7_4, appendOnly: true, starts: 1)
    try await firstPod(place, test, ["appendonly": "yes"]) {
      // Not an object that is still being written.
      $0.contains("/log/") && !$0.contains(".lifeboat-tmp")
    }
    let volume = try place.folder.makeDirectory("volume")
    let boot = try await LifeboatCommand.run(
      [
        "restore", "--if-empty", "--if-backup-exists", "--json", "--data", volume, "--repo",
        place.repository,
      ], environment: ["POD_UID": "second"])
    try #require(boot.exitCode == 0 && boot.jsonText("result") == "never-completed", "\(boot)")
    #expect(boot.outputText.has("--timeline 1 --base empty"), "\(boot)")
    let listed = try await LifeboatCommand.run(["list", "--repo", place.repository])
    #expect(listed.outputText.has("log without its BASE"), "\(listed)")
    let known = try await LifeboatCommand.run(
      [
        "restore", "--if-empty", "--if-backup-exists", "--data", volume, "--repo",
        place.repository, "--repository-id", try await place.listing().repository,
      ])
    #expect(known.exitCode == 5 && known.errorText.has("--base empty"), "\(known)")

    // The next pod ships. What the first one left is kept until somebody releases the pin.
    let server = try await RedisServer.start(
      .v7_4, directory: volume, options: ["appendonly": "yes"])
    try server.command("SET", "second", "pod")
    let ship = try await LifeboatCommand.run(
      ["ship", "--once", "--data", volume, "--repo", place.repository, "--source", "redis"],
      environment: ["POD_UID": "second"])
    #expect(ship.exitCode == 0, "\(ship)")
    _ = server.kill()
    let pins = try await place.listing().pins
    #expect(pins.count == 1 && pins.first?.reason.has("never completed") == true, "\(pins)")
    for version in [ServerVersion.v7_0, .v7_4, .v8_2, .valkey9_1] {
      let target = try await place.restore(
        into: "base-\(version)", "--timeline", "1", "--base", "empty")
      let behind = try await RedisServer.start(
        version, directory: target, options: ["appendonly": "yes"])
      #expect(try behind.command("GET", "more").string == "log 1")
      #expect(try behind.command("DBSIZE") == .integer(1))
      _ = behind.kill()
    }
  }

  /// Ships so slowly that the first generation is never durable, and is killed.
  /// - Parameter waits: if given, an object whose name matches has to exist before the kill.
  private func firstPod(
    _ place: Place, _ test: Case, _ options: [String: String],
    until waits: ((String) -> Bool)? = nil
  ) async throws {
    let server = try await RedisServer.start(
      test.version, directory: place.data, options: options)
    // Incompressible, and larger than one piece.
    try server.command(
      "EVAL",
      "for i = 1, 20000 do redis.call('SET', 'k' .. i, redis.sha1hex(i) .. string.rep(redis.sha1hex(-i), 8)) end",
      "0")
    if test.appendOnly { try await server.rewriteAOF() } else { try await server.save() }
    for start in 1...test.starts {
      let ship = try place.ship(
        pod: "first", ["--source", "redis", "--ship-interval", "200ms", "--read-limit", "65536"])
      try await eventually(
        deadline: 60, "it has claimed and begun",
        condition: { place.timelines >= start && ship.errorText.contains("uploading ") },
        state: { ship.errorText })
      if test.appendOnly { try server.command("SET", "more", "log \(start)") }
      if let waits {
        try await eventually(
          deadline: 60, "it has shipped the log", condition: { place.objects(waits) > 0 },
          state: { ship.errorText })
      }
      _ = ship.kill()
    }
    _ = server.kill()
  }
}
