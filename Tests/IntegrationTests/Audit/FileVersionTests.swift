import Glibc
import TestSupport
import Testing

/// A file's version is its identity, size and times together. Files are copied slowly, overwritten in place,
/// or only touched.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct FileVersionTests {
  /// The data of a stopped server.
  private func made(_ version: ServerVersion, _ keys: Int, at directory: String) async throws {
    let server = try await RedisServer.start(
      version, directory: directory, options: ["appendonly": "yes"])
    for index in 0..<keys { try server.command("SET", "key:\(index)", "value \(keys)") }
    try await server.rewriteAOF()
    try server.command("SET", "behind", "\(keys)")
    try await server.save()
    _ = try await server.shutdown()
  }

  private func keys(_ version: ServerVersion, _ directory: String, _ appendOnly: String = "yes")
    async throws -> (count: RESPValue, behind: String?)
  {
    let server = try await RedisServer.start(
      version, directory: directory, options: ["appendonly": appendOnly])
    defer { _ = server.kill() }
    return (try server.command("DBSIZE"), try server.command("GET", "behind").string)
  }

  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `a dump that arrives slowly under its name is shipped when it is whole`(
    version: ServerVersion
  ) async throws {
    let place = try Place()
    let source = try place.folder.makeDirectory("source")
    try await made(version, 500, at: source)
    let bytes = try TestFiles.read(source + "/dump.rdb")
    let shown = try Shown(place)
    // As `kubectl cp` writes it: first a part, and the rest after the sidecar has looked.
    try TestFiles.write(Array(bytes.prefix(bytes.count / 2)), to: place.data + "/dump.rdb")
    try await eventually(
      deadline: 90, "the half of it is refused",
      condition: {
        let status = try await shown.run("status")
        return status.exitCode == 1 && status.outputText.contains("damaged")
      }, state: { shown.command.errorText })
    guard let file = fopen(place.data + "/dump.rdb", "r+") else { throw HarnessError("no dump") }
    fseek(file, bytes.count / 2, SEEK_SET)
    fwrite(Array(bytes.dropFirst(bytes.count / 2)), 1, bytes.count - bytes.count / 2, file)
    fclose(file)
    try await shown.becomesWell("the whole of it", syncs: false)
    let target = try await place.restore(into: "restored")
    #expect(try await keys(version, target, "no").count == .integer(501))
  }

  /// `cp -r backup/. data/` while the server is stopped. Every file keeps its inode but gets other bytes.
  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `a set that is written over in place is never mixed with the old one`(version: ServerVersion)
    async throws
  {
    let place = try Place()
    let backup = try place.folder.makeDirectory("backup")
    try await made(version, 700, at: backup)
    try await made(version, 300, at: place.data)
    let shown = try Shown(place)
    try await shown.becomesWell("the first set", syncs: false)
    for name in TestFiles.tree(backup) {
      guard let file = fopen(place.data + "/" + name, "w") else { throw HarnessError(name) }
      let bytes = try TestFiles.read(backup + "/" + name)
      fwrite(bytes, 1, bytes.count, file)
      fclose(file)
    }
    let sync = try await shown.run("sync", "--wait", "--timeout", "90s")
    #expect(sync.exitCode == 0, "\(sync)\(shown.command.errorText)")
    try await shown.becomesWell("the set that was copied there", syncs: false)
    // A smaller dataset would be a case for the guard. This one is larger.
    let target = try await place.restore(into: "restored", "--suspect", "newest")
    let found = try await keys(version, target)
    #expect(found.count == .integer(701))
    #expect(found.behind == "700")
  }

  @Test func `a new owner, mode or link ships nothing`() async throws {
    let place = try Place()
    try await made(.v7_0, 100, at: place.data)
    let shown = try Shown(place)
    try await shown.becomesWell("before", syncs: false)
    // Beside the AOF, the dump is shipped, too, and becomes the newest state.
    var (last, since) = ([String](), ContinuousClock.now)
    try await eventually(
      deadline: 90, "nothing more is shipped",
      condition: {
        let now = TestFiles.tree(place.repository)
        if now != last { (last, since) = (now, ContinuousClock.now) }
        return ContinuousClock.now - since > .seconds(8)
      }, state: { last.joined(separator: "\n") })
    let before = TestFiles.tree(place.repository)
    for name in TestFiles.tree(place.data) {
      let path = place.data + "/" + name
      #expect(chmod(path, 0o640) == 0)
      #expect(link(path, place.folder("link-" + name.split(separator: "/").last!)) == 0)
    }
    // This needs a look after the change, with everything covered.
    let sync = try await shown.run("sync", "--wait", "--timeout", "90s")
    #expect(sync.exitCode == 0, "\(sync)\(shown.command.errorText)")
    try await shown.becomesWell("after", syncs: false)
    #expect(TestFiles.tree(place.repository) == before)
  }
}
