import TestSupport
import Testing

/// Accidents with data like Ray's. `inspect` finds them, and the command that it prints undoes them when a
/// shell runs it.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct InspectTests {
  private static let versions: [ServerVersion] = [.v6_2, .v7_0, .v8_2, .valkey9_1]

  @Test(arguments: versions, RayLike.Accident.allCases)
  func `what inspect prints undoes it, run by a shell`(
    version: ServerVersion, accident: RayLike.Accident
  )
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    let client = try server.connect()
    // Keys in the full copy, keys written again after it, and new keys after it.
    try RayLike.load(client, from: 1, to: 200)
    try await server.rewriteAOF()
    try RayLike.load(client, from: 180, to: 240)
    // One key that has most of the data.
    if accident == .deleteTheBigKey {
      for index in 0..<500 { _ = try client.run(["HSET", "RAYblue-1@KV", "more\(index)", "v"]) }
    }
    let before = try await server.dataset()
    try RayLike.happen(accident, client)
    #expect(try await server.dataset() != before)
    try server.command("SET", "life", "goes on")
    _ = try await server.shutdown()
    try await place.shipOnce()

    let inspected = try await place.run("inspect", [])
    let lines = inspected.outputText.split(separator: "\n").map(String.init)
    let printed = lines.filter { $0.hasPrefix("  lifeboat restore") }
    try #require(printed.count == 1, "\(inspected)")
    let target = try place.folder.makeDirectory("restored")
    try await shell(printed[0], place, target)
    let restored = try await RedisServer.start(
      version, directory: target, options: ["appendonly": "yes"])
    defer { _ = restored.kill() }
    #expect(try await before.difference(to: restored.dataset(), limit: 5) == [])
  }

  /// Runs a line in a shell, as it was printed.
  private func shell(_ line: String, _ place: Place, _ target: String) async throws {
    let folder = LifeboatCommand.path.split(separator: "/", omittingEmptySubsequences: false)
      .dropLast().joined(separator: "/")
    let process = try ChildProcess(
      "/bin/sh",
      [
        "-c", "PATH='\(folder)':$PATH; " + line.replacing("--data DIR", with: "--data '\(target)'"),
      ],
      directory: place.folder.path, output: .file(place.folder("out")),
      errors: .file(place.folder("err")))
    let end = try await process.wait(deadline: 120)
    let said = try TestFiles.text(place.folder("out")) + TestFiles.text(place.folder("err"))
    #expect(end == .exited(0), "\(line): \(end)\n\(said)")
  }

  /// Without a log, `inspect` shows between which two dumps the data was lost.
  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `between two dumps half is gone`(version: ServerVersion) async throws {
    let place = try Place()
    let server = try await RedisServer.start(version, directory: place.data)
    try RayLike.load(try server.connect(), from: 1, to: 200)
    let before = try await server.dataset()
    try await server.save()
    try await place.shipOnce()
    try server.command("FLUSHALL")
    try server.command("SET", "life", "goes on")
    try await nextSecond()
    try await server.save()
    _ = server.kill()
    try await place.shipOnce()
    let inspected = try await place.run("inspect", [])
    #expect(inspected.outputText.contains("between the full copies of "), "\(inspected)")
    let lines = inspected.outputText.split(separator: "\n").map(String.init)
    let line = try #require(lines.last { $0.hasPrefix("  lifeboat restore") }, "\(inspected)")
    let target = try place.folder.makeDirectory("restored")
    try await shell(line, place, target)
    let restored = try await RedisServer.start(version, directory: target)
    defer { _ = restored.kill() }
    #expect(try await before.difference(to: restored.dataset(), limit: 5) == [])
  }

  @Test func `a damaged full copy leaves what its record and the log say`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    let client = try server.connect()
    try RayLike.load(client, from: 1, to: 200)
    try await server.rewriteAOF()
    try RayLike.happen(.deleteFields, client)
    _ = try await server.shutdown()
    try await place.shipOnce()
    for piece in TestFiles.tree(place.repository)
    where piece.hasPrefix("generations/") && !piece.hasSuffix("/index") {
      TestFiles.remove(place.repository + "/" + piece)
    }
    let inspected = try await place.run("inspect", [])
    try #require(inspected.exitCode == 0, "\(inspected)")
    #expect(inspected.outputText.contains("warning: the full copy "), "\(inspected)")
    #expect(inspected.outputText.contains("elements removed one by one (HDEL)"), "\(inspected)")
    #expect(!inspected.outputText.contains("namespace blue-1"), "\(inspected)")
    #expect(inspected.outputText.contains("largest keys and Ray clusters are not shown"))
  }
}
