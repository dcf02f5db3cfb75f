import BackupTypes
import Synchronization
import TestSupport
import Testing

/// `copy` and `fleet` with Azure Blob Storage on one side or on both, through the binary.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(5)))
struct AzureCopyTests {
  private static let key = ["AZURE_STORAGE_KEY": FakeAzureServer.key]
  private static let other = "b3RoZXItYWNjb3VudHMta2V5LW9mLTMyLWJ5dGVzLi4="

  private let folder: TemporaryDirectory
  private let environment: [String: String]

  init() throws {
    folder = try TemporaryDirectory("azure-copy")
    // The credentials of both clouds are in one environment.
    environment = CloudKeys.fault.merging(Self.key) { $1 }
  }

  private func url(_ server: FakeAzureServer, _ path: String) -> String {
    "az://container/\(path)?account=\(FakeAzureServer.account)&endpoint=\(server.url)"
  }

  private func run(
    _ command: String, _ arguments: String..., adding variables: [String: String] = [:]
  ) async throws -> CommandResult {
    try await LifeboatCommand.run(
      [command] + arguments, environment: environment.merging(variables) { $1 })
  }

  /// A repository with a BASE, log in several objects, and two snapshots at least.
  private func ship(to repository: String) async throws {
    let data = try folder.makeDirectory("data")
    let server = try await RedisServer.start(
      .v7_4, directory: data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "filler", String(repeating: "x", count: 100_000))
    for step in 1...3 {
      try server.command("SET", "step", "\(step)")
      if step == 2 { try await server.rewriteAOF() }
      let shipped = try await run(
        "ship", "--once", "--data", data, "--repo", repository, "--source", "shop")
      #expect(shipped.exitCode == 0, "\(shipped)")
    }
    _ = server.kill()
  }

  private func step(restoredFrom repository: String, _ name: String) async throws -> Int {
    let target = try folder.makeDirectory(name)
    let restored = try await run("restore", "--repo", repository, "--data", target)
    #expect(restored.exitCode == 0, "\(restored)")
    return try await step(in: target)
  }

  private func step(in target: String) async throws -> Int {
    let server = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes", "aof-load-truncated": "no"])
    defer { _ = server.kill() }
    return Int(try server.command("GET", "step").string ?? "") ?? 0
  }

  /// The bytes of each object of a repository in a directory.
  private func contents(_ directory: String) throws -> [String: [UInt8]] {
    var contents: [String: [UInt8]] = [:]
    for name in TestFiles.tree(directory) {
      contents[name] = try TestFiles.read(directory + "/" + name)
    }
    return contents
  }

  @Test(arguments: [false, true])
  func `from S3 to Azure, and from there to a directory`(isHierarchical: Bool) async throws {
    let s3 = try FaultS3Server()
    let azure = try FakeAzureServer {
      $0.isHierarchical = isHierarchical
      $0.pageMax = 3
      $0.hasEmptyPages = true
    }
    let source = "s3://bucket/prefix?endpoint=\(s3.url)"
    let copy = url(azure, "dr/redis-0")
    try await ship(to: source)
    let planned = try await run("copy", "--repo", source, "--to", copy, "--dry-run")
    #expect(planned.exitCode == 0 && planned.outputText.contains("would copy"), "\(planned)")
    #expect(azure.names.isEmpty)
    let copied = try await run("copy", "--repo", source, "--to", copy, "--read-back")
    #expect(copied.exitCode == 0 && copied.outputText.contains("complete:"), "\(copied)")
    let again = try await run("copy", "--repo", source, "--to", copy)
    #expect(again.exitCode == 0 && again.outputText.contains("nothing to copy"), "\(again)")
    #expect(azure.repetitions == 0)
    #expect(try await run("verify", "--repo", copy).exitCode == 0)
    #expect(try await step(restoredFrom: copy, "from-azure") == 3)

    // The directory does not exist yet.
    let directory = folder("back")
    let dry = try await run("copy", "--repo", copy, "--to", directory, "--dry-run")
    #expect(dry.exitCode == 0 && dry.outputText.contains("would copy"), "\(dry)")
    #expect(!TestFiles.exists(directory))
    let back = try await run("copy", "--repo", copy, "--to", directory)
    #expect(back.exitCode == 0, "\(back)")
    #expect(try await step(restoredFrom: directory, "from-directory") == 3)
    let found = try contents(directory)
    #expect(Set(found.keys) == Set(azure.names.map { String($0.dropFirst(21)) }))
    for (name, bytes) in found {
      #expect(azure.content("container/dr/redis-0/" + name) == bytes, "\(name)")
    }
  }

  /// Two accounts: the key of the copy's is its own. The copy gets a repository key of its own, too. Then the
  /// first account is lost, and the copy becomes the live repository.
  @Test func `from one Azure account to another, with another key`() async throws {
    let (first, second) = (try FakeAzureServer(), try FakeAzureServer { $0.keys = [Self.other] })
    try await ship(to: url(first, "a"))
    let arguments = ["copy", "--repo", url(first, "a"), "--to", url(second, "b")]
    let denied = try await LifeboatCommand.run(arguments, environment: environment)
    #expect(denied.exit == .storeUnavailable && second.names.isEmpty, "\(denied)")
    let key = Place.newKey()
    let copied = try await LifeboatCommand.run(
      arguments + ["--json"],
      environment: environment.merging([
        "LIFEBOAT_TO_AZURE_STORAGE_KEY": Self.other, "LIFEBOAT_TO_ENCRYPTION_KEY": key,
      ]) { $1 })
    #expect(
      copied.exitCode == 0 && copied.outputText.contains("\"hasOwnKey\" : true"), "\(copied)")

