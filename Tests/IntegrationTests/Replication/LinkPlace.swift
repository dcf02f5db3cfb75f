import BackupTypes
import TestSupport
import Testing

/// A server without AOF and without dumps, and a `lifeboat ship --replica-of` beside it.
final class LinkPlace {
  let version: ServerVersion
  let directory: TemporaryDirectory
  /// A directory, or the URL of a store.
  let repository: String
  /// The keys of the store.
  private let environment: [String: String]
  private let admin: UInt16
  private var count = 0
  var ships: [RunningCommand] = []

  /// - Parameter repository: the URL of a store; nil: a directory of this place.
  init(
    _ version: ServerVersion, repository: String? = nil, environment: [String: String] = [:]
  ) throws {
    self.version = version
    directory = try TemporaryDirectory()
    admin = try freePorts(1)[0]
    self.repository = try repository ?? directory.makeDirectory("repository")
    self.environment = environment
  }

  /// With its repository in the SeaweedFS that all tests share.
  static func onSeaweed(_ version: ServerVersion) async throws -> LinkPlace {
    let place = try await Place.onSeaweed()
    return try LinkPlace(version, repository: place.repository, environment: place.environment)
  }

  /// A new directory, for each server and each restore.
  func fresh(_ name: String) -> String {
    count += 1
    return directory("\(name)-\(count)")
  }

  func server(
    port: UInt16, in data: String? = nil, _ options: [String: String] = [:]
  ) async throws -> RedisServer {
    try await RedisServer.start(
      version, directory: data ?? fresh("server"),
      options: [
        "port": "\(port)", "bind": "127.0.0.1", "repl-diskless-sync": "yes",
        "repl-diskless-sync-delay": "0", "repl-backlog-size": "16mb",
      ].merging(options) { $1 })
  }

  func ship(_ port: UInt16, _ more: [String] = []) throws -> RunningCommand {
    try ship(url: "redis://127.0.0.1:\(port)", more)
  }

  func ship(url: String, _ more: [String] = []) throws -> RunningCommand {
    let ship = try LifeboatCommand.start(
      [
        "ship", "--replica-of", url, "--repo", repository, "--source",
        "test/redis", "--admin-listen", "127.0.0.1:\(admin)", "--ack-interval", "20ms",
      ] + more, environment: environment)
    ships.append(ship)
    return ship
  }

  var said: String { ships.map(\.errorText).joined(separator: "---\n") }

  /// Writes, and waits until the server says that one replica has it.
  func write(_ server: RedisServer, key: String = "n", replicas: Int = 1) async throws {
    let client = try server.connect(timeout: 120)
    // A server without data is not asked for a copy, so write first.
    _ = try client.command("INCR", key)
    try await eventually(
      deadline: 120, "a write is acknowledged",
      condition: {
        // A write before the first replica attaches has offset 0, so WAIT would count a replica without data.
        let attached = try server.info("connected_slaves").flatMap { Int($0) } ?? 0
        guard attached >= replicas else { return false }
        _ = try client.command("INCR", key)
        return try client.command("WAIT", replicas, 2000).integer ?? 0 >= replicas
      }, state: { said + server.log })
  }

  func restore(_ more: [String] = []) async throws -> (result: CommandResult, data: String) {
    let data = fresh("restored")
    let result = try await LifeboatCommand.run(
      ["restore", "--repo", repository, "--data", data] + more, environment: environment)
    return (result, data)
  }

  /// Restores, starts a server on it, and compares.
  func expectRestored(
    _ wanted: Dataset, _ what: Comment, _ more: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
  ) async throws {
    let (result, data) = try await restore(more)
    try #require(
      result.exit == .success, "\(what): \(result) \(said)", sourceLocation: sourceLocation)
    let server = try await RedisServer.start(
      version, directory: data, options: ["appendonly": "yes"])
    let found = try await server.dataset()
    #expect(found == wanted, what, sourceLocation: sourceLocation)
    _ = server.kill()
  }

  func expectSound(sourceLocation: SourceLocation = #_sourceLocation) async throws {
    let verified = try await LifeboatCommand.run(
      ["verify", "--repo", repository], environment: environment)
    #expect(verified.exit == .success, "\(verified)", sourceLocation: sourceLocation)
  }
}
