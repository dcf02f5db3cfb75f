import BackupTypes
import Glibc
import TestSupport
import Testing

/// `doctor` with each common mistake. Only its output is checked.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(15)))
struct DoctorTests {
  private func doctor(_ place: Place, _ arguments: String...) async throws -> CommandResult {
    try await LifeboatCommand.run(
      ["doctor", "--repo", place.repository] + arguments, environment: place.environment)
  }

  /// Expects no raw Swift values, which show that a text is missing.
  private func expectPlainWords(_ result: CommandResult) {
    let types = [
      "Optional(", "Credentials(", "Token(", "Error(", "Fault(", "Refusal(", "Errno(", "ptr:",
      "nil",
      "LifeboatError", "DecodingError", "Swift.",
    ]
    for type in types { #expect(!"\(result.outputText)".contains(type), "\(type): \(result)") }
  }

  @Test(arguments: RefusalTests.Case.all)
  func `says what is in the way, and what to do`(test: RefusalTests.Case) async throws {
    let server = try FaultS3Server(test.setup)
    let place = try Place.on(server, options: test.options, environment: test.environment)
    let result = try await doctor(place)
    #expect(result.exit == .storeUnavailable, "\(result)")
    for word in test.words + ["FAILED", "means: ", "do: "] {
      #expect(result.outputText.contains(word), "\(word) is not in: \(result)")
    }
    #expect(!"\(result)".contains("planted"), "a secret is shown: \(result)")
    #expect(!result.outputText.contains("ok       environment: AWS_ACCESS_KEY_ID is not set"))
    expectPlainWords(result)
  }

  @Test func `a good store with a good volume`() async throws {
    let place = try await Place.onSeaweed()
    let before = try await doctor(place, "--data", place.data)
    #expect(before.exitCode == 0 && before.outputText.contains("all is well"), "\(before)")
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    server.kill()
    try await place.shipOnce()
    let after = try await doctor(place, "--data", place.data, "--json")
    #expect(after.exitCode == 0 && after.outputText.contains("\"restore-point\""), "\(after)")
    let text = try await doctor(place, "--data", place.data)
    #expect(text.outputText.contains("used: the access key "), "\(text)")
    expectPlainWords(text)
  }

  @Test func `nobody is told to let everyone read, write or delete`() async throws {
    for denied in [["DELETE", "POST"], ["PUT"], ["GET"], ["list-type"]] {
      let server = try FaultS3Server { $0.denied = Set(denied) }
      let place = try Place.on(server, options: "&anonymous=true", environment: CloudKeys.none)
      let result = try await doctor(place)
      #expect(result.outputText.contains("remove ?anonymous=true"), "\(result)")
      #expect(!result.outputText.contains("allow anonymous"), "\(result)")
    }
    // Append-only credentials are not a problem.
    let server = try FaultS3Server { $0.denied = ["DELETE", "delete"] }
    let result = try await doctor(try Place.on(server))
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.outputText.contains("do: if that is intended"))
  }

