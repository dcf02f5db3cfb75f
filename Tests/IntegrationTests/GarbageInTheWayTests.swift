import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// Somebody who may only create objects puts one at the name that the shipper writes next. The shipper
/// continues, and a restore gives the newest state.
@Suite(.serialized, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct GarbageInTheWayTests {
  private func put(_ name: String, in place: Place) throws {
    let path = place.repository + "/" + name
    try TestFiles.makeDirectory(String(path[..<path.lastIndex(of: "/")!]))
    try TestFiles.write("garbage", to: path)
  }

  @Test func `garbage at the next snapshots and at the last claim`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    defer { server.kill() }
    try server.fill("first:", 1...20)
    let ship = try InProcessShipper(data: place.data, store: place.store)
    try await eventually(
      deadline: 60, "a restore point",
      condition: { ship.status.timeline?.value == 1 && ship.status.isDurable },
      state: { "\(ship.status)" })
    let taken = TestFiles.list(place.repository + "/timelines/00000001/snapshots").count
    for next in 1...4 {
      try put("timelines/00000001/snapshots/0000000\(taken + next)", in: place)
    }
    try put("timelines/00000001/snapshots/99999999", in: place)
    try put("timelines/99999999/claim", in: place)
    // A rewrite needs a snapshot.
    try server.fill("second:", 1...20)
    try server.command("BGREWRITEAOF")
    try await eventually(
      deadline: 240, "all is shipped in the second timeline",
      condition: { ship.status.timeline?.value == 2 && ship.status.isDurable },
      state: { "\(ship.status)" })
    try server.fill("third:", 1...20)
    _ = try await ship.end()
    let wanted = try await server.dataset()
    let target = place.folder("restored")
    let restored = try await place.run("restore", ["--data", target])
    #expect(restored.exitCode == 0, "\(restored)")
    let again = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    defer { again.kill() }
    #expect(try await again.dataset() == wanted)
    let listed = try await place.run("list", [])
    #expect(listed.exitCode == 0 && listed.outputText.has("timelines/99999999/claim"), "\(listed)")
    let verified = try await place.run("verify", [])
    #expect(verified.exit == .corrupt, "\(verified)")
    for name in ["timelines/99999999/claim", "timelines/00000001/snapshots/99999999"] {
      #expect(verified.outputText.has(name), "\(verified)")
    }
  }

  @Test func `a gap that losses can leave is no garbage`() {
    func numbers(_ all: Int...) -> Set<Int> {
      let names = all.map { (ObjectPath.claim(TimelineNumber($0)!).text, 1) }
      return Set(Catalogue(names: names.map { (name: $0.0, size: $0.1) }).farAhead.map(\.value))
    }
    #expect(numbers().isEmpty && numbers(99_999_999).isEmpty)
    #expect(numbers(1, 2, 900, 1800).isEmpty)
    #expect(numbers(5000, 5001).isEmpty)
    #expect(numbers(1, 2, 99_999_999) == [99_999_999])
    #expect(numbers(1, 2, 5000, 5001) == [5000, 5001])
  }
}
