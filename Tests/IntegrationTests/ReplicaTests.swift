import TestSupport
import Testing

/// A primary with two replicas, as in deploy/kustomize/examples/replicas. Each pod has its own volume and
/// repository.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct ReplicaTests {
  private final class Pod {
    let place: Place
    let number: Int
    /// The port of the primary, which the other pods replicate.
    let primary: UInt16
    private var starts = 0
    private let admin: UInt16
    private(set) var server: RedisServer?
    private(set) var ship: RunningCommand?

    init(_ number: Int, primary: UInt16, admin: UInt16) throws {
      place = try Place()
      (self.number, self.primary, self.admin) = (number, primary, admin)
    }

    private var environment: [String: String] {
      ["LIFEBOAT_REPO": place.repository, "LIFEBOAT_ADMIN_LISTEN": "127.0.0.1:\(admin)"]
    }

    func lifeboat(_ arguments: String...) async throws -> CommandResult {
      try await LifeboatCommand.run(arguments, environment: environment)
    }

    func start() async throws {
      starts += 1
      let restored = try await lifeboat(
        "restore", "--data", place.data, "--if-empty", "--if-backup-exists")
      guard restored.exitCode == 0 else { throw HarnessError("the init container: \(restored)") }
      var options = ["appendonly": "yes", "save": "60 1000", "repl-diskless-sync-delay": "0"]
      if number == 0 {
        options["port"] = "\(primary)"
      } else {
        options["replicaof"] = "127.0.0.1 \(primary)"
      }
      server = try await RedisServer.start(.v7_4, directory: place.data, options: options)
      ship = try LifeboatCommand.start(
        ["ship", "--data", place.data, "--source", "ray/redis-\(number)"],
        environment: environment.merging(["POD_UID": "uid-\(number)-\(starts)"]) { $1 })
    }

    func stop() async throws {
      try await server?.shutdown()
      try await ship?.terminate()
    }

    /// Waits until its sidecar says that everything is durable. It is then neither in standby nor blocked.
    func settle() async throws {
      var last: CommandResult?
      try await eventually(
        deadline: 120, "redis-\(number) is in its repository",
        condition: {
          last = try await lifeboat("sync", "--wait", "--timeout", "10s")
          return last?.exitCode == 0
        }, state: { "\(last.map { "\($0)" } ?? "")\n\(ship?.errorText ?? "")" })
    }

    func follow() async throws {
      guard number > 0 else { return }
      try await eventually(
        deadline: 120, "redis-\(number) follows the primary",
        condition: { try server?.info("master_link_status") == "up" },
        state: { server?.log ?? "" })
    }
  }

  @Test func `a rolling restart leaves none in standby, blocked or suspect, and all whole`()
    async throws
  {
    let ports = try freePorts(4)
    let pods = try (0..<3).map {
      try Pod($0, primary: ports[3], admin: ports[$0])
    }
    for pod in pods { try await pod.start() }
    for pod in pods { try await pod.follow() }
    try pods[0].server?.fill("first:", 1...500)
    for pod in pods { try await pod.settle() }
    // As a StatefulSet does: the last one first, and the next when the previous one is ready.
    for pod in pods.reversed() {
      try await pod.stop()
      try await pod.start()
      try await pod.follow()
      try pods[0].server?.command("SET", "restarted:\(pod.number)", "yes")
    }
    for pod in pods { try await pod.follow() }
    let primary = try #require(pods[0].server)
    let wanted = try await primary.dataset()
    for pod in pods {
      try await eventually(
        deadline: 60, "redis-\(pod.number) has what the primary has",
        condition: {
          let found = try await pod.server?.dataset()
          return found.map { wanted.difference(to: $0, limit: 1).isEmpty } ?? false
        }, state: { pod.server?.log ?? "" })
      try await pod.settle()
      let status = try await pod.lifeboat("status")
      #expect(status.exitCode == 0, "redis-\(pod.number): \(status)")
      let list = try await pod.lifeboat("list")
      #expect(!list.outputText.contains("SUSPECT"), "redis-\(pod.number): \(list)")
      let restored = try await pod.place.restore(into: "restored")
      let server = try await RedisServer.start(
        .v7_4, directory: restored, options: ["appendonly": "yes"])
      #expect(wanted.difference(to: try await server.dataset(), limit: 3) == [])
      server.kill()
    }
    for pod in pods { try await pod.stop() }
  }
}
