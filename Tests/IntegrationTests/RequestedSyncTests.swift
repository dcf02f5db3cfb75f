import BackupFormat
import BackupTypes
import RepositoryAccess
import Shipping
import SystemIO
import TestSupport
import Testing

/// A requested `sync` is completed, whatever happens to the timeline meanwhile.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct RequestedSyncTests {
  /// A place with one key, which is durable.
  private func shipped() async throws -> (
    place: Place, server: RedisServer, store: FaultyStore, ship: InProcessShipper
  ) {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try server.command("SET", "first", "1")
    let store = FaultyStore(place.store)
    let ship = try InProcessShipper(data: place.data, store: store)
    try await eventually(
      deadline: 60, "a restore point",
      condition: { await place.newest() != nil && ship.status.isDurable },
      state: { "\(ship.status)" })
    return (place, server, store, ship)
  }

  @Test func `one that the end of a timeline cut off is done by the next`() async throws {
    let (place, server, store, ship) = try await shipped()
    // An error that is not retried ends the timeline.
    store.decide { call in
      call.operation == .create && call.name.hasPrefix("timelines/00000001/log/")
        ? .fail(FaultyStore.unreachable) : .pass
    }
    try server.command("SET", "second", "2")
    let number = ship.shipper.requestSync()
    try await eventually(
      deadline: 60, "the sync is done", condition: { ship.status.syncDone >= number },
      state: { "\(ship.status)" })
    #expect(place.timelines == 2)
    server.kill()
    _ = try await ship.end()
  }

  /// Beside an AOF that was written a moment ago, a dump is the newest state only after some seconds, or for a
  /// sync. A crash after the sync must not lose it.
  @Test func `after the AOF was switched off, a restore gives the dump`() async throws {
    let (place, server, _, ship) = try await shipped()
    try server.command("CONFIG", "SET", "appendonly", "no")
    try server.command("SET", "after", "1")
    try await server.save()
    let number = ship.shipper.requestSync()
    try await eventually(
      deadline: 60, "the sync is done", condition: { ship.status.syncDone >= number },
      state: { "\(ship.status)" })
    await ship.abandon()
    server.kill()
    let last = try #require(try await place.snapshots().last)
    #expect(last.primary == .rdb, "\(last)")
  }

  /// The pauses between timelines are 100 ms, 400 ms, 1.6 s and so on.
  @Test func `a fault that stays makes few timelines, whatever is written meanwhile`() async throws
  {
    let (place, server, store, ship) = try await shipped()
    store.decide { call in
      call.operation == .create && call.name.contains("/log/")
        ? .fail(FaultyStore.unreachable) : .pass
    }
    let begun = SystemClock.monotonicMilliseconds()
    try await eventually(
      deadline: 120, "the fourth timeline",
      condition: {
        try server.command("SET", "more", "1")
        _ = ship.shipper.requestSync()
        return place.timelines >= 4
      },
      state: { "\(ship.status)" })
    #expect(SystemClock.monotonicMilliseconds() - begun >= 2000)
    server.kill()
    store.decide { _ in .pass }
    _ = try await ship.end()
  }
}
