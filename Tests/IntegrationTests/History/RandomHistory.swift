import BackupTypes
import Glibc
import RepositoryAccess
import SystemIO
import TestSupport
import Testing

/// A server and its shipper with everything that can happen to them: writes, deletions, transactions,
/// flushes, rewrites of the AOF that the shipper sees or misses, failed rewrites, shutdowns and kills of
/// both, and a restore to an earlier time, from which another timeline continues.
final class RandomHistory {
  let version: ServerVersion
  let seed: UInt64
  /// With `aof-timestamp-enabled`, which 6.2 does not know.
  let annotates: Bool
  var random: SeededRandom
  var model = HistoryModel()
  /// The start of the newest branch.
  private(set) var began = Instant(milliseconds: 0)
  let place: Place
  private var server: RedisServer
  private var ship: RunningCommand
  /// What happened, in order, without the writes.
  private(set) var events: [String] = []

  init(_ version: ServerVersion, seed: UInt64, annotates: Bool) async throws {
    self.version = version
    self.seed = seed
    self.annotates = annotates
    random = SeededRandom(seed: seed)
    place = try Place()
    server = try await RandomHistory.start(version, place.data, annotates)
    ship = try RandomHistory.shipper(place)
    try await goOn(until: "a restore point") { await self.place.newest() != nil }
    began = SystemClock.now()
  }

  var description: String {
    "\(version), seed \(seed), \(annotates ? "with" : "without") annotations: "
      + events.joined(separator: ", ")
  }

  private static func start(_ version: ServerVersion, _ data: String, _ annotates: Bool)
    async throws -> RedisServer
  {
    // With `appendfsync always`, everything that was answered is on disk.
    var options = [
      "appendonly": "yes", "appendfsync": "always", "auto-aof-rewrite-percentage": "0",
    ]
    if annotates { options["aof-timestamp-enabled"] = "yes" }
    return try await RedisServer.start(version, directory: data, options: options)
  }

  private static func shipper(_ place: Place, _ more: [String] = []) throws -> RunningCommand {
    try LifeboatCommand.start(
      ["ship", "--data", place.data, "--repo", place.repository, "--ship-interval", "200ms"] + more)
  }

  // MARK: What happens

  /// Makes steps until `condition` holds.
  private func goOn(until what: String, _ condition: () async throws -> Bool) async throws {
    try await eventually(
      deadline: 120, what,
      condition: {
        for _ in 0..<5 {
          try await step()
          // Other processes need the CPU, too.
          try await Task.sleep(for: .milliseconds(Int.random(in: 0...8, using: &random)))
        }
        return try await condition()
      }, state: { "\(self.description)\n\(self.ship.errorText)" })
  }

  func go(milliseconds: Int64) async throws {
    let end = SystemClock.now().advanced(byMilliseconds: milliseconds)
    try await goOn(until: "\(milliseconds) ms of history") { SystemClock.now() >= end }
  }

  private func step() async throws {
    switch Int.random(in: 0..<1000, using: &random) {
    case 0..<6: try execute([["FLUSHALL"]])
    case 6..<60: try execute([["DEL", key(), key()]])
    case 60..<130: try execute([["SET", key(), value()], ["INCR", "n"]])
    case 130..<135: try await restartShipper()
    case 135..<139: try await restartServer()
    case 139..<144: try rewrite(delay: 0, "quick rewrite")
    case 144..<149: try rewrite(delay: 20_000, "long rewrite")
    case 149..<152: try await failedRewrite()
    default: try execute([["SET", key(), value()]])
    }
  }

  private func key() -> String { "key:\(Int.random(in: 0..<12, using: &random))" }
  private func value() -> String {
    "v\(Int.random(in: 0..<1_000_000, using: &random))\r\n*1\r\n#TS:1\r\n\0"
  }

