import CloudAuth
import Glibc
import HTTPTransport
import ObjectStorage
import S3Storage
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// A repository loses objects that it had acknowledged. The loss is found within the audit interval and
/// reported, and what is still on disk is shipped again.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun))
struct RepositoryLossTests {
  enum Loss: String, CaseIterable, Sendable {
    case newestLog = "the last log objects"
    case claim = "the claim"
    case descriptor = "the descriptor"
    case base = "the base's index"
    case everything = "everything"
  }

  @Test(arguments: Loss.allCases, [false, true])
  func `what is lost is found, said and shipped again`(loss: Loss, isS3: Bool) async throws {
    let (place, store, server, shown) = try await shipped(isS3: isS3)
    let gone = try await names(store).filter { matches($0, loss) }
    #expect(!gone.isEmpty)
    _ = try await store.delete(gone)
    // Log that is written meanwhile goes into the remaining repository.
    if loss != .everything { try server.command("SET", "after", "1") }
    if loss == .everything {
      try await eventually(
        deadline: 90, "it is blocked and makes no new repository",
        condition: {
          let status = try await shown.run("status")
          return status.exitCode == 1 && status.outputText.contains("is no longer at")
        }, state: { shown.command.errorText })
      #expect(try await names(store).filter { $0 == "lifeboat.json" }.isEmpty)
      // After a restart, it makes a new repository from what is on disk.
      shown.command.kill()
      try server.command("SET", "after", "1")
      let again = try Shown(place)
      try await again.becomesWell()
    } else {
      try await eventually(
        deadline: 90, "the loss is said",
        condition: {
          shown.command.errorText.contains("missing from")
            || shown.command.errorText.contains("was missing from the repository")
        },
        state: { shown.command.errorText })
      try await shown.becomesWell()
      _ = try await shown.command.terminate()
    }
    let restored = try await place.restore(into: "restored")
    let other = try await RedisServer.start(
      server.version, directory: restored, options: ["appendonly": "yes"])
    #expect(try other.command("GET", "after").string == "1")
    #expect(try other.command("DBSIZE") == .integer(22))
  }

