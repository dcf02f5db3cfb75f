import BackupTypes
import HistoryLogic
import TestSupport
import Testing

/// `restore --server-version`: it refuses exactly what the server of that version refuses.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct ServerVersionTests {
  private static func flag(_ version: ServerVersion) -> String {
    version == .valkey9_1 ? "valkey-9.1" : "redis-" + version.label
  }

  @Test(arguments: ServerVersion.allCases, [true, false])
  func `what it refuses is what the server refuses`(written: ServerVersion, isAOF: Bool)
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      written, directory: place.data, options: ["appendonly": isAOF ? "yes" : "no"])
    try server.fill("key:", 1...20)
    if isAOF { try await server.rewriteAOF() } else { try await server.save() }
    server.kill()
    try await place.shipOnce()
    var refused = 0
    for version in ServerVersion.allCases {
      let target = place.folder("for-\(version)")
      let flags = ["--data", target, "--server-version", ServerVersionTests.flag(version)]
      let dry = try await place.run("restore", flags + ["--dry-run"])
      #expect(!TestFiles.exists(target))
      let result = try await place.run("restore", flags)
      let words = "\(written) for \(version): \(result)"
      #expect(dry.exitCode == result.exitCode, "\(words), dry: \(dry)")
      if result.exitCode == 0 {
        #expect(result.outputText.contains("loads in ") || (isAOF && written == .v6_2), "\(words)")
        let loaded = try await RedisServer.start(
          version, directory: target, options: ["appendonly": isAOF ? "yes" : "no"])
        #expect(try loaded.command("DBSIZE") == .integer(20), "\(words)")
        loaded.kill()
        continue
      }
      refused += 1
      #expect(result.exit == .versionMismatch && TestFiles.list(target).isEmpty, "\(words)")
      // Without the flag, the restore succeeds. The server then does not start, or (Redis 6) does not see the
      // AOF.
      TestFiles.remove(target)
      let plain = try await place.run("restore", ["--data", target])
      #expect(plain.exitCode == 0, "\(plain)")
      do {
        let loaded = try await RedisServer.start(
          version, directory: target, options: ["appendonly": isAOF ? "yes" : "no"])
        defer { loaded.kill() }
        let held = try loaded.command("DBSIZE")
        #expect(version == .v6_2 && isAOF && held == .integer(0), "\(words): it loads \(held)")
      } catch is RedisServer.StartFailure {}
    }
    #expect(
      refused == (written == .v6_2 ? 0 : written == .v7_0 ? 1 : written == .valkey9_1 ? 4 : 3))
  }

  @Test func `a version that can be Redis or Valkey, or none, is a usage error`() async throws {
    let place = try Place()
    for text in ["8.0", "9.1", "new", "redis"] {
      let result = try await place.run(
        "restore", ["--data", place.folder("x"), "--server-version", text])
      #expect(result.exit == .usage && result.errorText.contains("valkey-9.1"), "\(result)")
    }
  }
}
