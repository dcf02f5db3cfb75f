import BackupTypes
import TestSupport
import Testing

/// The main job with its repository in Azure Blob Storage, run through the binary.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(20)))
struct AzureMainJobTests {
  @Test func `kill -9 of both: what the container has is whole and in order`() async throws {
    let azure = try FakeAzureServer()
    try await Place.on(azure, environment: AzureDesk(.key, for: azure).environment)
      .survivesKills(Place.cloudJob)
  }

  @Test func `kill -9 of both with tokens, on a hierarchical namespace`() async throws {
    let azure = try FakeAzureServer {
      $0.isHierarchical = true
      $0.pageMax = 7
    }
    // Each process gets its own token.
    let desk = try AzureDesk(.workloadIdentity, for: azure, keepsOld: true)
    try await Place.on(azure, environment: desk.environment).survivesKills(
      CrashTests.Case(version: .valkey9_1, appendOnly: false, fsync: "everysec"))
  }

  @Test(arguments: [AzureDesk.Kind.signature, .connectionString])
  func `every command works on a container`(kind: AzureDesk.Kind) async throws {
    let azure = try FakeAzureServer { $0.hasEmptyPages = true }
    let place = try Place.on(azure, environment: AzureDesk(kind, for: azure).environment)
    try await place.everyCommandWorks()
    #expect(try await place.run("doctor", []).exitCode == 0)
  }

  @Test func `on a rough way`() async throws {
    let azure = try FakeAzureServer { $0.fault = RoughWayTests.faults(seed: 4) }
    let desk = try AzureDesk(.metadata, for: azure, lifetimeSeconds: 10)
    let place = try Place.on(azure, environment: desk.environment)
    try await place.survivesRoughWay(on: azure, seed: 4)
  }

  @Test(arguments: AzureDesk.Kind.rotating)
  func `ship goes on through every rotation, and no secret is seen`(
    kind: AzureDesk.Kind
  ) async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(kind, for: azure, lifetimeSeconds: 2)
    let place = try Place.on(azure, environment: desk.environment)
    try await place.shipsThroughRotations(
      on: azure, deny: { azure.change { $0.denied = ["list", "read"] } },
      role: "Storage Blob Data Contributor")
  }

  @Test func `no token yet, and then there is one`() async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(.metadata, for: azure)
    let place = try Place.on(azure, environment: desk.environment)
    try await place.waitsForItsFirstToken { isUp in
      desk.entra.change { $0.fault = { _ in isUp ? nil : .hangUp } }
    }
  }

  /// Other clients read what Lifeboat wrote, and Lifeboat restores what they write. Each client also checks
  /// the server that the other tests rely on.
  @Test(.enabled(if: AzureClients.areInstalled), arguments: ["sdk", "obstore", "opendal"])
  func `clients that are not ours agree with the tests' own server`(client: String) async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(.key, for: azure)
    let place = try Place.on(azure, environment: desk.environment)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    let said = try await AzureClients.run(client, on: azure, from: "prefix", to: "copy")
    #expect(said.hasPrefix("ok "), "\(said)")
    let copy = try Place(
      repository: place.repository.replacing("container/prefix", with: "container/copy"),
      environment: desk.environment)
    #expect(try await copy.run("verify", []).exitCode == 0)
    let restored = try await copy.restore(into: "restored")
    #expect(
      try TestFiles.read(restored + "/dump.rdb") == TestFiles.read(place.data + "/dump.rdb"))
  }
}