  /// The first pages below timelines/ have no object of it: only directories.
  @Test func `a lost descriptor is found on a store whose first pages are empty`() async throws {
    let azure = try FakeAzureServer {
      $0.isHierarchical = true
      $0.pageMax = 1
    }
    let place = try Place.on(azure, environment: AzureDesk(.key, for: azure).environment)
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "1")
    let shown = try Shown(place, ["--probe-interval", "1s"])
    try await shown.becomesWell()
    let name = "container/prefix/lifeboat.json"
    let descriptor = try #require(azure.content(name))
    azure.lose(name)
    try server.command("SET", "after", "1")
    try await eventually(
      deadline: 90, "it is written again",
      condition: { azure.content(name) == descriptor }, state: { shown.command.errorText })
    try await shown.becomesWell()
    _ = try await shown.command.terminate()
    let other = try await RedisServer.start(
      .v7_0, directory: try await place.restore(into: "restored"),
      options: ["appendonly": "yes"])
    #expect(try other.command("GET", "after").string == "1")
  }

  enum Damage: String, CaseIterable, Sendable {
    case emptyLog = "the last log object is empty"
    case shortLog = "the last log object is truncated"
    case swappedLog = "the last log object holds another's bytes"
    case snapshot = "the last snapshot holds something else"
    case piece = "a piece of the base is missing"
    case emptyPiece = "a piece of the base is empty"
    case index = "the base's index is truncated"
  }

  /// A place with 21 keys that are durable in the repository.
  private func shipped(isS3: Bool) async throws -> (
    place: Place, store: any ObjectStore, server: RedisServer, shown: Shown
  ) {
    let place = isS3 ? try await Place.onSeaweed() : try Place()
    let store = try store(place, isS3: isS3)
    let server = try await RedisServer.start(
      isS3 ? .v7_0 : .valkey9_1, directory: place.data, options: ["appendonly": "yes"])
    for index in 0..<20 { try server.command("SET", "key:\(index)", "value") }
    let shown = try Shown(place, ["--probe-interval", "1s"])
    try await shown.becomesWell()
    try server.command("SET", "late", "1")
    try await shown.becomesWell()
    return (place, store, server, shown)
  }

  /// All names are still there, and the listing looks the same.
  @Test(arguments: Damage.allCases, [false, true])
  func `what is damaged is found, said and shipped again`(damage: Damage, isS3: Bool) async throws {
    let (place, store, server, shown) = try await shipped(isS3: isS3)
    let all = try await names(store)
    let log = all.filter { $0.contains("/log/") }.sorted()
    let piece = all.first { $0.hasPrefix("generations/") && !$0.hasSuffix("/index") }
    func replace(_ name: String?, _ change: ([UInt8]) -> [UInt8]?) async throws {
      let name = try #require(name)
      let bytes = try #require(try await store.read(name))
      _ = try await store.delete([name])
      if let changed = change(bytes) { _ = try await store.create(name, changed) }
    }
    switch damage {
    case .emptyLog: try await replace(log.last) { _ in [] }
    case .shortLog: try await replace(log.last) { Array($0.dropLast(3)) }
    case .swappedLog:
      let other = try #require(try await store.read(log[0]))
      try #require(log.count > 1)
      try await replace(log.last) { _ in other }
    case .snapshot:
      let last = all.filter { $0.contains("/snapshots/") }.max()
      try await replace(last) { _ in Array("something else".utf8) }
    case .piece: try await replace(piece) { _ in nil }
    case .emptyPiece: try await replace(piece) { _ in [] }
    case .index:
      try await replace(all.first { $0.hasSuffix("/index") }) { Array($0.dropLast(3)) }
    }
    try await eventually(
      deadline: 90, "the damage is said",
      condition: {
        let text = shown.command.errorText
        return text.contains("is damaged") || text.contains("missing from")
      }, state: { shown.command.errorText })
    try server.command("SET", "after", "1")
    try await shown.becomesWell()
    _ = try await shown.command.terminate()
    let restored = try await place.restore(into: "restored")
    let other = try await RedisServer.start(
      server.version, directory: restored, options: ["appendonly": "yes"])
    #expect(try other.command("GET", "after").string == "1")
    #expect(try other.command("DBSIZE") == .integer(22))
  }

  /// An unmounted volume leaves its mount point, an empty directory. It is not taken for a new repository.
  @Test func `another directory in the repository's place is not written to`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "1")
    let shown = try Shown(place, ["--probe-interval", "1s"])
    try await shown.becomesWell()
    #expect(rename(place.repository, place.repository + ".away") == 0)
    try TestFiles.makeDirectory(place.repository)
    try server.command("SET", "key", "2")
    try await eventually(
      deadline: 90, "it says that the directory is another",
      condition: { shown.command.errorText.contains("is no longer the same directory") },
      state: { shown.command.errorText })
    try await eventually(
      deadline: 90, "the lag grows",
      condition: { try await shown.metric("lifeboat_log_lag_seconds") ?? 0 > 2 },
      state: { shown.command.errorText })
    let sync = try await shown.run("sync", "--wait", "--timeout", "1s")
    #expect(sync.exitCode != 0)
    #expect(TestFiles.tree(place.repository) == [])
    rmdir(place.repository)
    #expect(rename(place.repository + ".away", place.repository) == 0)
    try await shown.becomesWell()
    let restored = try await place.restore(into: "restored")
    let other = try await RedisServer.start(
      .v7_0, directory: restored, options: ["appendonly": "yes"])
    #expect(try other.command("GET", "key").string == "2")
  }

  @Test func `another repository than the one that was named is refused, and so is none`()
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "key", "1")
    let other = String(repeating: "ab", count: 16)
    let none = try await place.run(
      "ship", ["--once", "--data", place.data, "--repository-id", other])
    #expect(none.exitCode == 5, "\(none)")
    #expect(TestFiles.tree(place.repository) == [])
    try await place.shipOnce()
    let id = try #require(try await place.run("list", ["--json"]).jsonText("repository"))
    try server.command("SET", "key", "2")
    let wrong = try await place.run(
      "ship", ["--once", "--data", place.data, "--repository-id", other])
    #expect(wrong.exitCode == 6, "\(wrong)")
    let right = try await place.run(
      "ship", ["--once", "--data", place.data, "--repository-id", id])
    #expect(right.exitCode == 0, "\(right)")
  }

  private func matches(_ name: String, _ loss: Loss) -> Bool {
    switch loss {
    case .newestLog: name.contains("/log/")
    case .claim: name.hasSuffix("/claim")
    case .descriptor: name == "lifeboat.json"
    case .base: name.hasSuffix("/index")
    case .everything: true
    }
  }

  private func names(_ store: any ObjectStore) async throws -> [String] {
    var names: [String] = []
    var token: String?
    repeat {
      let page = try await store.list(prefix: "", continuing: token)
      names += page.entries.map(\.name)
      token = page.next
    } while token != nil
    return names
  }

  private func store(_ place: Place, isS3: Bool) throws -> any ObjectStore {
    guard isS3 else { return place.store }
    let client = try HTTPClient(
      connectionsMax: 2, limits: HTTPLimits(), trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "test/1")
    return try S3Repository(
      url: place.repository, settings: AWSSettings(environment: place.environment), client: client,
      now: SystemClock.now, observe: { _ in }
    ).store
  }
}
