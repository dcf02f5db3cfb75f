import BackupFormat
import BackupTypes
import Glibc
import RepositoryAccess
import SystemIO
import TestSupport
import Testing

/// A copy in another account, with a key of its own, while a real server is shipped. Then the account is
/// gone.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct CopyTests {
  private let folder: TemporaryDirectory
  private let data: String
  private let source: String
  private let copy: String
  private let (sourceKey, copyKey): (String, String)

  init() throws {
    folder = try TemporaryDirectory("copy")
    data = try folder.makeDirectory("data")
    source = try folder.makeDirectory("account-a")
    copy = folder("account-b")
    (sourceKey, copyKey) = (folder("key-a"), folder("key-b"))
    for path in [sourceKey, copyKey] {
      try TestFiles.write(EncryptionKey(bytes: secureRandomBytes(32)).reveal(), to: path)
    }
  }

  private var copyArguments: [String] {
    [
      "copy", "--repo", source, "--to", copy, "--encryption-key-file", sourceKey,
      "--to-encryption-key-file", copyKey,
    ]
  }

  private func restore(into name: String) async throws -> CommandResult {
    try await LifeboatCommand.run([
      "restore", "--repo", copy, "--encryption-key-file", copyKey, "--data",
      try folder.makeDirectory(name),
    ])
  }

  private func step(in directory: String) async throws -> Int {
    let server = try await RedisServer.start(
      .v7_4, directory: directory, options: ["appendonly": "yes", "aof-load-truncated": "no"])
    defer { _ = server.kill() }
    return Int(try server.command("GET", "step").string ?? "") ?? 0
  }

  @Test func `a copy that is killed again and again is what is left of a lost account`()
    async throws
  {
    let redis = try await RedisServer.start(
      .v7_4, directory: data, options: ["appendonly": "yes", "appendfsync": "always"])
    let admin = ["--admin-listen", "127.0.0.1:\(try freePorts(1)[0])"]
    try redis.command("SET", "filler", String(repeating: "x", count: 1 << 20))
    let ship = try LifeboatCommand.start(
      [
        "ship", "--data", data, "--repo", source, "--encryption-key-file", sourceKey,
        "--ship-interval", "100ms", "--source", "shop",
      ] + admin)
    func sync() async throws {
      var last = ""
      try await eventually(
        deadline: 60, "a sync",
        condition: {
          let result = try await LifeboatCommand.run(["sync", "--wait"] + admin)
          last = "\(result)"
          return result.exitCode == 0
        }, state: { last + ship.errorText })
    }
    var (written, copied) = (0, 0)
    for round in 1...6 {
      for _ in 0..<20 {
        written += 1
        try redis.command("SET", "step", "\(written)")
      }
      if round == 3 { try await redis.rewriteAOF() }
      try await sync()
      // Killed at some point, from before its first output to after its last object.
      let running = try LifeboatCommand.start(copyArguments)
      let objects = TestFiles.tree(copy).count + round
      try await eventually(deadline: 60, "some objects") {
        running.end != nil || TestFiles.tree(copy).count >= objects
      }
      _ = running.kill()
      guard TestFiles.exists(copy + "/lifeboat.json") else { continue }
      let restored = try await restore(into: "killed-\(round)")
      if restored.exitCode == 0 {
        let step = try await step(in: folder("killed-\(round)"))
        #expect(step >= copied && step <= written, "round \(round)")
        copied = step
      } else {
        // There is no restore point yet. This is never exit 3.
        #expect(restored.exit == .corrupt && copied == 0, "\(restored)")
      }
    }
    try await sync()
    let whole = try await LifeboatCommand.run(copyArguments + ["--json"])
    #expect(whole.exitCode == 0 && whole.outputText.contains("\"isComplete\" : true"), "\(whole)")
    #expect(whole.outputText.contains("\"hasOwnKey\" : true"), "\(whole)")
    let again = try await LifeboatCommand.run(copyArguments)
    #expect(again.exitCode == 0 && again.outputText.contains("nothing to copy"), "\(again)")
    let sound = try await LifeboatCommand.run(
      ["verify", "--repo", copy, "--encryption-key-file", copyKey])
    #expect(sound.exitCode == 0, "\(sound)")

    // The account, the volume and the leaked key are gone.
    _ = ship.kill()
    let dataset = try await redis.dataset()
    _ = redis.kill()
    try TestFiles.rename(source, to: folder("found-later"))
    let leaked = try await LifeboatCommand.run([
      "list", "--repo", copy, "--encryption-key-file", sourceKey,
    ])
    #expect(leaked.exit == .wrongKey, "\(leaked)")
    let restored = try await restore(into: "new")
    #expect(restored.exitCode == 0, "\(restored)")
    let server = try await RedisServer.start(
      .v7_4, directory: folder("new"), options: ["appendonly": "yes"])
    let difference = try await server.dataset().difference(to: dataset)
    #expect(difference.isEmpty, "\(difference)")
    // From now on the copy is the live repository. Nothing is copied over it.
    try server.command("SET", "step", "after")
    // The directory is another one. Without the source, which `list` shows, nothing is taken over.
    let asked = try await LifeboatCommand.run([
      "ship", "--once", "--repo", copy, "--encryption-key-file", copyKey, "--data", folder("new"),
    ])
    #expect(asked.exit == .refused && asked.errorText.contains("--source 'shop'"), "\(asked)")
    let listed = try await LifeboatCommand.run([
      "list", "--repo", copy, "--encryption-key-file", copyKey,
    ])
    #expect(listed.outputText.contains("\nsource: shop\n"), "\(listed)")
    let shipped = try await LifeboatCommand.run([
      "ship", "--once", "--repo", copy, "--encryption-key-file", copyKey, "--data", folder("new"),
      "--source", "shop",
    ])
    #expect(shipped.exitCode == 0, "\(shipped)")
    let before = TestFiles.tree(copy)
    try TestFiles.rename(folder("found-later"), to: source)
    let refused = try await LifeboatCommand.run(copyArguments)
    #expect(refused.exit == .refused, "\(refused)")
    #expect(refused.errorText.contains("a history of its own"), "\(refused)")
    #expect(TestFiles.tree(copy) == before)
  }

  /// Two accounts of one vendor. The copy has its own credentials.
  @Test func `the source under another name, and a place inside it, are no copy`() async throws {
    let link = folder("link")
    #expect(symlink(source, link) == 0)
    for place in [source, link, source + "/copy", folder.path] {
      let result = try await LifeboatCommand.run(["copy", "--repo", source, "--to", place])
      #expect(result.exit == .usage, "\(place): \(result)")
    }
  }

  @Test func `a copy in another account, and a fleet, on a real store`() async throws {
    let other = (key: "other-account", secret: "other-account-secret")
    let (first, second) = (try await SeaweedServer.shared(), try await SeaweedServer(keys: [other]))
    try await second.makeBucket()
    func url(_ server: SeaweedServer, _ prefix: String) -> String {
      "s3://\(SeaweedServer.bucket)/\(prefix)?endpoint=\(server.url)&path-style=true"
    }
    let prefix = "fleet-" + hexadecimal(secureRandomBytes(8))
    let environment = [
      "HOME": "/nonexistent", "AWS_EC2_METADATA_DISABLED": "true",
      "AWS_ACCESS_KEY_ID": SeaweedServer.accessKey,
      "AWS_SECRET_ACCESS_KEY": SeaweedServer.secretKey, "AWS_REGION": "us-east-1",
    ]
    let redis = try await RedisServer.start(.v7_4, directory: data, options: ["appendonly": "yes"])
    try redis.command("SET", "step", "7")
    for name in ["a/redis-0", "a/redis-1", "b"] {
      let shipped = try await LifeboatCommand.run(
        ["ship", "--once", "--data", data, "--repo", url(first, "\(prefix)/\(name)")],
        environment: environment)
      #expect(shipped.exitCode == 0, "\(shipped)")
    }
    _ = redis.kill()
    let fleet = try await LifeboatCommand.run(
      ["fleet", "--repo", url(first, prefix), "--json"], environment: environment)
    #expect(fleet.exitCode == 0 && fleet.outputText.contains("\"repositories\" : 3"), "\(fleet)")
    for name in ["a/redis-0", "a/redis-1", "b"] {
      #expect(fleet.outputText.contains("\"name\" : \"\(name)\""), "\(fleet)")
    }

    let arguments = [
      "copy", "--repo", url(first, "\(prefix)/b"), "--to", url(second, "dr/b"),
    ]
    let denied = try await LifeboatCommand.run(
      arguments,
      environment: environment.merging(["LIFEBOAT_TO_AWS_ACCESS_KEY_ID": "nobody"]) { $1 }
    )
    #expect(denied.exit == .storeUnavailable, "\(denied)")
    let copied = try await LifeboatCommand.run(
      arguments + ["--read-back"],
      environment: environment.merging([
        "LIFEBOAT_TO_AWS_ACCESS_KEY_ID": other.key,
        "LIFEBOAT_TO_AWS_SECRET_ACCESS_KEY": other.secret,
        "LIFEBOAT_TO_AWS_REGION": "us-east-1",
      ]) { $1 })
    #expect(copied.exitCode == 0 && !copied.errorText.contains("warning"), "\(copied)")
    let target = try folder.makeDirectory("restored")
    let restored = try await LifeboatCommand.run(
      ["restore", "--repo", url(second, "dr/b"), "--data", target], environment: environment)
    #expect(restored.exitCode == 0, "\(restored)")
    #expect(try await step(in: target) == 7)
  }
}
