import Auditing
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import Shipping
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// Objects vanish from a repository, or a bit flips. Every command reports the loss, and a requested state
/// that does not need the lost object can be restored.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct LostObjectTests {
  /// Writes, and waits until the write is in the repository.
  private func write(
    _ prefix: String, _ server: RedisServer, _ place: Place, _ ship: RunningCommand
  ) async throws {
    let before = await place.newest()
    try server.fill(prefix, 1...20)
    try await eventually(
      deadline: 60, "\(prefix) is durable",
      condition: {
        let bytes = try place.bytesOfAOF()
        guard place.bytesOfLog() >= bytes else { return false }
        return await place.newest() != before
      }, state: { "\(before ?? ""): \(ship.errorText)" })
  }

  private func logs(_ place: Place, _ timeline: Int, _ ordinal: Int) -> [String] {
    TestFiles.tree(place.repository).filter {
      $0.hasPrefix("timelines/0000000\(timeline)/log/0000000\(ordinal)/")
    }.sorted()
  }

  /// Removes the end of a log, also from folded objects. Returns the common prefix of the missing names.
  private func loseEnd(of names: [String], in place: Place) throws -> String {
    func end(_ name: String) -> Substring { name.split(separator: "-")[1] }
    let last = try #require(names.map(end).max())
    for name in names where end(name) == last {
      TestFiles.remove(place.repository + "/" + name)
    }
    let reached = names.map(end).filter { $0 != last }.max() ?? "0000000000000000"
    let folder = try #require(names.first).split(separator: "/").dropLast()
    return folder.joined(separator: "/") + "/\(reached)-"
  }

  /// Two INCRs of one chain. The second one is in two timelines.
  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `log of a drained file, and of a parent, that is lost`(version: ServerVersion) async throws {
    let whole = try Place()
    let options = ["appendonly": "yes", "appendfsync": "always", "save": ""]
    var server = try await RedisServer.start(version, directory: whole.data, options: options)
    try server.fill("base:", 1...20)
    try await server.rewriteAOF()
    let ship = try whole.ship("--ship-interval", "100ms", "--admin-listen", "off")
    try await eventually(
      deadline: 60, "a restore point", condition: { await whole.newest() != nil },
      state: { ship.errorText })
    for batch in ["one:", "two:"] { try await write(batch, server, whole, ship) }
    let afterTwo = SystemClock.now()
    // A failed rewrite leaves its INCR. The file before it is closed, but still belongs to the chain.
    try server.command("CONFIG", "SET", "rdb-key-save-delay", "100000000")
    try server.command("BGREWRITEAOF")
    try await eventually(deadline: 60, "the next INCR") {
      TestFiles.tree(whole.data).count { $0.contains(".incr.aof") } == 2
    }
    server.kill()
    server = try await RedisServer.start(version, directory: whole.data, options: options)
    try await write("three:", server, whole, ship)
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    // The next shipper's timeline continues the parent's log.
    try server.fill("four:", 1...20)
    server.kill()
    try await whole.shipOnce()
    let newest = try #require(await whole.newest())
    let drained = logs(whole, 1, 1)
    #expect(
      drained.count > 1 && logs(whole, 2, 1).count == 1, "\(TestFiles.tree(whole.repository))")

    for isDrained in [true, false] {
      let place = try Place()
      try TestFiles.copyTree(whole.repository, to: place.repository)
      let object = try loseEnd(of: isDrained ? drained : logs(whole, 1, 2), in: place)
      let target = try place.folder.makeDirectory("target")
      let plain = try await place.run("restore", ["--data", target, "--json"])
      #expect(plain.exitCode == 0, "\(plain)")
      #expect(plain.outputText.contains("\"lost\" : {"), "\(plain)")
      #expect(plain.outputText.contains("the log after this state is lost"), "\(plain)")
      #expect(plain.jsonText("object") == object, "\(plain)")
      let loaded = try await RedisServer.start(version, directory: target, options: options)
      #expect(try loaded.command("GET", "base:20") != .null)
      #expect(try loaded.command("GET", "two:20") == .null || !isDrained)
      #expect(try loaded.command("GET", "two:20") != .null || isDrained)
      #expect(try loaded.command("GET", "three:20") == .null)
      loaded.kill()

      let times = [isDrained ? afterTwo : SystemClock.now()]
      for arguments in times.map({ ["--at", "\($0)"] }) + [["--point", newest]] {
        let other = try place.folder.makeDirectory("other")
        let refused = try await place.run("restore", ["--data", other] + arguments)
        #expect(refused.exit == .corrupt, "\(refused)")
        #expect(refused.errorText.contains(object), "\(refused)")
        #expect(
          refused.errorText.contains("the last complete state before the loss is --point "),
          "\(refused)")
        #expect(TestFiles.tree(other).isEmpty)
      }
      let list = try await place.run("list", [])
      #expect(list.exitCode == 0 && list.outputText.contains("BEFORE A LOSS"), "\(list)")
      #expect(list.outputText.contains("LOST: log") && list.outputText.contains(object))
      // The command that it prints is complete.
      try await expectStatus(object, place, target)
      let before = try #require(try await place.listing().losses.first?.before)
      let again = try place.folder.makeDirectory("again")
      let named = try await place.run("restore", ["--data", again, "--point", before])
      #expect(named.exitCode == 0, "\(named)")
      let verified = try await place.run("verify", [])
      #expect(
        verified.exit == .corrupt && verified.outputText.contains(object), "\(verified)")
    }
  }

  /// A sidecar that starts after a loss says so, if the disk does not have what is lost.
  private func expectStatus(_ object: String, _ place: Place, _ data: String) async throws {
    let admin = ["--admin-listen", "127.0.0.1:\(try freePorts(1)[0])"]
    let copy = try Place()
    try TestFiles.copyTree(place.repository, to: copy.repository)
    try TestFiles.copyTree(data, to: copy.data)
    let ship = try copy.ship("--no-prune", "--take-over", admin[0], admin[1])
    try await eventually(
      deadline: 60, "`status` shows the loss",
      condition: {
        let status = try await LifeboatCommand.run(["status", "--json"] + admin)
        return status.outputText.contains(object)
      }, state: { ship.errorText })
    ship.kill()
  }

  /// Lost log that a sidecar can't ship again, because a rewrite replaced the file meanwhile.
  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `a loss that is not on disk any more stays a gap that list shows`(version: ServerVersion)
    async throws
  {
    let place = try Place()
    let options = ["appendonly": "yes", "appendfsync": "always", "save": ""]
    let server = try await RedisServer.start(version, directory: place.data, options: options)
    try server.fill("base:", 1...20)
    let ship = try place.ship("--ship-interval", "100ms", "--admin-listen", "off")
    try await eventually(
      deadline: 60, "a restore point", condition: { await place.newest() != nil },
      state: { ship.errorText })
    for batch in ["one:", "two:"] { try await write(batch, server, place, ship) }
    try await server.rewriteAOF()
    try await write("three:", server, place, ship)
    // A running fold would write the removed log again.
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let object = try loseEnd(of: logs(place, 1, 1), in: place)
    // The current state does not need it. Only retention, which reads all snapshots, finds the loss.
    let inside = try InProcessShipper(
      data: place.data, store: DirectoryStore(root: FilePath(place.repository)), host: "again"
    ) {
      $0.takesOver = true
      $0.retention = RetentionPolicy()
      $0.pruneInterval = 200
    }
    try server.fill("four:", 1...20)
    try await eventually(
      deadline: 60, "the status shows the loss",
      condition: {
        // Retention only runs while something is shipped.
        try server.command("INCR", "writes")
        return inside.status.losses.map(\.object) == [object]
      },
      state: { "\(inside.status)" })
    #expect(try await inside.end().verdict?.isCovered == true)
    let list = try await place.run("list", [])
    #expect(list.outputText.contains("LOST: log") && list.outputText.contains(object), "\(list)")
    // The current state does not need it.
    let loaded = try await RedisServer.start(
      version, directory: try await place.restore(into: "target"), options: options)
    for key in ["base:20", "two:20", "four:20"] {
      #expect(try loaded.command("GET", key) != .null, "\(key)")
    }
  }

  @Test func `the whole log of a single AOF`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v6_2, directory: place.data,
      options: ["appendonly": "yes", "appendfsync": "always", "save": ""])
    try server.fill("one:", 1...20)
    try await place.shipOnce()
    server.kill()
    let newest = try #require(await place.newest())
    for lost in logs(place, 1, 1) { TestFiles.remove(place.repository + "/" + lost) }
    for arguments in [[], ["--at", "\(SystemClock.now())"], ["--point", newest]] {
      let target = try place.folder.makeDirectory("target")
      let result = try await place.run("restore", ["--data", target] + arguments)
      #expect(result.exit == .corrupt, "\(arguments): \(result)")
      #expect(result.errorText.contains("log/00000001/0000000000000000-"), "\(result)")
      #expect(TestFiles.tree(target).isEmpty)
    }
    #expect(try await place.listing().losses.count == 1)
    #expect(try await place.run("verify", []).exit == .corrupt)
  }

  @Test func `a bit that flips in a dump beside a log, and in what is needed`() async throws {
    let scene = try Scene()
    let server = try await scene.server(.v7_4, ["appendonly": "yes"])
    try server.fill("base:", 1...5)
    try await server.rewriteAOF()
    try server.fill("one:", 1...40)
    try await server.save()
    try server.fill("two:", 1...20)
    let expected = try await server.dataset()
    try await scene.ship()
    server.kill()
    let pieces = try TestFiles.tree(scene.repository).filter {
      $0.hasPrefix("generations/") && !$0.hasSuffix("/index")
    }.sorted {
      try TestFiles.size(scene.repository + "/" + $0) < TestFiles.size(scene.repository + "/" + $1)
    }
    #expect(pieces.count == 2)
    let dump = scene.repository + "/" + pieces[1]
    try flipBit(dump, at: try TestFiles.size(dump) - 1)
    for arguments in [[], ["--appendonly", "yes"]] {
      let target = try scene.folder.makeDirectory("target")
      defer { TestFiles.remove(target) }
      let result = try await scene.restore(target, arguments)
      #expect(result.exitCode == 0, "\(result)")
      #expect(result.outputText.has("the dump next to the log is left out"), "\(result)")
      #expect(try await scene.loaded(.v7_4, target) == expected)
      // The BASE is used instead.
      let older = try await scene.loaded(.v7_4, target, appendOnly: "no")
      #expect(older.keyCount == 5)
    }
    let base = scene.repository + "/" + pieces[0]
    try flipBit(base, at: try TestFiles.size(base) - 1)
    let target = try scene.folder.makeDirectory("needed")
    #expect(try await scene.restore(target).exit == .corrupt)
    #expect(TestFiles.tree(target).filter { !$0.hasPrefix(".lifeboat-restore/") }.isEmpty)
  }
}
