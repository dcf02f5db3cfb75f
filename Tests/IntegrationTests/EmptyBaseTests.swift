import BackupTypes
import TestSupport
import Testing

/// A fresh server with `aof-use-rdb-preamble no` begins with a BASE of 0 bytes, which is valid and has no
/// keys.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct EmptyBaseTests {
  private static let options = ["appendonly": "yes", "aof-use-rdb-preamble": "no"]
  private static let base = "/appendonlydir/appendonly.aof.1.base.aof"

  @Test(arguments: [ServerVersion.v7_0, .v7_4, .valkey9_1])
  func `its log is shipped, restored behind it, and goes on`(version: ServerVersion) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, EmptyBaseTests.options)
    #expect(try TestFiles.size(scene.data + EmptyBaseTests.base) == 0, "the test tests nothing")
    try server.fill("early:", 1...50)
    try await scene.ship()
    try server.fill("late:", 1...50)
    try await scene.ship()
    let expected = try await server.dataset()
    server.kill()

    let target = try await scene.restored("target")
    #expect(try TestFiles.size(target + EmptyBaseTests.base) == 0)
    let loaded = try await scene.loaded(version, target)
    #expect(loaded.keyCount == 100)
    #expect(loaded.difference(to: expected).isEmpty)
    let again = try await scene.restore(target, ["--if-empty", "--if-backup-exists"])
    #expect(again.exitCode == 0 && again.outputText.has("nothing to do"), "\(again)")
    let verified = try await LifeboatCommand.run(["verify", "--repo", scene.repository])
    #expect(verified.exitCode == 0, "\(verified)")
    let listed = try await scene.list()
    #expect(listed.exitCode == 0 && !listed.outputText.has("unverified"), "\(listed)")

    // The restored volume continues where the history ends. Nothing is sent again.
    let next = try await scene.server(version, on: target, EmptyBaseTests.options)
    try next.fill("next:", 1...10)
    try await scene.ship(target)
    let after = try await next.dataset()
    next.kill()
    let second = try await scene.loaded(version, try await scene.restored("second"))
    #expect(second.difference(to: after).isEmpty)
  }
}
