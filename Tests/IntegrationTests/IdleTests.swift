import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// An idle shipper sends no requests and hardly wakes up.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct IdleTests {
  @Test func `a minute without writes: no store call but one look at the claims, few wake-ups`()
    async throws
  {
    let place = try Place()
    let other = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    let second = try await RedisServer.start(
      .valkey9_1, directory: other.data, options: ["appendonly": "yes"])
    for number in 0..<100 {
      try server.command("SET", "key:\(number)", "value")
      try second.command("SET", "key:\(number)", "value")
    }
    let binary = try place.ship("--ship-interval", "200ms")
    let store = FaultyStore(other.store)
    let inside = try InProcessShipper(data: other.data, store: store)
    try await eventually(
      deadline: 60, "everything is shipped",
      condition: {
        inside.status.recoverableTo != nil && inside.status.isDurable
          && place.objects { $0.contains("/snapshots/") } > 0
          && place.objects { $0.contains("/log/") } > 0
      }, state: { "\(inside.status) \(binary.errorText)" })
    try await settled { store.calls.count }
    try await settled { TestFiles.tree(place.repository).count }
    let calls = store.calls.count
    let objects = TestFiles.tree(place.repository)
    let switches = try voluntarySwitches(binary.process.pid)
    // The test is about what does not happen in this minute, so there is no condition to wait for.
    try await Task.sleep(for: .seconds(60))
    // After the last write, the shipper checks once whether another one has claimed.
    let late = store.calls[calls...]
    let claims = ["timelines/00000001/claim", "timelines/00000002/claim"]
    #expect(late.isEmpty || late.map(\.name) == claims, "\(late)")
    #expect(TestFiles.tree(place.repository) == objects)
    let spent = try voluntarySwitches(binary.process.pid) - switches
    #expect(spent <= 200, "\(spent) voluntary context switches in a minute")
    #expect(binary.end == nil)
    // It still works: the next write is shipped.
    try server.command("SET", "key:last", "value")
    try await eventually(deadline: 30, "the next write is shipped") {
      TestFiles.tree(place.repository) != objects
    }
  }

  /// Waits until `count` has not changed for two seconds.
  private func settled(_ count: () -> Int) async throws {
    let clock = ContinuousClock()
    var (last, since) = (count(), clock.now)
    try await eventually(deadline: 60, "nothing changes any more") {
      let now = count()
      if now != last { (last, since) = (now, clock.now) }
      return clock.now - since > .seconds(2)
    }
  }

  /// Summed over all threads, because `/proc/PID/status` only counts those of the main thread.
  private func voluntarySwitches(_ pid: Int32) throws -> Int {
    let tasks = TestFiles.list("/proc/\(pid)/task")
    try #require(!tasks.isEmpty)
    return try tasks.reduce(0) { sum, task in
      let status = try TestFiles.text("/proc/\(pid)/task/\(task)/status")
      let line = status.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") }
      return sum + (line.flatMap { Int($0.drop { !$0.isNumber }) } ?? 0)
    }
  }
}
