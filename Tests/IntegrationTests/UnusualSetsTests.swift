import BackupTypes
import Glibc
import TestSupport
import Testing

/// AOFs that no manual describes but servers load. They count as good and are shipped. After a restore,
/// servers load them again with all keys.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct UnusualSetsTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var files: [String: String]
    var keys: Int
    var testDescription: String { name }

    static func set(_ key: String) -> String {
      "*3\r\n$3\r\nSET\r\n$\(key.utf8.count)\r\n\(key)\r\n$1\r\nv\r\n"
    }
    static let multi = "*1\r\n$5\r\nMULTI\r\n"
    static let discard = "*1\r\n$7\r\nDISCARD\r\n"
    static func aof(_ base: String, _ increments: [String], sequences: [String]) -> [String: String]
    {
      let folder = "appendonlydir/"
      var files = [folder + "appendonly.aof.1.base.aof": base]
      var manifest = "file appendonly.aof.1.base.aof seq 1 type b\n"
      for (index, text) in increments.enumerated() {
        files[folder + "appendonly.aof.\(index + 1).incr.aof"] = text
        manifest += "file appendonly.aof.\(index + 1).incr.aof seq \(sequences[index]) type i\n"
      }
      files[folder + "appendonly.aof.manifest"] = manifest
      return files
    }

    static let all = [
      Case(
        name: "an upgrade from Redis 6 that was interrupted before its rename",
        files: [
          "appendonly.aof": set("a") + set("b"),
          "appendonlydir/appendonly.aof.manifest": "file appendonly.aof seq 1 type b\n",
        ], keys: 2),
      Case(
        name: "a sequence number beyond 2^63",
        files: aof(set("a"), [set("b")], sequences: ["99999999999999999999"]), keys: 2),
      Case(
        name: "an incomplete annotation in a file that is not the last",
        files: aof(
          set("a"), [set("b") + "#TS:170", set("c") + "#TS:17"], sequences: ["1", "2"]), keys: 3),
      Case(
        name: "a transaction without its EXEC at the end",
        files: aof(set("a"), [set("b") + multi + set("c")], sequences: ["1"]), keys: 2),
      Case(
        name: "DISCARD, which ends no transaction",
        files: aof(set("a"), [set("b") + multi + set("c") + discard + set("d")], sequences: ["1"]),
        keys: 2),
    ]
  }

  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1], Case.all)
  func `what servers load is good, and loads again after a restore`(
    version: ServerVersion, test: Case
  ) async throws {
    let scene = try Scene()
    for (name, text) in test.files {
      if name.contains("/") { try TestFiles.makeDirectory(scene.data + "/appendonlydir") }
      try TestFiles.write(text, to: scene.data + "/" + name)
    }
    let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
    #expect(inspected.exitCode == 0, "\(inspected)")
    try await scene.ship()
    let target = try await scene.restored("target")
    let restored = try await scene.loaded(version, target)
    #expect(restored.databases[0]?.count == test.keys, "\(restored)")
    let server = try await scene.server(version, ["appendonly": "yes"])
    defer { server.kill() }
    #expect(try await server.dataset() == restored)
  }

  /// A server refuses such a set. The log after the tear is not a state by itself.
  @Test func `log behind a torn file is never restored without what came before it`() async throws {
    let scene = try Scene()
    let files = Case.aof(
      Case.set("a"), [Case.set("b") + "*3\r\n$3\r\nSE", Case.set("c")], sequences: ["1", "2"])
    try TestFiles.makeDirectory(scene.data + "/appendonlydir")
    for (name, text) in files { try TestFiles.write(text, to: scene.data + "/" + name) }
    let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
    #expect(inspected.exit == .corrupt, "\(inspected)")
    let shipped = try await scene.shipOnce()
    #expect(shipped.exitCode != 0, "\(shipped)")
    let target = scene.folder("target")
    for flags in [[], ["--if-empty", "--if-backup-exists"]] {
      _ = try await scene.restore(target, flags)
      let found = TestFiles.tree(target).filter { !$0.hasPrefix(".lifeboat") }
      #expect(found.isEmpty || found.contains { $0.contains(".base.") }, "\(flags): \(found)")
    }
  }

  /// docs/restore.md: a BASE is only backed up if it is complete. If it is the last file of its set, a server
  /// truncates it.
  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func `a torn BASE of commands is called broken until a server has truncated it`(
    version: ServerVersion
  ) async throws {
    let scene = try Scene()
    let files = Case.aof(Case.set("a") + "*3\r\n$3\r\nSE", [], sequences: [])
    try TestFiles.makeDirectory(scene.data + "/appendonlydir")
    for (name, text) in files { try TestFiles.write(text, to: scene.data + "/" + name) }
    let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
    #expect(inspected.exit == .corrupt, "\(inspected)")
    let shipped = try await scene.shipOnce()
    #expect(shipped.exitCode != 0 && shipped.errorText.has("base.aof"), "\(shipped)")
    let target = scene.folder("target")
    #expect(try await scene.restore(target).exitCode != 0)
    #expect(TestFiles.tree(target).isEmpty, "nothing of a torn file is a restore point")
    let server = try await scene.server(version, ["appendonly": "yes"])
    #expect(try await server.dataset().databases[0]?.count == 1, "a server loads it")
    server.kill()
    try await scene.ship()
    let restored = try await scene.loaded(version, try await scene.restored("again"))
    #expect(restored.databases[0]?.count == 1, "\(restored)")
  }

  /// docs/restore.md: names in a repository are text.
  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func `a file of the set whose name is not text is refused with a remedy`(version: ServerVersion)
    async throws
  {
    let scene = try Scene()
    try TestFiles.makeDirectory(scene.data + "/appendonlydir")
    try write(Case.set("a"), to: scene.data + "/appendonlydir/a", 0xff)
    try TestFiles.write(
      "file \"a\\xff\" seq 1 type i\n",
      to: scene.data + "/appendonlydir/appendonly.aof.manifest")
    let server = try await scene.server(version, ["appendonly": "yes"])
    #expect(try await server.dataset().databases[0]?.count == 1, "a server loads it")
    server.kill()
    let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
    #expect(inspected.exit == .corrupt, "\(inspected)")
    #expect((inspected.outputText + inspected.errorText).has("not valid UTF-8"), "\(inspected)")
    let shipped = try await scene.shipOnce()
    #expect(shipped.exitCode != 0 && shipped.errorText.has("not valid UTF-8"), "\(shipped)")
    let boot = try await scene.restore(scene.data, ["--if-empty", "--if-backup-exists"])
    #expect(!boot.outputText.has("restored"), "it is not taken for empty: \(boot)")
  }

  @Test func `files beside the set whose names are not text disturb nothing`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_0, ["appendonly": "yes"])
    try server.fill("a:", 1...20)
    let held = try await server.dataset()
    server.kill()
    try write("x", to: scene.data + "/dump.rdb", 0xff)
    try write("x", to: scene.data + "/appendonlydir/appendonly.aof.9.incr.aof", 0xfe)
    let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
    #expect(inspected.exitCode == 0, "\(inspected)")
    try await scene.ship()
    let boot = try await scene.restore(scene.data, ["--if-empty", "--if-backup-exists"])
    #expect(boot.exitCode == 0 && boot.outputText.has("nothing to do"), "\(boot)")
    let doctor = try await LifeboatCommand.run(
      ["doctor", "--data", scene.data, "--repo", scene.repository])
    #expect(!(doctor.outputText + doctor.errorText).has("can't be read"), "\(doctor)")
    let replaced = try await scene.restore(scene.data, ["--replace"])
    #expect(replaced.exitCode == 0, "\(replaced)")
    let again = try await scene.server(.v7_0, ["appendonly": "yes"])
    defer { again.kill() }
    #expect(try await again.dataset() == held)
  }

  /// Writes a file whose name ends with a byte that is not valid UTF-8.
  private func write(_ text: String, to path: String, _ byte: UInt8) throws {
    let name = Array(path.utf8) + [byte, 0]
    let descriptor = name.withUnsafeBytes {
      open($0.baseAddress!.assumingMemoryBound(to: CChar.self), O_CREAT | O_WRONLY, 0o644)
    }
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    let bytes = Array(text.utf8)
    try #require(Glibc.write(descriptor, bytes, bytes.count) == bytes.count)
  }
}