  private func execute(_ commands: [[String]]) throws {
    let client = try server.connect()
    let all = commands.count == 1 ? commands : [["MULTI"]] + commands + [["EXEC"]]
    let before = SystemClock.now()
    for command in all { _ = try client.run(command) }
    model.steps.append(
      .init(commands: commands, notBefore: before, notAfter: SystemClock.now()))
  }

  private func restartShipper() async throws {
    let isKilled = Bool.random(using: &random)
    events.append(isKilled ? "shipper killed" : "shipper restarted")
    if isKilled { ship.kill() } else { _ = try await ship.terminate() }
    // Either stopped for a while, or restarted at once.
    if Bool.random(using: &random) {
      for _ in 0..<20 { try execute([["SET", key(), value()]]) }
      if Bool.random(using: &random) { try rewrite(delay: 0, "rewrite meanwhile") }
      for _ in 0..<20 { try execute([["SET", key(), value()]]) }
    }
    ship = try RandomHistory.shipper(place)
  }

  private func restartServer() async throws {
    let isKilled = Bool.random(using: &random)
    events.append(isKilled ? "server killed" : "server restarted")
    if isKilled { server.kill() } else { _ = try await server.shutdown() }
    server = try await RandomHistory.start(version, place.data, annotates)
  }

  /// - Parameter delay: microseconds per key, to make it take longer.
  private func rewrite(delay: Int, _ name: String) throws {
    try server.command("CONFIG", "SET", "rdb-key-save-delay", "\(delay)")
    // One may already be running, or the server refuses for another reason.
    guard (try? server.command("BGREWRITEAOF")) != nil else { return }
    events.append(name)
  }

  /// The child process of a rewrite is killed, so the set has one INCR more.
  private func failedRewrite() async throws {
    try rewrite(delay: 300_000, "failed rewrite")
    try await eventually(
      deadline: 30, "the child of a rewrite, or its end",
      condition: {
        let children = RandomHistory.children(of: server.process.pid)
        for child in children { kill(child, SIGKILL) }
        return try !children.isEmpty || server.info("aof_rewrite_in_progress") == "0"
      }, state: { self.server.log })
    try server.command("CONFIG", "SET", "rdb-key-save-delay", "0")
  }

  private static func children(of pid: Int32) -> [Int32] {
    let text = (try? TestFiles.text("/proc/\(pid)/task/\(pid)/children")) ?? ""
    return text.split(separator: " ").compactMap { Int32($0) }
  }

  // MARK: Ends

  /// When this returns, everything that was answered can be restored, and the model was right.
  func settle() async throws {
    try await eventually(deadline: 60, "the end of a rewrite") {
      try server.info("aof_rewrite_in_progress") == "0"
        && server.info("aof_rewrite_scheduled") == "0"
    }
    let served = try await server.dataset()
    #expect(model.dataset(model.steps.count).difference(to: served) == [], "\(description)")
    _ = try await ship.terminate()
    _ = try await server.shutdown()
    try await place.shipOnce()
  }

  func newestTimeline() async throws -> Int {
    try await place.listing().timelines.map(\.number.value).max() ?? 0
  }

  /// Continues from the state at `instant`, on a new volume, in a new timeline.
  /// - Parameter count: how many of the model's steps it has.
  func fork(at instant: Instant, from directory: String, count: Int) async throws {
    events.append("restored to \(instant)")
    TestFiles.remove(place.data)
    try TestFiles.copyTree(directory, to: place.data)
    model.steps.removeLast(model.steps.count - count)
    let left = try await newestTimeline()
    server = try await RandomHistory.start(version, place.data, annotates)
    ship = try RandomHistory.shipper(place, ["--take-over"])
    // Before the new timeline has a point, a time still belongs to the old branch.
    try await goOn(until: "a restore point of the next timeline") {
      let point = await self.place.newest() ?? ""
      return Int(point.prefix { $0 != "." }).map { $0 > left } ?? false
    }
    began = SystemClock.now()
  }
}
