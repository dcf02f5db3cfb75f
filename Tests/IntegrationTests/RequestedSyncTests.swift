import BackupTypes
import Replication
import TestSupport
import Testing

/// A `sync` that was asked for is done, whatever becomes of the timeline meanwhile.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun))
struct RequestedSyncTests {
  @Test func `one that the end of a timeline cut off is done by the next`() async throws {
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
    // What is not tried again ends a timeline.
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
}
