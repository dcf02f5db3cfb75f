import BackupTypes
import Glibc
import TestSupport
import Testing

/// Symbolic links in place of a server's files: the server follows them, and so does Lifeboat, as far as whoever
/// made the link could have put the file itself there.
@Suite(.enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct LinkedFilesTests {
  private static let places = [
    "appendonlydir/appendonly.aof.2.base.rdb", "appendonlydir/appendonly.aof.2.incr.aof",
    "appendonlydir/appendonly.aof.manifest", "appendonlydir", "dump.rdb",
  ]

  /// A directory with a dump or an AOF whose file at `place` is a link to one beside it.
  private func linked(_ scene: Scene, _ version: ServerVersion, _ place: String) async throws
    -> Dataset
  {
    let isAOF = place != "dump.rdb"
    let server = try await scene.server(version, ["appendonly": isAOF ? "yes" : "no"])
    try server.fill("a:", 1...20)
    if isAOF { try await server.rewriteAOF() } else { try await server.save() }
    if isAOF { try server.fill("b:", 1...20) }
    let held = try await server.dataset()
    server.kill()
    let path = scene.data + "/" + place
    try TestFiles.makeDirectory(scene.data + "/elsewhere")
    try TestFiles.rename(path, to: scene.data + "/elsewhere/it")
    try #require(symlink(scene.data + "/elsewhere/it", path) == 0)
    return held
  }

  @Test(arguments: [ServerVersion.v7_0, .valkey9_1], LinkedFilesTests.places)
  func `what a server loads through a link is read, shipped and restored`(
    version: ServerVersion, place: String
  ) async throws {
    let scene = try Scene()
    let held = try await linked(scene, version, place)
    let isAOF = place != "dump.rdb"
    let server = try await scene.server(version, ["appendonly": isAOF ? "yes" : "no"])
    #expect(try await server.dataset() == held)
    server.kill()
    let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
    #expect(inspected.exitCode == 0, "\(inspected)")
    let boot = try await scene.restore(scene.data, ["--if-empty", "--if-backup-exists"])
    #expect(boot.exitCode == 0 && boot.outputText.has("nothing to do"), "\(boot)")
    try await scene.ship()
    let target = try await scene.restored("target")
    #expect(try await scene.loaded(version, target, appendOnly: isAOF ? "yes" : "no") == held)
    // The link is moved aside, and what it leads to stays.
    let before = try contents(scene.data + "/elsewhere")
    let replaced = try await scene.restore(scene.data, ["--replace"])
    #expect(replaced.exitCode == 0, "\(replaced)")
    #expect(try contents(scene.data + "/elsewhere") == before)
    let again = try await scene.server(version, ["appendonly": isAOF ? "yes" : "no"])
    defer { again.kill() }
    #expect(try await again.dataset() == held)
  }

  @Test(.enabled(if: geteuid() == 0, "only root gives a link to another user"))
  func `a link of another user, and one to another file system, is refused with a remedy`()
    async throws
  {
    for isOwner in [true, false] {
      let scene = try Scene()
      _ = try await linked(scene, .v7_0, "dump.rdb")
      let path = scene.data + "/dump.rdb"
      if isOwner {
        try #require(lchown(path, 4321, 4321) == 0)
      } else {
        unlink(path)
        try #require(symlink("/proc/self/status", path) == 0)
      }
      let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
      let shipped = try await scene.shipOnce()
      let boot = try await scene.restore(scene.data, ["--if-empty", "--if-backup-exists"])
      for result in [inspected, shipped, boot] {
        #expect(result.exitCode != 0 && result.errorText.has("symbolic link"), "\(result)")
        #expect(result.errorText.has("put the file itself in its place"), "\(result)")
      }
      #expect(TestFiles.list(scene.repository).isEmpty)
    }
  }
}
