import Glibc
import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// A chain that is no longer written to is read to its end before its files are released, even if the next
/// chain's BASE is durable long before.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct DrainTests {
  @Test(arguments: ServerVersion.multiPart.suffix(2))
  func `a rewrite and AOF off and on while the store takes no log`(version: ServerVersion)
    async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: ["appendonly": "yes"])
    try server.command("SET", "start", "1")
    let store = FaultyStore(place.store)
    let ship = try InProcessShipper(data: place.data, store: store) { $0.shutdownTimeout = 20_000 }
    try await eventually(
      deadline: 60, "the first restore point",
      condition: { ship.status.generations >= 1 && ship.status.isDurable },
      state: { "\(ship.status)" })
    let gate = store.hold { $0 == .create && $1.contains("/log/") }
    defer { gate.open() }
    let value = String(repeating: "x", count: 1 << 20)
    for number in 0..<9 { try server.command("SET", "first:\(number)", value) }
    try await eventually(deadline: 60, "its log is held") { gate.waiting > 0 }
    try await server.rewriteAOF()
    try server.command("SET", "second", value)
    try await eventually(
      deadline: 60, "the rewritten BASE is durable",
      condition: { ship.status.generations >= 2 }, state: { "\(ship.status)" })
    try server.command("CONFIG", "SET", "appendonly", "no")
    try server.command("CONFIG", "SET", "appendonly", "yes")
    try await eventually(
      deadline: 60, "the third BASE is durable",
      condition: { ship.status.generations >= 3 }, state: { "\(ship.status)" })
    try server.command("SET", "third", value)
    gate.open()
    try await eventually(
      deadline: 60, "nothing is left behind",
      condition: { ship.status.unshippedBytes == 0 && ship.status.pinnedBytes == 0 },
      state: { "\(ship.status)" })
    let expected = try await server.dataset()
    _ = try await server.shutdown()
    let outcome = try await ship.end()
    #expect(outcome.unshippedBytes == 0 && outcome.isComplete, "\(outcome)")
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(
      version, directory: restored, options: ["appendonly": "yes"])
    #expect(expected.difference(to: try await again.dataset(), limit: 5) == [])
  }

  /// Whether the shipper ships or is in standby, the space of files that a rewrite replaced is freed.
  @Test func `rewrites leave no file pinned`() async throws {
    let place = try Place()
    let other = try place.folder.makeDirectory("other")
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    let second = try await RedisServer.start(
      .v7_4, directory: other, options: ["appendonly": "yes"])
    try server.command("SET", "key", "value")
    // Different bytes. If the repository already had them, there would be nothing to ship and no reason for
    // standby.
    try second.command("SET", "key", "another")
    let owner = try place.ship("--source", "redis", "--ship-interval", "100ms")
    // Until there is a restore point, another pod may claim, since its volume may have the only data.
    try await eventually(
      deadline: 60, "the owner has a restore point", condition: { await place.newest() != nil },
      state: { owner.errorText })
    let standby = try place.ship(
      pod: "other", ["--source", "redis", "--ship-interval", "100ms"], data: other)
    try await eventually(
      deadline: 60, "the other stands by", condition: { standby.errorText.contains("standby") },
      state: { "\(standby.errorText) \(owner.errorText)" })
    for _ in 0..<5 {
      try server.command("SET", "more", "value")
      try await server.rewriteAOF()
      try second.command("SET", "more", "value")
      try await second.rewriteAOF()
      try await server.save()
      try await second.save()
    }
    for command in [owner, standby] {
      try await eventually(
        deadline: 60, "no deleted file is held open",
        condition: { deleted(command.process.pid).isEmpty },
        state: { "\(deleted(command.process.pid)) \(command.errorText)" })
    }
  }

  /// Deleted files that only this process still holds open.
  private func deleted(_ pid: Int32) -> [String] {
    TestFiles.list("/proc/\(pid)/fd").compactMap { name in
      var buffer = [CChar](repeating: 0, count: 4096)
      let count = readlink("/proc/\(pid)/fd/\(name)", &buffer, buffer.count)
      let target = String(
        decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
      return target.hasSuffix(" (deleted)") ? target : nil
    }
  }
}
