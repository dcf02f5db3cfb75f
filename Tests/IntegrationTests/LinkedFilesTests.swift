import BackupTypes
import Glibc
import TestSupport
import Testing

/// Symbolic links in place of a server's files. The server follows them. Lifeboat does, too, if the owner of
/// the link could have put the file itself there.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct LinkedFilesTests {
  private static let places = [
    "appendonlydir/appendonly.aof.2.base.rdb", "appendonlydir/appendonly.aof.2.incr.aof",
    "appendonlydir/appendonly.aof.manifest", "appendonlydir", "dump.rdb",
  ]

  /// A directory with a dump or an AOF. The file at `place` is a link to a file beside it.
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
    // The link is moved aside, and its target stays.
    let before = try contents(scene.data + "/elsewhere")
    let replaced = try await scene.restore(scene.data, ["--replace"])
    #expect(replaced.exitCode == 0, "\(replaced)")
    #expect(try contents(scene.data + "/elsewhere") == before)
    let again = try await scene.server(version, ["appendonly": isAOF ? "yes" : "no"])
    defer { again.kill() }
    #expect(try await again.dataset() == held)
  }

  enum Elsewhere: CaseIterable { case anotherUsers, anotherFileSystem, rootsOwn }

  @Test(
    .enabled(if: geteuid() == 0, "only root gives a link to another user"),
    arguments: LinkedFilesTests.places, Elsewhere.allCases)
  func `a link that leads elsewhere is refused with a remedy`(place: String, elsewhere: Elsewhere)
    async throws
  {
    let scene = try Scene()
    _ = try await linked(scene, .v7_0, place)
    let path = scene.data + "/" + place
    switch elsewhere {
    case .anotherUsers: try #require(lchown(path, 4321, 4321) == 0)
    case .anotherFileSystem:
      unlink(path)
      try #require(
        symlink(place == "appendonlydir" ? "/proc/self" : "/proc/self/status", path) == 0)
    case .rootsOwn:
      // As if the server's user had moved a link of root there.
      let folder = path.split(separator: "/").dropLast().joined(separator: "/")
      try #require(chown("/" + folder, 4321, 4321) == 0)
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
  /// A hard link is a name like any other, and the kernel decides who may make one.
  @Test func `a file with a second name elsewhere is shipped, also while it grows`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_0, ["appendonly": "yes"])
    try server.fill("a:", 1...20)
    let file = scene.data + "/appendonlydir/appendonly.aof.1.incr.aof"
    try #require(link(file, scene.folder("second-name")) == 0)
    try server.fill("b:", 1...20)
    let held = try await server.dataset()
    server.kill()
    let inspected = try await LifeboatCommand.run(["inspect", "--data", scene.data])
    #expect(inspected.exitCode == 0, "\(inspected)")
    try await scene.ship()
    let target = try await scene.restored("target")
    #expect(try await scene.loaded(.v7_0, target) == held)
  }
}