  @Test func `a store that overwrites is warned of, one without a bucket rule is not`() async throws
  {
    let server = try FaultS3Server { $0.conditionalCreate = .ignored }
    let place = try Place.on(server)
    let result = try await doctor(place)
    #expect(result.exitCode == 0, "\(result)")
    #expect(
      result.outputText.contains("WARNING  create-if-absent: the store ignores"), "\(result)")
    #expect(result.outputText.contains("two shippers on one repository"), "\(result)")
  }

  /// The probe at first use reports the same. The second `ship` to a repository does not probe again.
  @Test func `ship says at its first use what the store lacks, once`() async throws {
    let server = try FaultS3Server { $0.conditionalCreate = .ignored }
    let place = try Place.on(server)
    try Volume.writeDump(in: place.data)
    let first = try await place.run("ship", ["--once", "--data", place.data])
    #expect(first.exitCode == 0, "\(first)")
    #expect(first.errorText.contains("check=create-if-absent"), "\(first)")
    #expect(first.errorText.contains("two shippers on one repository"), "\(first)")
    #expect(server.names.allSatisfy { !$0.contains("ops/probes/") }, "\(server.names)")
    let puts = server.puts
    let second = try await place.run("ship", ["--once", "--data", place.data])
    #expect(second.exitCode == 0 && server.puts == puts, "\(second)")
  }

  @Test func `a volume that Redis would not load, and one that is not there`() async throws {
    let place = try Place()
    try TestFiles.makeDirectory(place.data + "/appendonlydir")
    try TestFiles.write("not a manifest", to: place.data + "/appendonlydir/appendonly.aof.manifest")
    let broken = try await doctor(place, "--data", place.data)
    #expect(broken.exit == .corrupt, "\(broken)")
    #expect(broken.outputText.contains("FAILED   content: "), "\(broken)")
    let absent = try await doctor(place, "--data", place.folder("nothing"))
    #expect(absent.exitCode != 0 && absent.outputText.contains("FAILED   directory"), "\(absent)")
  }

  /// The server then does what doctor says.
  @Test(arguments: [ServerVersion.v7_0, .v8_2, .valkey9_1])
  func `a log with NULs at its end: the server refuses it, and so it says`(version: ServerVersion)
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "key", "value")
    let before = try await doctor(place, "--data", place.data)
    #expect(before.exitCode == 0 && !before.outputText.contains("can't start"), "\(before)")
    #expect(!before.outputText.contains("does not start"), "\(before)")
    server.kill()
    let log = try #require(
      TestFiles.list(place.data + "/appendonlydir").last { $0.hasSuffix(".incr.aof") })
    try TestFiles.append(
      [UInt8](repeating: 0, count: 512), to: place.data + "/appendonlydir/" + log)
    let after = try await doctor(place, "--data", place.data)
    #expect(after.exit == .corrupt, "\(after)")
    #expect(after.outputText.contains("it ends in 512 NUL bytes"), "\(after)")
    #expect(after.outputText.contains("with appendonly yes Redis does not start"), "\(after)")
    #expect(after.outputText.contains("redis-check-aof --fix"), "\(after)")
    expectPlainWords(after)
    await #expect(throws: RedisServer.StartFailure.self) {
      _ = try await RedisServer.start(
        version, directory: place.data, options: ["appendonly": "yes"])
    }
  }

  @Test func `other names, an include, and a directory that was renamed under a running server`()
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_0, directory: place.data,
      options: ["appendonly": "yes", "appendfsync": "always", "dbfilename": "snapshot.rdb"])
    try server.command("SET", "key", "value")
    try await server.save()
    try TestFiles.rename(place.data + "/appendonlydir", to: place.data + "/elsewhere")
    let found = try await doctor(place, "--data", place.data)
    #expect(found.exit == .failure, "\(found)")
    #expect(found.outputText.contains("pass --dbfilename snapshot.rdb"), "\(found)")
    #expect(found.outputText.contains("pass --appenddirname elsewhere"), "\(found)")
    // With the configuration file, doctor knows that the directory is missing.
    let conf = place.folder("redis.conf")
    try TestFiles.write(
      "include /etc/more.conf\ndir /data\nappendonly yes\ndbfilename snapshot.rdb\n", to: conf)
    let configured = try await doctor(place, "--data", place.data, "--redis-conf", conf)
    #expect(configured.exit == .corrupt, "\(configured)")
    for words in [
      "WARNING  aof-directory: there is no appendonlydir, and appendonly is yes",
      "starts EMPTY: it ignores snapshot.rdb", "WARNING  redis-conf: ", "/etc/more.conf",
      "note     redis-conf: its dir is /data",
    ] { #expect(configured.outputText.contains(words), "\(words): \(configured)") }
    // The remedy works.
    try await server.rewriteAOF()
    let after = try await doctor(
      place, "--data", place.data, "--dbfilename", "snapshot.rdb", "--json")
    #expect(after.exitCode == 0, "\(after)")
    #expect(after.outputText.contains("\"verdict\" : \"note\""), "\(after)")
    server.kill()
    let again = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes"])
    #expect(try await again.dataset().keyCount == 1)
    again.kill()
  }

  @Test func `data that only one setting of appendonly loads is warned of`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v8_2, directory: place.data, options: ["appendonly": "no"])
    try server.command("SET", "key", "value")
    try await server.save()
    server.kill()
    let result = try await doctor(place, "--data", place.data)
    #expect(result.exitCode == 0, "\(result)")
    #expect(result.outputText.contains("WARNING  content: "), "\(result)")
    #expect(result.outputText.contains("with appendonly no it loads dump.rdb"), "\(result)")
    #expect(result.outputText.contains("starts EMPTY: it ignores dump.rdb"), "\(result)")
  }
}
