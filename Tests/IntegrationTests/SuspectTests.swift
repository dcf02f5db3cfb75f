import BackupTypes
import RedisFormats
import TestSupport
import Testing

/// A possible accident is shipped, flagged and asked about. Anything else is not flagged.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct SuspectTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var version: ServerVersion
    var appendOnly: String
    var testDescription: String { "\(version), appendonly \(appendOnly)" }
    static let all = [ServerVersion.v6_2, .v7_0, .v8_2, .valkey9_1].flatMap {
      [Case(version: $0, appendOnly: "yes"), Case(version: $0, appendOnly: "no")]
    }
  }

  /// Ships the state of a server with `keys` keys, then stops the server.
  private func first(_ test: Case, _ scene: Scene, keys: Int = 300) async throws -> Dataset {
    let server = try await scene.server(test.version, ["appendonly": test.appendOnly])
    defer { server.kill() }
    try server.fill("first:", 1...keys)
    if test.appendOnly == "no" { try await server.save() }
    try await scene.ship()
    return try await server.dataset()
  }

  @Test(arguments: Case.all)
  func `a lost volume asks, and either answer works`(test: Case) async throws {
    let scene = try Scene()
    let before = try await first(test, scene)
    // The volume is lost. The server starts empty, and somebody writes a few keys.
    let lost = try scene.folder.makeDirectory("new-volume")
    try await nextSecond()  // two empty BASEs of one second are the same bytes
    let server = try await scene.server(test.version, on: lost, ["appendonly": test.appendOnly])
    try server.fill("new:", 1...2)
    if test.appendOnly == "no" { try await server.save() }
    let newest = try await server.dataset()
    try await scene.ship(lost, "--take-over")
    let asked = try await scene.restore(try scene.folder.makeDirectory("asked"))
    try #require(asked.exit == .suspect, "\(asked)")
    #expect(asked.errorText.has("newest: 2.") && asked.errorText.has("before it: 1."), "\(asked)")
    // After the shipper was restarted and has claimed again, a restore still asks.
    try server.fill("more:", 1...2)
    if test.appendOnly == "no" { try await server.save() }
    let later = try await server.dataset()
    try await scene.ship(lost, "--take-over")
    let again = try await scene.restore(try scene.folder.makeDirectory("again"))
    #expect(again.exit == .suspect, "\(again)")
    #expect(TestFiles.tree(again.arguments[2]).isEmpty)
    for (choice, expected) in [("before", before), ("newest", later)] {
      let target = try await scene.restored(choice, "--suspect", choice)
      let found = try await scene.loaded(test.version, target, appendOnly: test.appendOnly)
      #expect(expected.difference(to: found, limit: 3) == [], "--suspect \(choice)")
    }
    server.kill()
    #expect(newest != later)
    // After `unpin`, the newest state is accepted.
    let pins = try await scene.pins()
    #expect(pins.count == 1, "\(pins)")
    let unpin = try await LifeboatCommand.run(
      ["unpin", "--repo", scene.repository] + pins.map(\.id))
    #expect(unpin.exitCode == 0, "\(unpin)")
    let accepted = try await scene.restored("accepted")
    let found = try await scene.loaded(test.version, accepted, appendOnly: test.appendOnly)
    #expect(later.difference(to: found, limit: 3) == [])
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `a volume of long ago is suspect, one of a second ago is not`(version: ServerVersion)
    async throws
  {
    for (age, isSuspect) in [(30 * 86_400, true), (1, false)] {
      let scene = try Scene()
      let server = try await scene.server(version, ["appendonly": "yes"])
      try server.fill("old:", 1...40)
      server.kill()
      // A mark in the log is not newer than the file.
      for name in TestFiles.tree(scene.data) where name.hasSuffix(".aof") {
        try setModified(scene.data + "/" + name, secondsAgo: age)
      }
      try await scene.ship()
      let old = try scene.folder.makeDirectory("old-volume")
      try TestFiles.copyTree(scene.data, to: old)
      let next = try await scene.server(version, ["appendonly": "yes"])
      try next.fill("young:", 1...40)
      next.kill()
      try await scene.ship()
      // The old copy is attached, and the server continues from it.
      let stale = try await scene.server(version, on: old, ["appendonly": "yes"])
      try stale.fill("again:", 1...3)
      stale.kill()
      try await scene.ship(old, "--take-over")
      let result = try await scene.restore(try scene.folder.makeDirectory("target"))
      #expect(result.exit == (isSuspect ? .suspect : .success), "age \(age): \(result)")
      guard isSuspect else { continue }
      let before = try await scene.restored("before", "--suspect", "before")
      let found = try await scene.loaded(version, before)
      #expect(found[0, "young:40"] != nil && found[0, "again:1"] == nil)
    }
  }

  @Test(arguments: Case.all)
  func `after FLUSHALL the state before it is pinned, and without a log a restore asks`(test: Case)
    async throws
  {
    let scene = try Scene()
    let server = try await scene.server(
      test.version, ["appendonly": test.appendOnly, "save": "3600 1"])
    try server.fill("kept:", 1...100)
    if test.appendOnly == "no" { try await server.save() }
    let before = try await server.dataset()
    let ship = try LifeboatCommand.start(
      ["ship", "--data", scene.data, "--repo", scene.repository, "--ship-interval", "100ms"])
    try await eventually(
      deadline: 60, "a restore point",
      condition: { try await scene.list().outputText.has("newest restore point: 1.") },
      state: { ship.errorText })
    try server.command("FLUSHALL")
    try await eventually(
      deadline: 60, "a pin", condition: { try await !scene.pins().isEmpty },
      state: { ship.errorText })
    server.kill()
    let end = try await ship.terminate()
    // Without a log, nothing explains why the next dump is empty, so a restore asks.
    let asks = test.appendOnly == "no"
    #expect(
      end.errorText.has(asks ? "accident" : "pinned until `lifeboat unpin`"), "\(end)")
    let asked = try await scene.restore(try scene.folder.makeDirectory("asked"))
    #expect(asked.exit == (asks ? .suspect : .success), "\(asked)")
    let newest = try await scene.restored("newest", "--suspect", "newest")
    #expect(try await scene.loaded(test.version, newest, appendOnly: test.appendOnly).isEmpty)
    let pins = try await scene.pins()
    try #require(pins.count == 1, "\(pins)")
    let target = try await scene.restored("pinned", "--point", pins[0].point)
    for setting in ["yes", "no"] {
      let found = try await scene.loaded(test.version, target, appendOnly: setting)
      // With `no`, the server may have an older dump or none, but never the empty one of FLUSHALL.
      if setting == test.appendOnly {
        #expect(before.difference(to: found, limit: 3) == [], "appendonly \(setting)")
      }
      let dump = target + "/dump.rdb"
      if TestFiles.exists(dump) {
        #expect(!(try await scene.loaded(test.version, target, appendOnly: "no").isEmpty))
      }
    }
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `FLUSHALL between two single ships: its empty dump does not join the cut before it`(
    version: ServerVersion
  ) async throws {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes", "save": "3600 1"])
    try server.fill("kept:", 1...100)
    try await scene.ship()
    try server.command("FLUSHALL")
    try server.fill("new:", 1...1)
    server.kill()
    try await scene.ship()
    let pins = try await scene.pins()
    try #require(pins.count == 1, "\(pins)")
    let target = try await scene.restored("pinned", "--point", pins[0].point)
    #expect(try await scene.loaded(version, target)[0, "kept:100"] != nil)
    if TestFiles.exists(target + "/dump.rdb") {
      #expect(try await !scene.loaded(version, target, appendOnly: "no").isEmpty)
    }
  }

  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1])
  func `a deliberate restore to an earlier point is not suspect`(version: ServerVersion)
    async throws
  {
    let scene = try Scene()
    let server = try await scene.server(version, ["appendonly": "yes"])
    try server.fill("early:", 1...5)
    for name in TestFiles.tree(scene.data) where name.hasSuffix(".aof") {
      try setModified(scene.data + "/" + name, secondsAgo: 7200)
    }
    try await scene.ship()
    let list = try await LifeboatCommand.run(["list", "--json", "--repo", scene.repository])
    let early = try #require(Scene.field("newest", of: list.outputText), "\(list)")
    try server.fill("late:", 1...500)
    server.kill()
    try await scene.ship()
    let target = try await scene.restored("target", "--point", early)
    let next = try await scene.server(version, on: target, ["appendonly": "yes"])
    try next.fill("other:", 1...5)
    let expected = try await next.dataset()
    next.kill()
    try await scene.ship(target)
    let newest = try await scene.restored("newest")
    let found = try await scene.loaded(version, newest)
    #expect(expected.difference(to: found, limit: 3) == [])
    #expect(found[0, "late:1"] == nil && found[0, "early:5"] != nil)
    // The abandoned branch can still be restored.
    let branch = try await scene.restored("branch", "--timeline", "2")
    #expect(try await scene.loaded(version, branch)[0, "late:500"] != nil)
  }
}
