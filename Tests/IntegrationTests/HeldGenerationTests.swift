import BackupTypes
import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// The lag does not depend on generations. The log is still shipped while a store blocks every piece of a
/// dump and of a new BASE.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct HeldGenerationTests {
  @Test(arguments: ServerVersion.multiPart)
  func `the log is durable and restorable while every piece is held`(
    version: ServerVersion
  ) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"])
    try server.command("DEBUG", "POPULATE", "25000", "big", "200")
    try await server.rewriteAOF()
    let store = FaultyStore(place.store)
    let ship = try InProcessShipper(data: place.data, store: store)
    try await eventually(
      deadline: 60, "the first restore point", condition: { ship.status.generations >= 1 },
      state: { "\(ship.status)" })
    // From here on no piece gets through. First a dump waits, then a new BASE has to wait for it.
    let gate = store.hold { $0 == .create && $1.hasPrefix("generations/") }
    defer { gate.open() }
    let load = try TransactionalLoad.start(on: server, Self.load)
    try await server.save()
    try await eventually(
      deadline: 60, "a piece of the dump is held", condition: { gate.waiting > 0 },
      state: { "\(ship.status)" })
    try await server.rewriteAOF()
    let step = load.acknowledged
    try await twentyMore(place, ship)
    #expect(gate.waiting > 0 && !gate.isOpen, "nothing was let go")
    let test = CrashTests.Case(version: version, appendOnly: true, fsync: "everysec")
    let held = try await place.restoredStep(test, load, into: "held")
    #expect(held > step, "what came behind the rewrite is restorable before its BASE is durable")
    gate.open()
    _ = try await load.stop()
    let expected = try await server.dataset()
    _ = try await server.shutdown()
    let outcome = try await ship.end()
    #expect(outcome.unshippedBytes == 0 && outcome.isComplete, "\(outcome)")
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(
      version, directory: restored, options: ["appendonly": "yes"])
    #expect(expected.difference(to: try await again.dataset(), limit: 5) == [])
  }

  private static var load: TransactionalLoad.Options {
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(2)
    return options
  }

  /// Counts in the repository, not in the shipper's own status.
  private func twentyMore(_ place: Place, _ ship: InProcessShipper) async throws {
    func objects() -> Int { place.objects { $0.contains("/log/") } }
    let before = objects()
    try await eventually(
      deadline: 60, "20 log objects while every piece is held",
      condition: { objects() >= before + 20 },
      state: { "\(objects() - before) objects; \(ship.status)" })
  }
}
