import BackupTypes
import TestSupport
import Testing

/// AOFs that no manual describes and servers load: they are good, are shipped, and restored they load again with
/// all their keys.
@Suite(.enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
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

  /// A server refuses it. The log behind the tear is no state by itself.
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
}
