import BackupTypes
import HistoryLogic
import RepositoryAccess
import TestSupport
import Testing

/// The commands that are printed in an emergency, pasted into a shell exactly as printed.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct PrintedCommandsTests {
  enum Where: String, CaseIterable { case odd, store }

  /// A directory whose name would end a quoted word, or a store with a key that is only found by the URL's
  /// options.
  private func place(_ kind: Where, in folder: TemporaryDirectory) async throws -> Place {
    switch kind {
    case .odd:
      return try Place(
        repository: folder.makeDirectory("it's a $HOME; `repository`"), environment: [:])
    case .store:
      var place = try await Place.onSeaweed()
      place.environment[KeySource.variable] = Place.newKey()
      return place
    }
  }

  /// Runs a line in a shell that has the store's credentials, and the key only as a file.
  private func paste(_ line: String, _ place: Place, into target: String = "") async throws {
    var environment = ChildProcess.minimalEnvironment.merging(place.environment) { $1 }
    let file = place.folder("key")
    if let key = environment.removeValue(forKey: KeySource.variable) {
      try TestFiles.write(key, to: file)
      #expect(line.contains(" --encryption-key-file KEYFILE "), "\(line)")
    }
    let command = line.replacing("KEYFILE", with: "'\(file)'")
      .replacing("--data DIR", with: "--data '\(target)'")
    let folder = LifeboatCommand.path.split(separator: "/", omittingEmptySubsequences: false)
      .dropLast().joined(separator: "/")
    let shell = try ChildProcess(
      "/bin/sh", ["-c", "PATH='\(folder)':$PATH; \(command)"], environment: environment,
      output: .file(place.folder("out")), errors: .file(place.folder("err")))
    let end = try await shell.wait(deadline: 120)
    let said = try TestFiles.text(place.folder("out")) + TestFiles.text(place.folder("err"))
    #expect(end == .exited(0), "\(command): \(end)\n\(said)")
  }

  /// The commands that `list` prints below this label, in order.
  private func listed(_ label: String, _ place: Place) async throws -> [String] {
    let list = try await place.run("list", [])
    let lines = list.outputText.split(separator: "\n")
    #expect(list.exitCode == 0, "\(list)")
    for line in lines where !line.hasPrefix("    lifeboat ") && !line.contains("repository ") {
      #expect(line.count <= 80 || line.contains(" at "), "\(line)")
    }
    return zip(lines, lines.dropFirst()).filter { $0.0 == "  \(label):" }.map { String($0.1) }
  }

  @Test func `list undoes a FLUSHALL and a row of DELs, and names the keys at the end`()
    async throws
  {
    let folder = try TemporaryDirectory("printed")
    defer { withExtendedLifetime(folder) {} }
    let place = try await place(.odd, in: folder)
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.fill("key:", 1...200)
    try await place.shipOnce()
    #expect(try await listed("undo", place).isEmpty)
    for index in 1...197 { try server.command("DEL", "key:\(index)") }
    try await place.shipOnce()
    let removals = try await place.listing()
    #expect(removals.notices.count == 1, "\(removals.notices)")
    let windows = removals.timelines.flatMap(\.windows)
    #expect(windows.last?.keys == 3 && windows.first?.keys == 200, "\(windows)")
    let row = try #require(try await listed("undo", place).first)
    let target = try place.folder.makeDirectory("row")
    try await paste(row, place, into: target)
    let restored = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    #expect(try restored.command("DBSIZE") == .integer(200))
    restored.kill()
    let found = try await listed("find the exact command", place).first
    try await paste(try #require(found), place)
    #expect(try TestFiles.text(place.folder("out")).contains("removed one by one (DEL)"))

    try server.command("FLUSHALL")
    try server.command("SET", "new", "1")
    _ = try await server.shutdown()
    try await place.shipOnce()
    let flushed = try #require(try await listed("undo", place).first)
    let before = try place.folder.makeDirectory("before")
    try await paste(flushed, place, into: before)
    let again = try await RedisServer.start(
      .v7_4, directory: before, options: ["appendonly": "yes"])
    #expect(try again.command("DBSIZE") == .integer(3))
    again.kill()
    try await paste(try #require(try await listed("accept", place).first), place)
    #expect(try await place.listing().pins.isEmpty)
  }

  @Test(arguments: Where.allCases)
  func `what was removed comes back, and a suspect start is accepted`(kind: Where) async throws {
    let folder = try TemporaryDirectory("printed")
    defer { withExtendedLifetime(folder) {} }
    let place = try await place(kind, in: folder)
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    for index in 1...200 { try server.command("SET", "key:\(index)", "value") }
    try server.command("FLUSHALL")
    for index in 1...200 { try server.command("SET", "other:\(index)", "value") }
    _ = try await server.shutdown()
    try await place.shipOnce()
    let inspected = try await place.run("inspect", [])
    let line = try #require(
      inspected.outputText.split(separator: "\n").last { $0.hasPrefix("  lifeboat restore") },
      "\(inspected)")
    let target = try place.folder.makeDirectory("restored")
    try await paste(String(line), place, into: target)
    let restored = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    #expect(try restored.command("GET", "key:200").string == "value")
    restored.kill()

    // The volume is lost.
    TestFiles.remove(place.data)
    try TestFiles.makeDirectory(place.data)
    try await nextSecond()  // two empty BASEs of one second are the same bytes
    let lost = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try lost.command("SET", "few", "1")
    lost.kill()
    let shipped = try await place.shipOnce("--take-over")
    let empty = try place.folder.makeDirectory("empty")
    let asked = try await place.run("restore", ["--data", empty])
    #expect(asked.exit == .suspect, "\(asked)")
    let start = try #require(asked.errorText.firstRange(of: "`lifeboat unpin ")).lowerBound
    let end = try #require(asked.errorText.firstRange(of: "` accepts the newest")).lowerBound
    let unpin = String(asked.errorText[start..<end].dropFirst())
    if kind == .store { #expect(shipped.errorText.contains("\(unpin) accepts it"), "\(shipped)") }
    try await paste(unpin, place)
    let accepted = try await place.run("restore", ["--data", empty, "--dry-run"])
    #expect(accepted.exitCode == 0, "\(accepted)")
  }
}
