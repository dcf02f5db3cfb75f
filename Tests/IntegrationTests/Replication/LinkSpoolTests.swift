import BackupTypes
import Synchronization
import SystemIO
import TestSupport
import Testing

/// A slow store does not delay the server's child process that writes the full copy.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct LinkSpoolTests {
  /// Stores objects of full copies, but delays the replies until it is open.
  private final class Gate: Sendable {
    private let isOpen = Mutex(false)
    func open() { isOpen.withLock { $0 = true } }
    func wait() {
      while !isOpen.withLock({ $0 }) { WaitPoint().wait(milliseconds: 20) }
    }
  }

  @Test(
    arguments: [ServerVersion.v7_0, .valkey9_1].filter { ServerVersion.available.contains($0) })
  func theChildEndsBeforeTheUpload(version: ServerVersion) async throws {
    let gate = Gate()
    let store = try FaultS3Server { setup in
      setup.fault = { request in
        guard request.method == "PUT", request.target.contains("/generations/") else { return nil }
        return .afterwards { reply in
          gate.wait()
          return .reply(reply)
        }
      }
    }
    defer { gate.open() }
    let place = try LinkPlace(version)
    let port = try freePorts(1)[0]
    let server = try await place.server(port: port)
    let client = try server.connect(timeout: 120)
    for number in 0..<60 {
      // It can't be compressed.
      let value = secureRandomBytes(1 << 20)
      try client.run([Array("SET".utf8), Array("k\(number)".utf8), value])
    }
    let spool = place.fresh("spool")
    try TestFiles.makeDirectory(spool)
    let repository = "s3://bucket/redis?endpoint=\(store.server.url)&path-style=true"
    var environment = CloudKeys.fault
    environment["AWS_REGION"] = "us-east-1"
    let ship = try LifeboatCommand.start(
      [
        "ship", "--replica-of", "redis://127.0.0.1:\(port)", "--repo", repository, "--source",
        "test/redis", "--spool", spool, "--ack-interval", "20ms",
      ], environment: environment)
    place.ships.append(ship)
    // 60 MiB were sent, and the store has acknowledged none of it. Without the spool, only a part would fit.
    try await eventually(
      deadline: 240, "the child process has ended",
      condition: {
        try server.info("sync_full") == "1" && server.info("rdb_bgsave_in_progress") == "0"
      }, state: { place.said + server.log })
    let early = try await LifeboatCommand.run(
      ["restore", "--repo", repository, "--data", place.fresh("early")], environment: environment)
    #expect(early.exit != .success, "the copy is not durable: \(early)")
    gate.open()
    try await place.write(server)
    let wanted = try await server.dataset()
    let data = place.fresh("restored")
    let restored = try await LifeboatCommand.run(
      ["restore", "--repo", repository, "--data", data], environment: environment)
    try #require(restored.exit == .success, "\(restored) \(place.said)")
    let other = try await RedisServer.start(
      version, directory: data, options: ["appendonly": "yes"])
    #expect(try await other.dataset() == wanted)
    #expect(try server.info("sync_full") == "1", "\(place.said)")
  }

  @Test func aDirectoryThatIsMissingIsAUsageError() async throws {
    let place = try LinkPlace(try #require(ServerVersion.available.first))
    let ship = try place.ship(1, ["--spool", place.directory("missing")])
    let result = try await ship.wait()
    #expect(result.exit == .usage && result.errorText.contains("--spool"), "\(result)")
  }
}
