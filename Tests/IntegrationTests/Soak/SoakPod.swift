import BackupTypes
import RedisFormats
import TestSupport
import Testing

/// A pod of a soak: a volume, a server under load, and the shipper beside it. The load is the model of its
/// data: every step up to the last acknowledged one is complete, and there is nothing else.
final class SoakPod {
  let name: String
  let gauge: SoakGauge
  let place: Place
  private let test: CrashTests.Case
  private var options = TransactionalLoad.Options()
  private(set) var server: RedisServer
  private(set) var load: TransactionalLoad
  private(set) var ship: RunningCommand
  private var adminPort: UInt16 = 0
  private var lives = 1
  private var restores = 0
  /// The last step that is certainly in the repository.
  private var durable = 0
  /// The last output of the previous shipper.
  private var lastWords = ""

  /// Longer than it takes to notice the end of any outage.
  private static let deadline = 240.0
  /// This makes the dataset about 2 MiB.
  private static let stepsKept = 2000

  /// A pod that starts for the first time.
  init(
    _ name: String, _ test: CrashTests.Case, in store: any SoakStore, isAsked: Bool, seed: UInt64
  ) async throws {
    self.name = name
    self.test = test
    gauge = try SoakGauge()
    place = try Place(
      repository: store.repository(name), environment: store.environment(isAsked: isAsked))
    options.seed = seed
    options.keeps = SoakPod.stepsKept
    options.pause = .milliseconds(10)
    try await SoakPod.fill(place)
    (ship, adminPort) = try SoakPod.startShipper(place, name, life: 1, gauge)
    server = try await SoakPod.startServer(place, test)
    load = try TransactionalLoad.start(on: server, options)
  }

  /// Does what the pod's init container does.
  private static func fill(_ place: Place) async throws {
    let result = try await place.run(
      "restore", ["--data", place.data, "--if-empty", "--if-backup-exists"])
    guard result.exitCode == 0 else { throw HarnessError("the restore failed: \(result)") }
  }

  private static func startServer(_ place: Place, _ test: CrashTests.Case) async throws
    -> RedisServer
  {
    try await RedisServer.start(test.version, directory: place.data, options: test.options)
  }

  private static func startShipper(
    _ place: Place, _ name: String, life: Int, _ gauge: SoakGauge
  ) throws -> (RunningCommand, adminPort: UInt16) {
    let ports = try freePorts(2)
    let ship = try place.ship(
      pod: "\(name)-\(life)",
      [
        "--source", "soak/\(name)", "--ship-interval", "100ms", "--dump-interval", "0",
        "--fold-grace", "30s", "--shutdown-timeout", "5s", "--listen", "127.0.0.1:\(ports[0])",
        "--admin-listen", "127.0.0.1:\(ports[1])",
      ])
    gauge.look(at: ports[0])
    return (ship, ports[1])
  }

  // MARK: What happens to it

  func rewrite() async throws {
    try await server.rewriteAOF()
    try await server.save()
  }

  func killShipper() {
    gauge.look(at: nil)
    lastWords = String(ship.kill().errorText.suffix(2000))
  }

  func endShipper() async throws {
    gauge.look(at: nil)
    let end = try await ship.terminate()
    lastWords = String(end.errorText.suffix(2000))
    // The server keeps writing, so there may be unshipped bytes, which is exit 1.
    guard end.exitCode == 0 || end.exitCode == 1 else {
      throw HarnessError("\(name): the shipper did not end in good order: \(end)")
    }
  }

  func startShipper() throws {
    (ship, adminPort) = try SoakPod.startShipper(place, name, life: lives, gauge)
  }

  func killServer() async throws {
    server.kill()
    _ = try await load.waitForEnd()
  }

  /// Starts the server on the volume, whose data must match the model, and continues the load.
  func startServer(isVolumeNew: Bool = false) async throws {
    try dropOpenTransaction()
    server = try await SoakPod.startServer(place, test)
    let check = try await load.check(server)
    // With `everysec`, a busy server may write two seconds late.
    let least = isVolumeNew || test.fsync != "always" ? durable : load.acknowledged
    guard check.isConsistent, check.lastStep >= least, check.lastStep <= load.issued else {
      throw HarnessError(
        "\(name): the server holds \(check), and not steps \(least)…\(load.issued)")
    }
    try goOn(after: check.lastStep)
  }

