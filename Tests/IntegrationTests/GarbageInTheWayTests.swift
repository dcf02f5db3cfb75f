import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// Somebody who may only create objects puts one at the name that the shipper writes next. The shipper
/// continues, and a restore gives the newest state.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
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
    try await expectRestored(server.dataset(), from: place)
    let listed = try await place.run("list", [])
    #expect(listed.exitCode == 0 && listed.outputText.has("timelines/99999999/claim"), "\(listed)")
    let verified = try await place.run("verify", [])
    #expect(verified.exit == .corrupt, "\(verified)")
    for name in ["timelines/99999999/claim", "timelines/00000001/snapshots/99999999"] {
      #expect(verified.outputText.has(name), "\(verified)")
    }
  }

  private func expectRestored(_ wanted: Dataset, from place: Place) async throws {
    let target = place.folder("restored")
    let restored = try await place.run("restore", ["--data", target])
    #expect(restored.exitCode == 0, "\(restored)")
    let server = try await RedisServer.start(
      .v7_4, directory: target, options: ["appendonly": "yes"])
    defer { server.kill() }
    #expect(try await server.dataset() == wanted)
  }

  /// Garbage that looks like a fold, and garbage behind the end. The shipper was killed before it had shipped
  /// everything, and the next one compares the disk with the repository.
  @Test func `garbage in the log does not stop the next shipper`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    defer { server.kill() }
    let ship = try InProcessShipper(data: place.data, store: place.store)
    let log = "timelines/00000001/log/00000001"
    for (number, prefix) in ["first:", "second:", "third:"].enumerated() {
      try server.fill(prefix, 1...20)
      try await eventually(
        deadline: 60, "\(prefix) is in the log",
        condition: {
          ship.status.isDurable
            && TestFiles.list(place.repository + "/" + log).count > number
        }, state: { "\(ship.status)" })
    }
    await ship.abandon()
    let spans = TestFiles.list(place.repository + "/" + log).compactMap { name -> LogSpan? in
      guard case .log(_, _, let span) = ObjectPath("\(log)/\(name)") else { return nil }
      return span
    }.sorted { ($0.from, $0.to) < ($1.from, $1.to) }
    let (first, last) = (try #require(spans.first), try #require(spans.last))
    try #require(spans.count > 1)
    let digest = ShortDigest(bytes: [UInt8](repeating: 9, count: 16))!
    let garbage = [
      LogSpan(from: first.from, to: last.to, mark: last.mark, digest: digest),
      LogSpan(from: last.to, to: last.to + 50, mark: last.mark, digest: digest),
      LogSpan(from: last.to + 50, to: last.to + 90, mark: last.mark, digest: digest),
    ].map { "\(log)/\($0)" }
    for name in garbage { try put(name, in: place) }
    try server.fill("fourth:", 1...20)
    let next = try InProcessShipper(data: place.data, store: place.store)
    try await eventually(
      deadline: 60, "the next shipper continues",
      condition: { next.status.timeline?.value == 2 && next.status.isDurable },
      state: { "\(next.status)" })
    _ = try await next.end()
    let repository = try #require(try await Repository.open(place.store))
    let claim = try await repository.claim(TimelineNumber(2)!)
    #expect(claim.fork?.offset == last.to && claim.end?.ordinals.first?.offset == last.to)
    try await expectRestored(server.dataset(), from: place)
    let verified = try await place.run("verify", [])
    #expect(verified.exit == .corrupt && verified.outputText.has(garbage[0]), "\(verified)")
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
