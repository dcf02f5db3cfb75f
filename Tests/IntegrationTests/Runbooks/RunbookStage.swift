import TestSupport
import Testing

/// What a runbook's commands act on: a pod with its volume claim, Redis and the sidecar; the repository; and
/// a desk, which is the shell of the person on call.
final class RunbookStage {
  let place: Place
  let desk: String
  /// The directory that stands for the pod's volume claim.
  var claim: String
  var repository: String
  /// The file of the cluster's Secret, which the pod mounts.
  private(set) var secret: String?
  private(set) var server: RedisServer?
  var second: RedisServer?
  private(set) var ship: RunningCommand?
  private let port: UInt16
  let client: String
  /// How many lines a shell has run.
  var lines = 0
  /// Values for a page's examples, such as times.
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

  /// Starts the init container, Redis and the sidecar. Throws if one does not start.
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

  /// Writes as applications do. Without a write, the shipper has no reason to claim a timeline.
  func write() async throws {
    try server?.command("SET", "application", "runs")
    try server?.command("DEL", "application")
    try await sync()
  }

  /// Waits until everything on disk is in the repository.
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

  /// Stops the pod as Kubernetes does.
  func stop() async throws {
    try await server?.shutdown()
    server = nil
    try await stopShipping()
  }

  /// Kills everything, as when a node loses power.
  func kill() {
    server?.kill()
    ship?.kill()
    (server, ship) = (nil, nil)
  }

  /// Replaces the pod's volume by an empty one.
  func loseClaim() throws {
    TestFiles.remove(claim)
    try TestFiles.makeDirectory(claim)
  }

  func setSecret(_ key: String) throws {
    let file = place.folder("secret")
    try TestFiles.write(key, to: file)
    secret = file
  }

  /// The dataset of Redis.
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
