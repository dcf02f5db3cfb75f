import BackupTypes
import RepositoryAccess
import SystemIO
import TestSupport
import Testing

/// The bucket of `deploy/iam` on a real server, with versions, object lock, and old versions that expire.
/// Somebody with an administrator's key deletes or overwrites everything, and the commands of the runbook
/// recover it.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(15)))
struct ObjectLockTests {
  /// A locked bucket, made with the commands of `deploy/iam/README.md`, and a shell with its administrator's
  /// key.
  private struct Scene {
    let place: Place
    let server: SeaweedServer
    let bucket = "locked-" + hexadecimal(secureRandomBytes(8))
    private let clients: String

    init() async throws {
      server = try await SeaweedServer.shared()
      place = try Place(
        repository:
          "s3://\(bucket)/my-cluster/redis/redis-0?endpoint=\(server.url)&path-style=true",
        environment: CloudKeys.seaweed)
      clients = try Scene.folders()
      let page = try TestFiles.text(Checkout.root + "/deploy/iam/README.md")
      let lines = page.split(separator: "\n").filter { $0.hasPrefix("aws s3api ") }.map(String.init)
      try #require(lines.count == 4, "\(lines)")
      // This server does not support the policy's condition, and would refuse every upload.
      for line in lines where !line.contains("put-bucket-policy") { try await run(line) }
    }

    /// The folders of `aws` and `rclone`, for a PATH.
    private static func folders() throws -> String {
      let path = ChildProcess.minimalEnvironment["PATH"] ?? "/usr/bin:/bin"
      let servers = SeaweedServer.executable.map { $0.split(separator: "/").dropLast(2) } ?? []
      let folders = path + ":/" + servers.joined(separator: "/") + "/rclone"
      for (client, script) in [("aws", "scripts/servers"), ("rclone", "scripts/stores")] {
        guard folders.split(separator: ":").contains(where: { TestFiles.exists("\($0)/\(client)") })
        else { throw HarnessError("\(client) is not installed: run \(script)") }
      }
      return folders
    }

    /// Runs a line of a page unchanged, against this bucket.
    @discardableResult
    func run(_ line: String, time: Instant? = nil, exit: Int32 = 0) async throws -> String {
      var text = line.replacing("my-bucket", with: bucket)
        .replacing("aws s3", with: "aws --endpoint-url \(server.url) s3")
        .replacing(
          "rclone copy", with: "rclone copy --config /dev/null --s3-endpoint \(server.url)"
        )
        .replacing("file://deploy/", with: "file://\(Checkout.root)/deploy/")
        .replacing(" /restored", with: " " + place.folder("restored"))
      if let time {
        text = text.replacing("2026-11-22T14:02:00", with: time.description.prefix(19))
      }
      var environment = ChildProcess.minimalEnvironment.merging(place.environment) { $1 }
      let binary = LifeboatCommand.path.split(separator: "/").dropLast().joined(separator: "/")
      environment["PATH"] = "/\(binary):\(clients)"
      environment["HOME"] = ChildProcess.minimalEnvironment["HOME"]
      environment["REPO"] = place.repository
      environment["AWS_DEFAULT_REGION"] = "us-east-1"
      environment["AWS_CONFIG_FILE"] = "/nonexistent"
      environment["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent"
      environment["AWS_PAGER"] = ""
      let files = place.folder("line-" + hexadecimal(secureRandomBytes(8)))
      let (out, err) = (files + ".out", files + ".err")
      let shell = try ChildProcess(
        "/bin/bash", ["-e", "-o", "pipefail", "-c", text], environment: environment,
        directory: place.folder.path, output: .file(out), errors: .file(err))
      let end = try await shell.wait(deadline: 180)
      let printed = try TestFiles.text(out) + TestFiles.text(err)
      try #require(end == .exited(exit), "\(text)\n\(end)\n\(printed)")
      return printed
    }

    /// The output of `list-object-versions`, by line.
    func versions(_ query: String) async throws -> Set<String> {
      let text = try await run(
        "aws s3api list-object-versions --bucket my-bucket --prefix my-cluster/ --output text"
          + " --query \"\(query)\"")
      return Set(text.split(separator: "\n").map(String.init).filter { $0 != "None" })
    }

    func names() async throws -> Set<String> { try await versions("Versions[?IsLatest].[Key]") }

    /// A time after everything in the bucket and before everything that follows. The bucket's times are whole
    /// seconds.
    func betweenSeconds() async throws -> Instant {
      let start = SystemClock.now().milliseconds / 1000
      try await eventually(
        deadline: 60, "a second passes",
        condition: { SystemClock.now().milliseconds / 1000 > start })
      let time = Instant(milliseconds: (start + 1) * 1000)
      try await eventually(
        deadline: 60, "another one passes",
        condition: { SystemClock.now().milliseconds / 1000 > start + 1 })
      return time
    }
  }

  /// The wanted lines of a page, in order.
  private func lines(_ page: String, _ isWanted: (String) -> Bool) throws -> [RunbookLine] {
    try RunbookLine.all(of: page).filter { isWanted($0.text) }
  }

