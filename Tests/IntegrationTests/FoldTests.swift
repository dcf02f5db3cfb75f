import BackupTypes
import HistoryLogic
import RepositoryAccess
import Shipping
import TestSupport
import Testing
import WriterLogic

/// Many small log objects become one. Every restore works before, during and after this.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct FoldTests {
  @Test(arguments: [ServerVersion.v6_2, .v8_2])
  func `small log objects are folded, and what they held restores`(version: ServerVersion)
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    let ship = try InProcessShipper(data: place.data, store: place.store) {
      $0.writing.shipInterval = 1
      $0.writing.foldGrace = 1
    }
    // One object per write, so that there are many.
    var written = 0
    func write() async throws {
      let objects = ship.status.logObjects
      written += 1
      try server.command("SET", "key:\(written)", "value \(written)")
      try await eventually(
        deadline: 60, "write \(written) is durable",
        condition: {
          ship.status.logObjects > objects || written < 3 && ship.status.generations > 0
        },
        state: { "\(ship.status)" })
    }
    while ship.status.folds == 0, written < 2000 { try await write() }
    #expect(ship.status.folds > 0, "\(ship.status)")
    // At the next turn the grace period is over, so the replaced objects are deleted.
    try await eventually(
      deadline: 60, "the small objects are gone",
      condition: {
        try await write()
        return place.objects { $0.contains("/log/") } < 300
      }, state: { "\(place.objects { $0.contains("/log/") }) are left: \(ship.status)" })
    try await eventually(
      deadline: 60, "all is durable", condition: { ship.status.isDurable },
      state: { "\(ship.status)" })
    let expected = try await server.dataset()
    await ship.abandon()
    let restored = try await place.restore(into: "restored")
    let found = try await loaded(version, restored)
    #expect(expected.difference(to: found, limit: 5) == [])
    // A shipper that starts now finds the folded object and sends nothing of it again.
    let before = place.bytesOfLog()
    try server.command("SET", "after", "the fold")
    server.kill()
    try await place.shipOnce("--source", "test", "--take-over")
    #expect(place.bytesOfLog() - before < 200, "\(place.bytesOfLog()) after \(before)")
    let again = try await loaded(version, try await place.restore(into: "again"))
    #expect(again[0, "after"] != nil && again.keyCount == written + 1)
  }

  private func loaded(_ version: ServerVersion, _ directory: String) async throws -> Dataset {
    let server = try await RedisServer.start(
      version, directory: directory, options: ["appendonly": "yes"])
    defer { server.kill() }
    return try await server.dataset()
  }
}
