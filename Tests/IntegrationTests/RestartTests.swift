import BackupFormat
import BackupTypes
import Glibc
import TestSupport
import Testing

/// The shipper is killed and started again. It only sees what a sidecar may see of the volume.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct RestartTests {
  @Test(arguments: ServerVersion.available)
  func `the shipper is killed again and again: no gap, and little is sent twice`(
    version: ServerVersion
  ) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"])
    try server.command("DEBUG", "POPULATE", "30000", "big", "100")
    try await server.rewriteAOF()
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(1)
    let load = try TransactionalLoad.start(on: server, options)
    var random = SeededRandom(seed: UInt64(version.label.utf8.count))
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: .seconds(Soak.seconds(8)))
    while clock.now < end {
      let ship = try place.ship("--ship-interval", "200ms", "--shutdown-timeout", "4s")
      // Not a wait for a result: it is killed at a random moment.
      try await Task.sleep(for: .milliseconds(Int.random(in: 300...2500, using: &random)))
      if Int.random(in: 0..<4, using: &random) > 0 {
        _ = ship.kill()
      } else {
        _ = try await ship.terminate()
      }
    }
    let ship = try place.ship("--ship-interval", "200ms")
    _ = try await load.stop()
    _ = try await server.shutdown()
    let result = try await ship.terminate()
    #expect(result.exitCode == 0, "\(result)")
    let test = CrashTests.Case(version: version, appendOnly: true, fsync: "everysec")
    let step = try await place.restoredStep(test, load, into: "after")
    #expect(step == load.acknowledged, "a clean end loses nothing")
    let grown = try place.bytesOfAOF()
    let shipped = place.bytesOfLog()
    // Each byte once, and once more for a fold or for what a killed process had sent.
    #expect(
      shipped < grown + grown / 2 + (1 << 20),
      "\(shipped) bytes of log for \(grown) bytes of AOF, in \(place.timelines) timelines")
    // Only one BASE was ever part of a restore point; 6.2 has none. A timeline without one may have left
    // another: it was killed between the index and the snapshot that would have named it.
    let bases = version.hasMultiPartAOF ? 1 : 0
    let named = try await place.snapshots().filter { $0.chain?.base != nil }
    #expect(Set(named.compactMap { $0.chain?.base?.generation }).count == bases)
    let left = TestFiles.tree(place.repository).compactMap { name -> GenerationID? in
      guard case .index(let id) = ObjectPath(name) else { return nil }
      return named.contains { $0.chain?.base?.generation == id } ? nil : id
    }
    let writers = left.map(\.nonce)
    #expect(Set(writers).count == left.count, "a timeline left two: \(left)")
    #expect(!named.contains { writers.contains($0.nonce) }, "\(left) beside \(named.count)")
    #expect(bases > 0 || left.isEmpty, "\(left)")
  }

  /// A rewrite while no shipper is running. The chain continues if that can be proved, and only new data is
  /// sent.
  @Test(arguments: [ServerVersion.v7_0, .valkey9_1])
  func `rewrites while the shipper is away`(version: ServerVersion) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"])
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(1)
    let load = try TransactionalLoad.start(on: server, options)
    let test = CrashTests.Case(version: version, appendOnly: true, fsync: "everysec")
    for round in 1...4 {
      let ship = try place.ship("--ship-interval", "100ms")
      try await place.restoresStep(load.acknowledged, test, load, into: "round-\(round)")
      _ = ship.kill()
      for _ in 0..<round {
        try await load.reach(load.acknowledged + 50)
        try await server.rewriteAOF()
      }
      try await load.reach(load.acknowledged + 50)
    }
    let ship = try place.ship("--ship-interval", "100ms", "--shutdown-timeout", "120s")
    _ = try await load.stop()
    _ = try await server.shutdown()
    let result = try await ship.terminate()
    #expect(result.exitCode == 0, "\(result)")
    #expect(try await place.restoredStep(test, load, into: "after") == load.acknowledged)
  }

  @Test(arguments: [ServerVersion.v7_4])
  func `the volume is mounted read-only for the shipper`(version: ServerVersion) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"])
    // A mount namespace of its own: the shipper sees a read-only bind mount of the volume.
    let script = """
      mount --bind "$1" "$2" && mount -o remount,ro,bind "$2" && ! touch "$2/x" 2>/dev/null \
        && exec "$3" ship --data "$2" --repo "$4" --ship-interval 200ms
      """
    let mounted = try place.folder.makeDirectory("mounted")
    func mountedShipper() throws -> ChildProcess {
      try ChildProcess(
        "/usr/bin/unshare",
        [
          "-m", "sh", "-c", script, "sh", place.data, mounted, LifeboatCommand.path,
          place.repository,
        ],
        environment: ChildProcess.minimalEnvironment)
    }
    let first = try mountedShipper()
    let test = CrashTests.Case(version: version, appendOnly: true, fsync: "everysec")
    let load = try TransactionalLoad.start(on: server, test.load(3))
    try await load.reach(500)
    _ = first.kill()
    let child = try mountedShipper()
    try await load.reach(800)
    _ = try await load.stop()
    _ = try await server.shutdown()
    child.signal(SIGTERM)
    #expect(try await child.wait(deadline: 60) == .exited(0))
    #expect(try await place.restoredStep(test, load, into: "after") == load.acknowledged)
  }
}
