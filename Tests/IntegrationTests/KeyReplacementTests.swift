import BackupTypes
import RepositoryAccess
import TestSupport
import Testing

/// A leaked key is replaced while the sidecar runs, as documented: add the new key, switch over, remove the
/// old one.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct KeyReplacementTests {
  private func key(_ place: Place, _ words: String...) async throws -> CommandResult {
    try await LifeboatCommand.run(
      ["key", words[0], "--repo", place.repository] + words.dropFirst(),
      environment: place.environment)
  }

  private func file(_ name: String, _ place: Place) throws -> String {
    let path = place.folder(name)
    try TestFiles.write(Place.newKey() + "\n", to: path)
    return path
  }

  private func id(of file: String, _ place: Place) async throws -> String {
    let listed = try await key(place, "list", "--encryption-key-file", file)
    let line = listed.outputText.split(separator: "\n").first { $0.hasSuffix("  this key") }
    return String(try #require(line, "\(listed)").prefix { $0 != " " })
  }

  @Test func `a key is replaced while the sidecar ships, on a real store`() async throws {
    let place = try await Place.onSeaweed()
    let (old, new) = (try file("old", place), try file("new", place))
    // The contents of the pod's Secret.
    let mounted = place.folder("mounted")
    try TestFiles.write(try TestFiles.read(old), to: mounted)
    let redis = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try redis.command("SET", "before", "1")
    let admin = ["--admin-listen", "127.0.0.1:\(try freePorts(1)[0])"]
    func start() throws -> RunningCommand {
      try LifeboatCommand.start(
        [
          "ship", "--data", place.data, "--repo", place.repository, "--ship-interval", "200ms",
          "--encryption-key-file", mounted,
        ] + admin, environment: place.environment)
    }
    func sync(_ ship: RunningCommand) async throws {
      let synced = try await LifeboatCommand.run(["sync", "--wait"] + admin)
      #expect(synced.exitCode == 0, "\(synced)\n\(ship.errorText)")
    }
    var ship = try start()
    try await eventually(
      deadline: 60, "it ships", condition: { ship.errorText.contains("claimed a timeline") },
      state: { ship.errorText })
    try await sync(ship)

    let added = try await key(place, "add", "--encryption-key-file", old, "--new-key-file", new)
    #expect(added.exitCode == 0, "\(added)")
    let again = try await key(place, "add", "--encryption-key-file", old, "--new-key-file", new)
    #expect(again.exitCode == 0 && again.outputText.contains("already"), "\(again)")
    let (oldID, newID) = (try await id(of: old, place), try await id(of: new, place))
    #expect(added.outputText.contains("added: \(newID)"), "\(added)")
    #expect(added.outputText.contains("--encryption-key-file '\(new)' \(oldID)"), "\(added)")
    let restored = try await place.restore(into: "with-both", "--encryption-key-file", new)
    #expect(!TestFiles.tree(restored).isEmpty)

    TestFiles.remove(mounted)
    try TestFiles.write(try TestFiles.read(new), to: mounted)
    let own = try await key(place, "remove", "--encryption-key-file", old, oldID)
    #expect(own.exit == .usage && own.errorText.contains("is to remain"), "\(own)")
    let removed = try await key(place, "remove", "--encryption-key-file", new, oldID)
    #expect(removed.exitCode == 0 && removed.outputText.contains("removed: \(oldID)"), "\(removed)")
    #expect(removed.outputText.contains("new repository"), "\(removed)")

    // Every command refuses the old key. The error never looks like damage or an empty bucket.
    for arguments in [
      ["list"], ["restore", "--data", try place.folder.makeDirectory("refused")], ["doctor"],
      ["ship", "--once", "--data", place.data],
    ] {
      let refused = try await place.run(
        arguments[0], Array(arguments.dropFirst()) + ["--encryption-key-file", old])
      #expect(refused.exit == .wrongKey, "\(refused)")
      #expect("\(refused)".contains("removed"), "\(refused)")
    }

    // The running sidecar continues with the new key, and so does the next one.
    try redis.command("SET", "after", "2")
    try await sync(ship)
    #expect(try await ship.terminate().exitCode == 0)
    ship = try start()
    try redis.command("SET", "later", "3")
    try await eventually(
      deadline: 60, "it claims again",
      condition: { ship.errorText.contains("claimed a timeline") }, state: { ship.errorText })
    try await sync(ship)
    let expected = try await redis.dataset()
    _ = try await redis.shutdown()
    #expect(try await ship.terminate().exitCode == 0)
    let target = try await place.restore(into: "with-new", "--encryption-key-file", new)
    let server = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    #expect(try await expected.difference(to: server.dataset(), limit: 5) == [])
  }

  @Test func `a role that may not delete can't remove a key, and the exit code is 4`() async throws
  {
    let server = try FaultS3Server()
    let place = try Place.on(server)
    let (old, new) = (try file("old", place), try file("new", place))
    try await prepared(place, old, new)
    let oldID = try await id(of: old, place)
    server.change { $0.denied = ["delete", "DELETE"] }
    let denied = try await key(place, "remove", "--encryption-key-file", new, oldID)
    #expect(denied.exit == .storeUnavailable, "\(denied)")
    #expect(denied.errorText.contains("may delete"), "\(denied)")
    #expect(
      try await place.run("list", ["--encryption-key-file", old]).exitCode == 0,
      "the key still works")
  }

  /// Somebody who may create objects leaves garbage below `keys/`. Nobody is locked out, and `verify` reports
  /// it.
  @Test func `garbage slots are a finding of verify, and a restore works`() async throws {
    let place = try Place()
    let (old, new) = (try file("old", place), try file("new", place))
    try await prepared(place, old, new)
    let oldID = try await id(of: old, place)
    #expect(
      try await key(place, "remove", "--encryption-key-file", new, oldID).exitCode == 0)
    for number in 0..<50 {
      try TestFiles.write("garbage", to: place.repository + "/keys/\(number)")
    }
    try TestFiles.write("garbage", to: place.repository + "/keys/" + oldID)
    try await place.restore(into: "restored", "--encryption-key-file", new)
    let verified = try await place.run("verify", ["--encryption-key-file", new])
    #expect(verified.exit == .corrupt && verified.outputText.contains("keys/"), "\(verified)")
    // They can be removed like any key.
    let listed = try await key(place, "list", "--encryption-key-file", new)
    #expect(listed.outputText.contains("more objects below keys/"), "\(listed)")
    for _ in 1...2 {
      let lines = try await key(place, "list", "--encryption-key-file", new).outputText
        .split(separator: "\n").filter { $0.contains("  damaged") }
      let ids = lines.map { String($0.prefix { $0 != " " }) }
      let removed = try await LifeboatCommand.run(
        ["key", "remove", "--repo", place.repository, "--encryption-key-file", new] + ids)
      #expect(removed.exitCode == 0, "\(removed)")
    }
    let clean = try await place.run("verify", ["--encryption-key-file", new])
    #expect(clean.exitCode == 0, "\(clean)")
  }

  /// A release without support for added keys finds them, too, even after the first one was removed.
  @Test func `the release before opens a repository with an added key`() async throws {
    let place = try Place()
    let (old, new) = (try file("old", place), try file("new", place))
    try await prepared(place, old, new)
    let oldID = try await id(of: old, place)
    for _ in 1...2 {
      let listed = try await LifeboatCommand.run(
        ["list", "--repo", place.repository, "--encryption-key-file", new],
        binary: try EarlierRelease.v0_1_0.path)
      #expect(listed.exitCode == 0, "\(listed)")
      _ = try await key(place, "remove", "--encryption-key-file", new, oldID)
    }
    #expect(TestFiles.tree(place.repository + "/keys").count == 1)
  }

  /// A repository that `old` made, with `new` as a second key.
  private func prepared(_ place: Place, _ old: String, _ new: String) async throws {
    try Volume.writeDump(in: place.data)
    try await place.shipOnce("--encryption-key-file", old)
    let added = try await key(place, "add", "--encryption-key-file", old, "--new-key-file", new)
    #expect(added.exitCode == 0, "\(added)")
  }

  @Test func `the variables of key commands are known, and a key is never printed`() async throws {
    let place = try Place()
    let (old, new) = (try file("old", place), try file("new", place))
    try await prepared(place, old, new)
    let environment = [
      "LIFEBOAT_REPO": place.repository, "LIFEBOAT_ENCRYPTION_KEY_FILE": old,
      "LIFEBOAT_NEW_KEY_FILE": new, "LIFEBOAT_JSON": "true",
    ]
    for arguments in [["key", "add"], ["key", "list"]] {
      let result = try await LifeboatCommand.run(arguments, environment: environment)
      #expect(result.exitCode == 0 && !result.errorText.contains("no such flag"), "\(result)")
      for file in [old, new] {
        #expect(!"\(result)".contains(try TestFiles.text(file).prefix(79).suffix(64)))
      }
    }
    let bare = try await LifeboatCommand.run(["key"])
    #expect(bare.exit == .usage && bare.errorText.contains("remove"), "\(bare)")
  }
}