  /// If a server is killed while it writes a transaction, it truncates its AOF after the last whole command
  /// when it starts again (tried with 7.0.15 and 8.2.3). The MULTI stays open, so the next load also executes
  /// the commands of the unfinished transaction. This truncates the file before the MULTI.
  private func dropOpenTransaction() throws {
    let directory = place.data + "/appendonlydir"
    for name in TestFiles.list(directory) where name.hasSuffix(".incr.aof") {
      var scanner = AOFScanner(at: 0)
      let bytes = try TestFiles.read(directory + "/" + name)
      bytes.withUnsafeBytes { scanner.consume($0) }
      if scanner.boundary < bytes.count {
        try TestFiles.truncate(directory + "/" + name, to: Int(scanner.boundary))
      }
    }
  }

  /// Loses everything. A pod of the same name starts on a new volume.
  func loseVolume() async throws {
    killShipper()
    try await killServer()
    TestFiles.remove(place.data)
    try TestFiles.makeDirectory(place.data)
    lives += 1
    try await SoakPod.fill(place)
    try startShipper()
    try await startServer(isVolumeNew: true)
  }

  func advance(by steps: Int) async throws { try await load.reach(load.acknowledged + steps) }

  private func goOn(after step: Int) throws {
    options.after = step
    load = try TransactionalLoad.start(on: server, options)
  }

  // MARK: What must hold

  /// Pauses the load and waits until everything is durable and the lag is 0.
  ///
  /// - Returns: how long this took.
  func settle() async throws -> Duration {
    let clock = ContinuousClock()
    let start = clock.now
    guard try await load.stop() == .stopped else {
      throw HarnessError("\(name): the load ended by itself: \(load.ending.map { "\($0)" } ?? "")")
    }
    try await eventually(deadline: 60, "\(name): what was acknowledged is on disk") {
      try server.info("aof_pending_bio_fsync") == "0" && server.info("aof_buffer_length") == "0"
    }
    var answer = ""
    try await eventually(
      deadline: SoakPod.deadline, "\(name): what is on disk is durable",
      condition: {
        let result = try await LifeboatCommand.run(
          ["sync", "--wait", "--admin-listen", "127.0.0.1:\(adminPort)"])
        answer = "\(result)"
        return result.exitCode == 0
      }, state: { "\(answer)\(report)" })
    let synced = clock.now
    try await eventually(
      deadline: SoakPod.deadline, "\(name): the lag is 0",
      condition: { gauge.last.map { $0.taken > synced && $0.isDurable } ?? false },
      state: { report })
    durable = load.acknowledged
    return clock.now - start
  }

  func goOn() throws { try goOn(after: load.acknowledged) }

  /// Checks that a restore gives exactly what was acknowledged. Only call this after `settle`.
  func verify() async throws {
    restores += 1
    let target = try await place.restore(into: "restored-\(restores)")
    defer { TestFiles.remove(target) }
    let step = try await place.loadedStep(test, load, from: target, isTornTailForgiven: false)
    guard step == load.acknowledged else {
      throw HarnessError(
        "\(name): a restore gives step \(step), not \(load.acknowledged); \(report)")
    }
  }

  /// Shuts down server and shipper cleanly and compares a restore with the server, key by key.
  func finish() async throws {
    _ = try await settle()
    let expected = try await server.dataset()
    _ = try await server.shutdown()
    gauge.look(at: nil)
    let end = try await ship.terminate()
    guard end.exitCode == 0 else { throw HarnessError("\(name): \(end)") }
    try await verify()
    let target = try await place.restore(into: "restored-last")
    let again = try await RedisServer.start(
      test.version, directory: target, options: test.options)
    let found = try await again.dataset()
    let difference = expected.difference(to: found, limit: 5)
    guard difference.isEmpty else {
      throw HarnessError("\(name): the restored data differs: \(difference)")
    }
  }

  func holdings() throws -> Holdings { try Holdings(of: ship) }

  /// For failure messages.
  var report: String {
    """
    \(name) (\(test)): step \(load.acknowledged), \(gauge.last.map { "\($0)" } ?? "no metrics")
    before: \(lastWords)
    now: \(ship.errorText.suffix(3000))
    """
  }
}