    first.server.stop()
    let (copy, account) = (url(second, "b"), ["AZURE_STORAGE_KEY": Self.other])
    for wrong in [nil, Place.newKey()] {
      let locked = try await run(
        "list", "--repo", copy,
        adding: account.merging(wrong.map { ["LIFEBOAT_ENCRYPTION_KEY": $0] } ?? [:]) { $1 })
      #expect(locked.exit == .wrongKey, "\(locked)")
    }
    let variables = account.merging(["LIFEBOAT_ENCRYPTION_KEY": key]) { $1 }
    let listed = try await run("list", "--repo", copy, adding: variables)
    #expect(listed.exitCode == 0 && listed.outputText.contains("\nsource: shop\n"), "\(listed)")
    let target = try folder.makeDirectory("restored")
    let restored = try await run("restore", "--repo", copy, "--data", target, adding: variables)
    #expect(restored.exitCode == 0, "\(restored)")
    let server = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "step", "4")
    _ = server.kill()
    let shipped = try await run(
      "ship", "--once", "--data", target, "--repo", copy, "--source", "shop", adding: variables)
    #expect(shipped.exitCode == 0, "\(shipped)")
    let last = try folder.makeDirectory("last")
    let again = try await run("restore", "--repo", copy, "--data", last, adding: variables)
    #expect(again.exitCode == 0, "\(again)")
    #expect(try await step(in: last) == 4)
  }

  /// A run that ends after so many objects leaves what can be restored, or what nobody takes for "no backup".
  @Test(arguments: [false, true])
  func `a copy to Azure that is stopped goes on, and equals its source`(isHierarchical: Bool)
    async throws
  {
    let source = try folder.makeDirectory("source")
    try await ship(to: source)
    let azure = try FakeAzureServer { $0.isHierarchical = isHierarchical }
    let copy = url(azure, "dr")
    var (stops, restores, last) = (0, 0, 0)
    while true {
      let left = Mutex(4)
      azure.change {
        $0.fault = { request in
          guard request.method == "PUT" else { return nil }
          let isOver = left.withLock { left in
            left -= 1
            return left < 0
          }
          return isOver
            ? .instead(.reply(FakeAzureServer.error(403, "AuthorizationPermissionMismatch"))) : nil
        }
      }
      let result = try await run("copy", "--repo", source, "--to", copy)
      if result.exitCode == 0 { break }
      #expect(result.exit == .storeUnavailable, "\(result)")
      stops += 1
      try #require(stops < 50)
      let target = try folder.makeDirectory("stopped-\(stops)")
      let restored = try await run("restore", "--repo", copy, "--data", target)
      if restored.exitCode == 0 {
        restores += 1
        let found = try await step(in: target)
        #expect(found >= last)
        last = found
      } else {
        #expect(restored.exit == .corrupt && last == 0, "\(restored)")
      }
    }
    #expect(stops > 1 && restores > 0)
    #expect(try await step(restoredFrom: copy, "whole") == 3)
    let whole = try contents(source)
    #expect(
      azure.names.map { String($0.dropFirst("container/dr/".count)) } == whole.keys.sorted())
    for (name, bytes) in whole {
      #expect(azure.content("container/dr/" + name) == bytes, "\(name)")
    }
  }

  @Test(arguments: [false, true])
  func `a fleet in a container`(isHierarchical: Bool) async throws {
    let azure = try FakeAzureServer {
      $0.isHierarchical = isHierarchical
      $0.pageMax = 2
      $0.hasEmptyPages = true
    }
    let data = try folder.makeDirectory("data")
    try Volume.writeDump(in: data)
    let key = ["LIFEBOAT_ENCRYPTION_KEY": Place.newKey()]
    for (name, variables) in [
      ("a/redis-0", [:]), ("a/redis-1", key), ("b", [:]), ("c/deep/er", [:]),
    ] {
      let shipped = try await run(
        "ship", "--once", "--data", data, "--repo", url(azure, "fleet/" + name),
        adding: variables)
      #expect(shipped.exitCode == 0, "\(shipped)")
    }
    azure.lose("container/fleet/b/lifeboat.json")
    let whole = "az://container?account=\(FakeAzureServer.account)&endpoint=\(azure.url)"
    for (prefix, below) in [(url(azure, "fleet"), ""), (whole, "fleet/")] {
      let fleet = try await run("fleet", "--repo", prefix, "--max-age", "0", "--json")
      #expect(fleet.exit == .corrupt, "\(fleet)")
      #expect(fleet.outputText.contains("\"repositories\" : 4"), "\(fleet)")
      for (name, state) in [
        ("a/redis-0", "fine"), ("a/redis-1", "locked"), ("b", "damaged"), ("c/deep/er", "fine"),
      ] {
        let row = fleet.outputText.split(separator: "{").first {
          $0.contains("\"name\" : \"\(below)\(name)\"")
        }
        #expect(row?.contains("\"state\" : \"\(state)\"") == true, "\(name): \(fleet)")
      }
    }
  }
}
