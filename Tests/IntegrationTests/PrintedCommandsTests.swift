import BackupTypes
import RepositoryAccess
import TestSupport
import Testing

/// The commands that are printed on the bad day, pasted into a shell as they were printed.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct PrintedCommandsTests {
  enum Where: String, CaseIterable { case odd, store }

  /// A directory whose name would end a quoted word, and a store that is found by the URL's options alone,
  /// with a key.
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

  /// In a shell that knows the store's credentials, and the key as a file only.
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
