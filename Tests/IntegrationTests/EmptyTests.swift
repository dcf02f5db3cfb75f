import BackupTypes
import TestSupport
import Testing

/// What counts as an empty data directory, if the backup has keys.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct EmptyTests {
  /// A repository with one key `kept` in a live AOF.
  private func backup(_ version: ServerVersion) async throws -> Scene {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    defer { server.kill() }
    try server.fill("kept:", 1...3)
    try await scene.ship()
    return scene
  }

  private func isRestored(_ version: ServerVersion, _ scene: Scene, _ target: String) async throws
    -> Bool
  {
    try await scene.loaded(version, target).keyCount == 3
  }

  @Test func `a fresh file system with lost+found is empty`() async throws {
    let scene = try await backup(.v7_4)
    let target = try scene.folder.makeDirectory("target")
    try TestFiles.makeDirectory(target + "/lost+found")
    let result = try await scene.restore(target, ["--if-empty", "--if-backup-exists"])
    #expect(result.exitCode == 0, "\(result)")
    #expect(TestFiles.isDirectory(target + "/lost+found"))
    #expect(try await isRestored(.v7_4, scene, target))
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4])
  func `rm -rf of everything visible, and restored again`(version: ServerVersion) async throws {
    let scene = try await backup(version)
    let target = try await scene.restored("target")
    for _ in 1...2 {
      // A shell's `*` does not match the marker, which proves nothing by itself.
      for name in TestFiles.list(target) where !name.hasPrefix(".") {
        TestFiles.remove(target + "/" + name)
      }
      #expect(!TestFiles.list(target).isEmpty, "no marker was left: the test tests nothing")
      let result = try await scene.restore(target, ["--if-empty", "--if-backup-exists"])
      #expect(result.exitCode == 0, "\(result)")
      #expect(try await isRestored(version, scene, target))
      let again = try await scene.restore(target, ["--if-empty", "--if-backup-exists"])
      #expect(again.exitCode == 0 && again.outputText.has("nothing to do"), "\(again)")
    }
  }

  @Test(arguments: ServerVersion.allCases, ["yes", "no"])
  func `a server that once started on nothing`(version: ServerVersion, appendOnly: String)
    async throws
  {
    let scene = try await backup(version)
    let target = try scene.folder.makeDirectory("target")
    let empty = try await scene.server(
      version, on: target, ["appendonly": appendOnly, "save": "3600 1"])
    if appendOnly == "no" { try await empty.save() }
    try await empty.shutdown()
    #expect(!TestFiles.tree(target).isEmpty, "the server left nothing: the test tests nothing")
    let result = try await scene.restore(target, ["--if-empty"])
    #expect(result.exitCode == 0, "\(result)")
    #expect(try await isRestored(version, scene, target), "\(result)")
    // An empty directory does not make a history that would hide the backup.
    let started = try scene.folder.makeDirectory("started")
    let other = try await scene.server(version, on: started, ["appendonly": appendOnly])
    other.kill()
    let shipped = try await scene.shipOnce(started, "--take-over")
    // A directory without files is not reported as backed up.
    #expect(
      shipped.exitCode == 0 || shipped.errorText.has("holds no Redis data yet"), "\(shipped)")
    #expect(try await isRestored(version, scene, try await scene.restored("after")))
  }

  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func `INCRs without a manifest are broken, and never skipped`(version: ServerVersion)
    async throws
  {
    let scene = try await backup(version)
    let target = try await scene.restored("target")
    TestFiles.remove(target + "/appendonlydir/appendonly.aof.manifest")
    TestFiles.remove(target + "/dump.rdb")
    let before = try contents(target)
    for arguments in [[], ["--if-empty", "--if-backup-exists"]] {
      let result = try await scene.restore(target, arguments)
      #expect(result.exit == .corrupt, "\(result)")
      #expect(result.errorText.has("no manifest") && result.errorText.has("--replace"), "\(result)")
      #expect(try contents(target) == before)
    }
    let inspected = try await LifeboatCommand.run(["inspect", "--data", target])
    #expect(inspected.exit == .corrupt, "\(inspected)")
    let mended = try await scene.restore(target, ["--replace"])
    #expect(mended.exitCode == 0, "\(mended)")
    #expect(try await isRestored(version, scene, target))
    // The replaced files are kept.
    let aside = try contents(target + "/.lifeboat-replaced")
    #expect(aside["appendonlydir/appendonly.aof.1.incr.aof"] != nil, "\(aside.keys)")
    let second = try await scene.restore(target, ["--replace"])
    #expect(second.exit == .refused && second.errorText.has("rm -r "), "\(second)")
  }

  @Test func `zero-length files that a crashed first start left are empty`() async throws {
    let scene = try await backup(.v7_4)
    let target = try scene.folder.makeDirectory("target")
    try TestFiles.makeDirectory(target + "/appendonlydir")
    try TestFiles.write("", to: target + "/appendonlydir/appendonly.aof.1.incr.aof")
    try TestFiles.write("partial", to: target + "/temp-17.rdb")
    try TestFiles.write("node", to: target + "/nodes.conf")
    let result = try await scene.restore(target, ["--if-empty"])
    #expect(result.exitCode == 0, "\(result)")
    #expect(try await isRestored(.v7_4, scene, target))
  }

  /// The names in the backup are checked, too. Files with these names are never moved aside unless requested.
  @Test func `data under the backup's names is data, whatever the flags say`() async throws {
    let scene = try Scene()
    let names = ["dbfilename": "state.rdb", "appendonly": "no"]
    let server = try await scene.server(.v7_4, names)
    try server.fill("kept:", 1...3)
    try await server.save()
    try await scene.ship(nil, "--dbfilename", "state.rdb")
    try server.fill("later:", 1...3)
    try await server.save()
    server.kill()
    let before = try contents(scene.data)
    let refused = try await scene.restore(scene.data)
    #expect(refused.exit == .refused, "\(refused)")
    #expect(try contents(scene.data) == before)
    let booted = try await scene.restore(scene.data, ["--if-empty", "--if-backup-exists"])
    #expect(booted.exitCode == 0 && booted.outputText.has("nothing to do"), "\(booted)")
    #expect(try contents(scene.data) == before)
  }
}
