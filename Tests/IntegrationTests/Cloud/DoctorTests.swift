import BackupTypes
import Glibc
import TestSupport
import Testing

/// `doctor`, with each common mistake, judged by what it prints and nothing else.
@Suite(.enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(15)))
struct DoctorTests {
  private func doctor(_ place: Place, _ arguments: String...) async throws -> CommandResult {
    try await LifeboatCommand.run(
      ["doctor", "--repo", place.repository] + arguments, environment: place.environment)
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
  }

  @Test func `a store that overwrites is warned of, one without a bucket rule is not`() async throws
  {
    let server = try FaultS3Server { $0.conditionalCreate = .ignored }
    let place = try Place.on(server)
    let result = try await doctor(place)
    #expect(result.exitCode == 0, "\(result)")
    #expect(
      result.outputText.contains("WARNING  create-if-absent: the store overwrites"), "\(result)")
    #expect(result.outputText.contains("two shippers of one repository"), "\(result)")
  }

  /// The probe at first use says the same by itself; the second ship of a repository does not ask again.
  @Test func `ship says at its first use what the store lacks, once`() async throws {
    let server = try FaultS3Server { $0.conditionalCreate = .ignored }
    let place = try Place.on(server)
    try Volume.writeDump(in: place.data)
    let first = try await place.run("ship", ["--once", "--data", place.data])
    #expect(first.exitCode == 0, "\(first)")
    #expect(first.errorText.contains("check=create-if-absent"), "\(first)")
    #expect(first.errorText.contains("two shippers of one repository"), "\(first)")
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
    #expect(result.outputText.contains("with appendonly no Redis loads"), "\(result)")
  }
}