  /// Ships a Redis while its log is folded, and returns the final dataset.
  private func ship(_ scene: Scene) async throws -> Dataset {
    let place = scene.place
    let redis = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try redis.command("SET", "first", "value")
    let admin = ["--admin-listen", "127.0.0.1:\(try freePorts(1)[0])"]
    let ship = try LifeboatCommand.start(
      [
        "ship", "--data", place.data, "--repo", place.repository, "--ship-interval", "100ms",
        "--fold-grace", "1s",
      ] + admin, environment: place.environment)
    func sync() async throws {
      let synced = try await LifeboatCommand.run(["sync", "--wait"] + admin)
      #expect(synced.exitCode == 0, "\(synced)\n\(ship.errorText)")
    }
    try await eventually(
      deadline: 120, "it ships", condition: { ship.errorText.contains("claimed a timeline") },
      state: { ship.errorText })
    // At a rewrite, the rest of the log is folded. The small objects are deleted a second later.
    var rounds = 0
    try await eventually(
      deadline: 180, "small objects of the log were deleted",
      condition: {
        rounds += 1
        for index in 1...5 {
          try redis.command("SET", "round:\(rounds):\(index)", "value")
          try await sync()
        }
        try await redis.rewriteAOF()
        return try await scene.versions("DeleteMarkers[].[Key]").contains { $0.contains("/log/") }
      }, state: { "round \(rounds): " + ship.errorText })
    try await sync()
    let expected = try await redis.dataset()
    _ = try await redis.shutdown()
    #expect(try await ship.terminate().exitCode == 0, "\(ship.errorText)")
    return expected
  }

  private func expect(_ expected: Dataset, in directory: String) async throws {
    let server = try await RedisServer.start(
      .v7_4, directory: directory, options: ["appendonly": "yes"])
    defer { server.kill() }
    #expect(try await expected.difference(to: server.dataset(), limit: 5) == [])
  }

  @Test func `an administrator's key deletes everything, and the runbook brings it back`()
    async throws
  {
    let scene = try await Scene()
    let place = scene.place
    let expected = try await ship(scene)
    let doctor = try await place.run("doctor", [])
    #expect(doctor.exitCode == 0, "\(doctor)")
    for words in [
      "ok       versioning: on, and old versions expire after 15 days",
      "ok       object-lock: on: each object is locked for 15 days, and nobody",
      "ok       overwriting: these credentials can overwrite an object, but its earlier version stays",
    ] { #expect(doctor.outputText.contains(words), "\(doctor)") }
    // Everything is younger than a day, so this deletes nothing. Pruning uses the same request as folding.
    let pruned = try await place.run("prune", [])
    #expect(pruned.exitCode == 0, "\(pruned)")
    let id = try #require(try await place.run("list", ["--json"]).jsonText("repository"))
    let before = try await scene.names()
    #expect(before.count > 5)

    let time = try await scene.betweenSeconds()
    try await scene.run("aws s3 rm --quiet --recursive s3://my-bucket/my-cluster")
    // It can't delete the versions that remain either, because each one is locked.
    let kept = try await scene.versions("Versions[].[Key,VersionId]")
    for version in kept.sorted().prefix(5) {
      let words = version.split(separator: "\t")
      try await scene.run(
        "! aws s3api delete-object --bypass-governance-retention --bucket my-bucket --key "
          + "\(words[0]) --version-id \(words[1])")
    }
    #expect(try await scene.versions("Versions[].[Key,VersionId]") == kept)
    #expect(try await scene.names().isEmpty)
    let target = try place.folder.makeDirectory("target")
    let empty = try await place.run(
      "restore", ["--data", target, "--if-backup-exists", "--repository-id", id])
    #expect(empty.exit == .noBackup, "\(empty)")

    for line in try lines(
      "bucket-emptied.md",
      { text in
        !text.contains("recovered") && !text.contains("/restored")
      })
    { try await scene.run(line.text, time: time, exit: line.exit) }
    #expect(try await scene.names() == before)
    try await expect(expected, in: try await place.restore(into: "restored"))
    // The history continues.
    try await place.shipOnce()
  }

  @Test func `everything is overwritten, and a copy of the time before restores`() async throws {
    let scene = try await Scene()
    let expected = try await ship(scene)
    let before = try await scene.names()
    let time = try await scene.betweenSeconds()
    try TestFiles.write("garbage", to: scene.place.folder("garbage"))
    for name in before {
      try await scene.run("aws s3api put-object --bucket my-bucket --key \(name) --body garbage")
    }
    let target = try scene.place.folder.makeDirectory("target")
    let damaged = try await scene.place.run("restore", ["--data", target])
    #expect(damaged.exit == .corrupt, "\(damaged)")
    for line in try lines(
      "bucket-emptied.md",
      { text in
        text.contains("recovered") || text.contains("/restored")
      })
    { try await scene.run(line.text, time: time, exit: line.exit) }
    try await expect(expected, in: scene.place.folder("restored"))
  }

  /// With the bucket policy, as on AWS, and without it.
  @Test(arguments: [true, false])
  func `append-only credentials that can overwrite are a warning, unless the bucket refuses`(
    isRefused: Bool
  ) async throws {
    let server = try FaultS3Server {
      $0.denied = ["delete", "DELETE"]
      $0.deniesOverwriting = isRefused
    }
    let doctor = try await Place.on(server).run("doctor", [])
    #expect(doctor.exitCode == 0, "\(doctor)")
    let words =
      isRefused
      ? "ok       overwriting: these credentials can't overwrite an object"
      : "WARNING  overwriting: these credentials may not delete, but can overwrite"
    #expect(doctor.outputText.contains(words), "\(doctor)")
    #expect(!doctor.outputText.contains("object-lock: on"), "\(doctor)")
  }

  @Test func `settings that may not be read are not known, and never in force`() async throws {
    let server = try FaultS3Server {
      $0.denied = ["delete", "DELETE", "versioning", "object-lock", "lifecycle"]
    }
    let doctor = try await Place.on(server).run("doctor", [])
    #expect(doctor.exitCode == 0, "\(doctor)")
    for check in ["versioning", "object-lock", "lifecycle"] {
      #expect(
        doctor.outputText.contains("WARNING  \(check): these credentials may not read it"),
        "\(doctor)")
    }
    #expect(doctor.outputText.contains("it is not known whether its earlier version"), "\(doctor)")
  }
}
