import TestSupport
import Testing

/// What a runbook's commands act on: a pod with its claim, Redis and the sidecar; the repository; and a
/// desk with a shell, for whoever is paged.
final class RunbookStage {
  let place: Place
  let desk: String
  /// The directory that the pod's claim is.
  var claim: String
  var repository: String
  /// What the cluster's Secret holds, and the pod mounts.
  private(set) var secret: String?
  private(set) var server: RedisServer?
  var second: RedisServer?
  private(set) var ship: RunningCommand?
  private let port: UInt16
  let client: String
  /// How many a shell has run.
  var lines = 0
  /// Times and the like that a page has as an example.
  var examples: [String: String] = [:]

  init(key: Bool = false, repository: String? = nil) async throws {
    place = try Place()
    desk = try place.folder.makeDirectory("desk")
    claim = place.data
    self.repository = repository ?? place.repository
    port = try freePorts(1)[0]
    let folders = (ChildProcess.minimalEnvironment["PATH"] ?? "").split(separator: ":")
    guard let path = folders.map({ $0 + "/redis-cli" }).first(where: TestFiles.exists) else {
      throw HarnessError("no redis-cli on the PATH: run scripts/servers")
    }
    client = path
    if key { try setSecret(Place.newKey()) }
    try TestFiles.makeDirectory(place.folder("bin"))
  }

  // MARK: The pod

  /// The init container, Redis, the sidecar. Throws when one does not come up.
  func start(restores: Bool = true, takesOver: Bool = false) async throws {
    guard server == nil else { return }
    if restores {
      let restored = try await LifeboatCommand.run(
        ["restore", "--data", claim, "--if-empty", "--if-backup-exists"], environment: environment)
      guard restored.exitCode == 0 else { throw HarnessError("the init container: \(restored)") }
    }
    server = try await RedisServer.start(
      .v7_0, directory: claim, options: ["appendonly": "yes", "appendfsync": "always"])
    try writeClient()
    try startShipping(takesOver: takesOver)
    try await sync()
  }

  func startShipping(takesOver: Bool = false) throws {
    ship = try LifeboatCommand.start(
      ["ship", "--data", claim, "--source", "ray/redis-0", "--ship-interval", "100ms"]
        + (takesOver ? ["--take-over"] : []), environment: environment)
  }

  func stopShipping() async throws {
    try await ship?.terminate()
    ship = nil
  }

  /// What applications do: without a write the shipper has nothing to claim a timeline for.
  func write() async throws {
    try server?.command("SET", "application", "runs")
    try server?.command("DEL", "application")
    try await sync()
  }

  /// Waits until what is on disk is in the repository.
  func sync() async throws {
    var last: CommandResult?
    try await eventually(
      deadline: 60, "what is on disk is shipped",
      condition: {
        last = try await LifeboatCommand.run(
          ["sync", "--wait", "--timeout", "5s"], environment: environment)
        return last?.exitCode == 0
      }, state: { "\(last.map { "\($0)" } ?? "")\n\(ship?.errorText ?? "")" })
  }

  /// As Kubernetes ends a pod.
  func stop() async throws {
    try await server?.shutdown()
    server = nil
    try await stopShipping()
  }

  /// As a node ends that lost its power.
  func kill() {
    server?.kill()
    ship?.kill()
    (server, ship) = (nil, nil)
  }

  /// The volume is gone, and the pod has an empty one.
  func loseClaim() throws {
    TestFiles.remove(claim)
    try TestFiles.makeDirectory(claim)
  }

  func setSecret(_ key: String) throws {
    let file = place.folder("secret")
    try TestFiles.write(key, to: file)
    secret = file
  }

  /// What Redis holds.
  func dataset() async throws -> Dataset {
    guard let server else { throw HarnessError("Redis does not run; \(ship?.errorText ?? "")") }
    return try await server.dataset()
  }

  var environment: [String: String] {
    var environment = ["LIFEBOAT_REPO": repository, "LIFEBOAT_ADMIN_LISTEN": "127.0.0.1:\(port)"]
    environment["LIFEBOAT_ENCRYPTION_KEY_FILE"] = secret
    return environment
  }
}
