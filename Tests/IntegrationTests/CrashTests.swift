import BackupTypes
import Glibc
import RepositoryAccess
import TestSupport
import Testing

/// The main job with crashes: a transactional load, rewrites and saves at random moments, and the server and
/// the shipper killed together. The restored steps are complete and in order, and there is nothing else.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct CrashTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var version: ServerVersion
    var appendOnly: Bool
    var fsync: String
    var testDescription: String { "\(version), AOF \(appendOnly ? fsync : "off")" }
    static let all = ServerVersion.allCases.flatMap { version in
      [
        Case(version: version, appendOnly: true, fsync: "everysec"),
        Case(version: version, appendOnly: true, fsync: "always"),
        Case(version: version, appendOnly: false, fsync: "everysec"),
      ]
    }
    var options: [String: String] {
      ["appendonly": appendOnly ? "yes" : "no", "appendfsync": fsync]
    }
    func load(_ seed: UInt64) -> TransactionalLoad.Options {
      var options = TransactionalLoad.Options()
      options.seed = seed
      options.pause = .milliseconds(1)
      if appendOnly { options.rewriteEvery = 200...600 }
      options.saveEvery = appendOnly ? 400...900 : 80...200
      return options
    }
  }

  @Test(arguments: Case.all)
  func `kill -9 of both: what the repository has is whole and in order`(test: Case) async throws {
    try await Place().survivesKills(test)
  }

  @Test(arguments: [
    Case(version: .v7_4, appendOnly: true, fsync: "always"),
    Case(version: .v6_2, appendOnly: true, fsync: "everysec"),
    Case(version: .valkey9_1, appendOnly: false, fsync: "everysec"),
  ])
  func `kill -9 of both, with an encrypted repository`(test: Case) async throws {
    try await Place.encrypted().survivesKills(test)
  }

  @Test(arguments: Case.all)
  func `a clean stop loses nothing`(test: Case) async throws {
    let place = try Place()
    var options = test.options
    options["save"] = "3600 1"
    let server = try await RedisServer.start(test.version, directory: place.data, options: options)
    let ship = try place.ship("--ship-interval", "200ms")
    let load = try TransactionalLoad.start(on: server, test.load(7))
    try await load.reach(600)
    _ = try await load.stop()
    let expected = try await server.dataset()
    _ = try await server.shutdown()
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    let restored = try await place.restore(into: "restored")
    for setting in ["yes", "no"] {
      let copy = try place.copy(restored, as: "start-\(setting)")
      let again = try await RedisServer.start(
        test.version, directory: copy, options: ["appendonly": setting])
      let found = try await again.dataset()
      #expect(
        expected.difference(to: found, limit: 5) == [],
        "appendonly \(setting): the restored data differs")
    }
  }
}

extension Place {
  /// Kills a server and its shipper in the middle of a load. The restored steps are then complete and in
  /// order, and nothing that was acknowledged is missing.
  func survivesKills(_ test: CrashTests.Case) async throws {
    let server = try await RedisServer.start(
      test.version, directory: data, options: test.options)
    let ship = try self.ship("--ship-interval", "200ms", "--dump-interval", "0")
    let load = try TransactionalLoad.start(on: server, test.load(UInt64.random(in: 1...1_000_000)))
    try await load.reach(700)
    // A restore in the middle of the load: objects are added and files are replaced while it reads.
    let before = try await restoredStep(test, load, into: "before")
    try await load.reach(load.acknowledged + Int.random(in: 100...400))
    // What the repository has acknowledged before the kill.
    let acknowledged = try #require(await newest())
    _ = ship.kill()
    let (answered, issued) = (load.acknowledged, load.issued)
    _ = server.kill()
    _ = try await load.waitForEnd()
    let at = try await restoredStep(test, load, into: "at", "--point", acknowledged)
    let after = try await restoredStep(test, load, into: "after")
    #expect(at >= before, "the repository went back from step \(before) to \(at)")
    #expect(after >= at, "the repository went back from step \(at) to \(after)")
    #expect(after <= load.issued, "a step was restored that was never sent")
    // The contents of the volume after the crash, including a torn tail, are shipped as a server loads them.
    let copy = try self.copy(data, as: "copy")
    try await shipOnce()
    let shipped = try await restoredStep(test, load, into: "volume")
    let loaded = try await loadedStep(test, load, from: copy)
    #expect(shipped == loaded, "the volume holds step \(loaded), what was shipped of it \(shipped)")
    #expect(shipped >= after)
    if test.appendOnly, test.fsync == "always" { #expect(shipped >= answered, "\(issued) sent") }
  }
}
