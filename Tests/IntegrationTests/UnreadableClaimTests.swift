import BackupFormat
import BackupTypes
import Codec
import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// A shipper skips a claim that can't be read. Only its number is used.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct UnreadableClaimTests {
  private func claim(_ number: Int, in place: Place) -> String {
    place.repository + "/timelines/0000000\(number)/claim"
  }

  @Test func `garbage at the next claim and at the newest is passed, and nothing is lost`()
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_0, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    defer { server.kill() }
    try server.command("SET", "first", "1")
    let ship = try InProcessShipper(data: place.data, store: place.store)
    func isShipped(_ ship: InProcessShipper, as number: Int, passing: [Int]) -> Bool {
      let status = ship.status
      return status.timeline?.value == number && status.isDurable
        && status.unreadableClaims.map(\.value) == passing
    }
    try await eventually(
      deadline: 60, "a restore point", condition: { isShipped(ship, as: 1, passing: []) },
      state: { "\(ship.status)" })

    // Somebody writes garbage where the next claim would be.
    try TestFiles.makeDirectory(place.repository + "/timelines/00000002")
    try TestFiles.write("not a claim", to: claim(2, in: place))
    // A writer looks for a higher claim before each snapshot, and every minute while it writes.
    try await eventually(
      deadline: 240, "the third timeline",
      condition: {
        try server.command("SET", "second", "2")
        return ship.status.timeline?.value == 3
      }, state: { "\(ship.status)" })
    try await eventually(
      deadline: 120, "all is shipped", condition: { isShipped(ship, as: 3, passing: [2]) },
      state: { "\(ship.status)" })
    #expect(!ship.status.isHealthy(at: .init(milliseconds: 0)))
    _ = try await ship.end()

    // The newest claim is damaged while no shipper is running.
    let third = try TestFiles.read(claim(3, in: place))
    try TestFiles.write("", to: claim(3, in: place))
    try server.command("SET", "third", "3")
    let again = try InProcessShipper(data: place.data, store: place.store)
    try await eventually(
      deadline: 240, "the fourth timeline",
      condition: { isShipped(again, as: 4, passing: [2, 3]) }, state: { "\(again.status)" })
    _ = try await again.end()
    let repository = try #require(
      try await Repository.open(place.store, keys: .none, compression: .zstd))
    let newest = try await repository.claim(TimelineNumber(4)!)
    #expect(newest.parent == .first, "it follows the newest claim that can be read")
    #expect(newest.fork?.timeline == .first)

    // A later writer skipped them, so a reader does, too, whether they exist or not.
    #expect(await place.newest()?.hasPrefix("4.") == true)
    TestFiles.remove(claim(2, in: place))
    try TestFiles.write(third, to: claim(3, in: place))
    let expected = try await server.dataset()
    let restored = try await place.restore(into: "restored")
    let loaded = try await RedisServer.start(
      .v7_0, directory: restored, options: ["appendonly": "yes"])
    defer { loaded.kill() }
    #expect(expected.difference(to: try await loaded.dataset(), limit: 5) == [])
  }
}
