import BackupTypes
import Glibc
import RepositoryAccess
import TestSupport
import Testing

/// Two shippers of different instances on one repository, restarted again and again.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct FencingTests {
  @Test func `two shippers restarted for ever: one ships, the other says who owns it`() async throws
  {
    let place = try Place()
    let other = try place.folder.makeDirectory("other")
    let flags = ["--source", "redis", "--ship-interval", "200ms", "--shutdown-timeout"]
    func ship(_ number: Int, shutdown: String = "4s") throws -> RunningCommand {
      try place.ship(pod: "pod-\(number)", flags + [shutdown], data: [place.data, other][number])
    }
    var servers: [RedisServer] = []
    var loads: [TransactionalLoad] = []
    for (number, directory) in [place.data, other].enumerated() {
      let server = try await RedisServer.start(
        .v7_4, directory: directory, options: ["appendonly": "yes"])
      servers.append(server)
      var options = TransactionalLoad.Options()
      options.seed = UInt64(number + 1)
      options.pause = .milliseconds(5)
      loads.append(try TransactionalLoad.start(on: server, options))
    }
    let clock = ContinuousClock()
    let end = clock.now.advanced(by: .seconds(Soak.seconds(60)))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0...1 {
        group.addTask {
          var random = SeededRandom(seed: UInt64(number + 11))
          // On a busy machine, few of the first runs are long enough to claim.
          while clock.now < end || (place.timelines <= 3 && clock.now < end + .seconds(300)) {
            let running = try ship(number)
            // Not a wait for a result: the shipper is ended at a random moment.
            try await Task.sleep(for: .milliseconds(Int.random(in: 500...4000, using: &random)))
            if Bool.random(using: &random) {
              _ = running.kill()
            } else {
              let ended = try await running.terminate()
              #expect([0, 1].contains(ended.exitCode), "\(ended)")
            }
          }
        }
      }
      try await group.waitForAll()
    }
    let listing = try await place.listing()
    let owners = listing.timelines.map { pod(of: $0.instance) }
    let changes = zip(owners, owners.dropFirst()).count { $0 != $1 }
    #expect(changes <= 2, "the owner changed \(changes) times: \(owners)")
    #expect(owners.count > 3, "restarted shippers claim anew: \(owners)")

    let running = [try ship(0, shutdown: "100s"), try ship(1, shutdown: "100s")]
    let owner = try #require(owners.last.flatMap { $0 == "pod-0" ? 0 : 1 })
    let loser = 1 - owner
    try await eventually(
      deadline: 60, "the other says who owns it",
      condition: {
        let text = running[loser].errorText
        return text.contains("standby") && text.contains("instance pod-\(owner)/")
      }, state: { running[loser].errorText })
    let length = listing.timelines.count
    try await eventually(
      deadline: 60, "one ships", condition: { place.timelines > length },
      state: { running[owner].errorText })
    #expect(running[loser].end == nil && running[owner].end == nil)
    for load in loads { _ = try await load.stop() }
    for server in servers { _ = try await server.shutdown() }
    let ended = try await running[owner].terminate()
    #expect(ended.exitCode == 0, "\(ended)")
    _ = running[loser].kill()
    #expect(pod(of: try await place.listing().timelines.last?.instance ?? "") == owners.last)
    let test = CrashTests.Case(version: .v7_4, appendOnly: true, fsync: "everysec")
    let step = try await place.restoredStep(test, loads[owner], into: "restored")
    #expect(step == loads[owner].acknowledged)
  }

  private func pod(of instance: String) -> String {
    String(instance.prefix { $0 != "/" })
  }

  @Test func `a clean end lets the other take over, once`() async throws {
    let place = try Place()
    let other = try place.folder.makeDirectory("other")
    let flags = ["--source", "redis", "--ship-interval", "200ms"]
    let first = try await RedisServer.start(
      .v8_2, directory: place.data, options: ["appendonly": "yes"])
    try first.command("SET", "who", "first")
    let owner = try place.ship(pod: "pod-0", flags)
    try await eventually(
      deadline: 60, "the first ships", condition: { await place.newest() != nil })
    let second = try await RedisServer.start(
      .v8_2, directory: other, options: ["appendonly": "yes"])
    try second.command("SET", "who", "second")
    let waiting = try place.ship(pod: "pod-1", flags, data: other)
    try await eventually(
      deadline: 60, "the second stands by",
      condition: { waiting.errorText.contains("instance pod-0/") }, state: { waiting.errorText })
    _ = try await first.shutdown()
    #expect(try await owner.terminate().exitCode == 0)
    try await eventually(
      deadline: 120, "the second takes over", condition: { place.timelines == 2 },
      state: { waiting.errorText })
    _ = try await second.shutdown()
    #expect(try await waiting.terminate().exitCode == 0)
    // The first one comes back with new writes. It has lost the repository, so it goes into standby.
    let again = try await RedisServer.start(
      .v8_2, directory: place.data, options: ["appendonly": "yes"])
    try again.command("SET", "who", "first again")
    let back = try place.ship(pod: "pod-0", flags)
    try await eventually(
      deadline: 60, "the first stands by",
      condition: { back.errorText.contains("instance pod-1/") }, state: { back.errorText })
    #expect(place.timelines == 2)
    let ended = try await back.terminate()
    #expect(ended.exitCode == 1, "\(ended)")
    #expect(ended.errorText.contains("nothing was shipped"), "\(ended)")
  }
}
