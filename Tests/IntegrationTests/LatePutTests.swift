import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO
import TestSupport
import Testing

/// One history: what a killed process writes after its successor's claim does not exist, and a branch that a
/// restore abandoned can still be restored.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct LatePutTests {
  private let test = CrashTests.Case(version: .v7_4, appendOnly: true, fsync: "everysec")

  @Test func `a put of a killed process that lands late changes nothing`() async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    var options = TransactionalLoad.Options()
    options.last = 300
    let load = try TransactionalLoad.start(on: server, options)
    let first = try place.ship("--ship-interval", "200ms")
    _ = try await load.waitForEnd()
    try await place.restoresStep(300, test, load, into: "first")
    _ = first.kill()
    try server.command("SET", "successor", "here")
    let second = try place.ship("--ship-interval", "200ms")
    try await eventually(
      deadline: 60, "the successor ships",
      condition: { await place.newest()?.hasPrefix("2.") ?? false },
      state: { second.errorText })
    _ = try await server.shutdown()
    #expect(try await second.terminate().exitCode == 0)

    let before = try await place.listing()
    let branch = try await place.restoredStep(test, load, into: "branch", "--timeline", "1")
    try await putLate(place)
    let after = try await place.listing()
    #expect(after.newest == before.newest && after.newestInstant == before.newestInstant)
    #expect(after.timelines.map(\.points.count) == before.timelines.map(\.points.count))
    let late = try await place.restoredStep(test, load, into: "late", "--timeline", "1")
    #expect(late == branch && late == 300)
    // It does not disturb the next shipper either.
    let again = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    try again.command("SET", "third", "here")
    let third = try place.ship("--ship-interval", "200ms")
    try await eventually(
      deadline: 60, "the next one ships",
      condition: { await place.newest()?.hasPrefix("3.") ?? false },
      state: { third.errorText })
    _ = try await again.shutdown()
    #expect(try await third.terminate().exitCode == 0)
    let restored = try await place.restore(into: "restored")
    let last = try await RedisServer.start(
      .v7_4, directory: restored, options: ["appendonly": "yes"])
    #expect(try last.command("GET", "successor").string == "here")
    #expect(try last.command("GET", "third").string == "here")
    #expect(try last.command("GET", "load:a").string == "300", "FLUSHALL was never in this history")
  }

  /// Writes what the killed writer of timeline 1 was still sending: the next bytes of its log, an object that
  /// reaches beyond its end, and a snapshot.
  private func putLate(_ place: Place) async throws {
    let repository = try #require(try await Repository.open(place.store))
    let history = try await repository.history()
    let claim = try #require(history.claims[.first])
    let end = try #require(history.end(of: .first))
    let ordinal = try #require(end.ordinals.last)
    let flush = Array("*1\r\n$8\r\nFLUSHALL\r\n".utf8)
    for from in [ordinal.offset, ordinal.offset - 10] {
      let bytes = from == ordinal.offset ? flush : [UInt8](repeating: 0x78, count: 10) + flush
      let span = LogSpan(
        from: from, to: from + UInt64(bytes.count), mark: SystemClock.now(),
        digest: repository.frame.digest(bytes).short)
      try await repository.createContent(
        LogPayload(nonce: claim.nonce, marks: [], bytes: bytes).encoded(),
        .log(.first, ordinal: ordinal.ordinal, span), kind: .log)
    }
    var snapshot = try #require(
      try await repository.snapshot(.first, end.snapshots, nonce: claim.nonce))
    snapshot.sequence += 1
    snapshot.at = SystemClock.now()
    let outcome = try await repository.create(
      snapshot, .snapshot(.first, sequence: snapshot.sequence), kind: .snapshot)
    #expect(outcome == .created)
  }

  @Test func `a restore to an earlier point, then new writes: both branches restore`() async throws
  {
    let place = try Place()
    let server = try await RedisServer.start(
      .v7_4, directory: place.data, options: ["appendonly": "yes"])
    var options = TransactionalLoad.Options()
    options.last = 200
    let load = try TransactionalLoad.start(on: server, options)
    let ship = try place.ship(pod: "first", ["--source", "redis", "--ship-interval", "200ms"])
    _ = try await load.waitForEnd()
    try await place.restoresStep(200, test, load, into: "earlier")
    let earlier = try #require(try await place.listing().newest)
    let at = try #require(try await place.listing().newestInstant)
    options.after = 200
    options.last = 400
    let rest = try TransactionalLoad.start(on: server, options)
    _ = try await rest.waitForEnd()
    // A rewrite after the point. Its chain is gone from the disk, so the repository's log is needed.
    try await server.rewriteAOF()
    _ = try await server.shutdown()
    #expect(try await ship.terminate().exitCode == 0)

    for (number, selection) in [["--point", earlier], ["--at", at]].enumerated() {
      let volume = try place.folder.makeDirectory("volume-\(number)")
      let result = try await LifeboatCommand.run(
        ["restore", "--data", volume, "--repo", place.repository] + selection)
      try #require(result.exitCode == 0, "\(result)")
      let branch = try await RedisServer.start(
        .v7_4, directory: volume, options: ["appendonly": "yes"])
      #expect(try await rest.check(branch).lastStep == 200)
      try branch.command("SET", "branch", number)
      let next = try place.ship(
        pod: "pod-\(number)", ["--source", "redis", "--ship-interval", "200ms"], data: volume)
      try await eventually(
        deadline: 60, "the new history is the newest",
        condition: { await place.newest()?.hasPrefix("\(number + 2).") ?? false },
        state: { next.errorText })
      _ = try await branch.shutdown()
      #expect(try await next.terminate().exitCode == 0)
      // No question is asked, because a requested state is not suspect.
      let newest = try await place.restore(into: "newest-\(number)")
      let loaded = try await RedisServer.start(
        .v7_4, directory: newest, options: ["appendonly": "yes"])
      #expect(try loaded.command("GET", "branch").string == "\(number)")
      #expect(try await rest.check(loaded).lastStep == 200)
      let abandoned = try await place.restoredStep(
        test, rest, into: "abandoned-\(number)", "--timeline", "1")
      #expect(abandoned == 400)
      let point = try await place.restoredStep(test, rest, into: "p-\(number)", "--point", earlier)
      #expect(point == 200)
    }
  }
}
