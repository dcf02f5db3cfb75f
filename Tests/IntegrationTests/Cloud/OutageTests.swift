import BackupTypes
import Glibc
import TestSupport
import Testing

/// A store that becomes unavailable while `ship` runs, and comes back.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct OutageTests {
  enum Outage: CaseIterable, Sendable {
    case away, denied, writingDenied, busy

    var isDenial: Bool { self == .denied || self == .writingDenied }

    func begin(_ setup: inout FaultS3Server.Setup) {
      switch self {
      case .away: setup.fault = { _ in .instead(.reset) }
      case .denied: setup.denied = ["GET", "PUT", "POST", "DELETE", "HEAD"]
      case .writingDenied: setup.denied = ["PUT"]
      case .busy:
        setup.fault = { _ in
          .instead(
            .reply(FaultS3Server.error(503, "SlowDown", headers: [("Retry-After", "1")])))
        }
      }
    }
  }

  private static func words(_ outage: Outage) -> String {
    outage.isDenial
      ? "the store denies access: nothing is shipped until access is granted"
      : "the store is unavailable: shipping waits and catches up by itself"
  }

  /// The limit for descriptors while it waits: eight connections, each with its wake-up descriptor, and the
  /// files of a rewrite.
  private static let descriptorsMax = 20
  private static let bytesMax = 48 << 20

  @Test(arguments: Outage.allCases)
  func `ship stays up, tells it once, catches up, and holds no more for it`(
    outage: Outage
  ) async throws {
    let server = try FaultS3Server()
    let place = try Place.on(server)
    let test = CrashTests.Case(version: .v7_4, appendOnly: true, fsync: "always")
    let redis = try await RedisServer.start(
      test.version, directory: place.data, options: test.options)
    var options = TransactionalLoad.Options()
    options.pause = .milliseconds(1)
    let load = try TransactionalLoad.start(on: redis, options)
    let ship = try place.ship("--ship-interval", "200ms")
    try await load.reach(300)
    try await eventually(
      deadline: 120, "it ships", condition: { await place.newest() != nil },
      state: { ship.errorText })
    try await place.restoresStep(100, test, load, into: "before")
    let before = try Holdings(of: ship)

    server.change { outage.begin(&$0) }
    try await eventually(
      deadline: 60, "it tells of the outage",
      condition: { ship.errorText.contains(Self.words(outage)) }, state: { ship.errorText })
    // The server keeps running and rewrites its AOF meanwhile.
    try await load.reach(load.acknowledged + 500)
    try await redis.rewriteAOF()
    let asked = server.server.requests.count
    try await load.reach(load.acknowledged + 1500)
    try await eventually(
      deadline: 90, "it goes on trying",
      condition: { server.server.requests.count > asked }, state: { ship.errorText })
    #expect(ship.end == nil, "\(ship.errorText)")
    let during = try Holdings(of: ship)
    #expect(during.descriptors <= before.descriptors + OutageTests.descriptorsMax)
    #expect(during.bytes <= before.bytes + OutageTests.bytesMax)
    #expect(load.refusals == 0)

    server.change {
      $0.fault = { _ in nil }
      $0.denied = []
    }
    _ = try await load.stop()
    try await eventually(
      deadline: 90, "it tells of the end",
      condition: { ship.errorText.contains("the store is available again") },
      state: { ship.errorText })
    try await place.restoresStep(load.acknowledged, test, load, into: "after")
    try await eventually(
      deadline: 60, "what it held meanwhile is let go",
      condition: { try Holdings(of: ship).deletedFiles.isEmpty },
      state: { "\(before), \((try? Holdings(of: ship)).map { "\($0)" } ?? "")" })
    let end = try await ship.terminate()
    #expect(end.exitCode == 0, "\(end)")
    #expect(end.count(Self.words(outage)) == 1, "\(end)")
    #expect(end.count("catches up by itself") == (outage.isDenial ? 0 : 1), "\(end)")
    #expect(end.count("the store is available again") == 1, "\(end)")
    #expect(try Sent(server.names).timelines == 1, "\(end)")
  }
}

extension OutageTests {
  @Test(arguments: [true, false])
  func `an end in the middle of an outage says what is not durable`(hasBegun: Bool) async throws {
    let server = try FaultS3Server()
    let place = try Place.on(server)
    let redis = try await RedisServer.start(
      .valkey9_1, directory: place.data, options: ["appendonly": "yes", "appendfsync": "always"])
    try redis.command("SET", "before", "1")
    if !hasBegun { server.change { $0.fault = { _ in .instead(.reset) } } }
    let ship = try place.ship("--ship-interval", "200ms", "--shutdown-timeout", "5s", "--json")
    if hasBegun {
      try await eventually(
        deadline: 120, "it ships", condition: { await place.newest() != nil },
        state: { ship.errorText })
      server.change { $0.fault = { _ in .instead(.reset) } }
    }
    try redis.command("SET", "during", "1")
    try await eventually(
      deadline: 60, "it tells of the outage",
      condition: { ship.errorText.contains("the store is unavailable") }, state: { ship.errorText })
    _ = try await redis.shutdown()
    let end = try await ship.terminate()
    #expect(end.exitCode == 1, "\(end)")
    #expect(
      end.errorText.contains("only on the volume") && end.errorText.contains("remedy="), "\(end)")
    #expect(end.outputText.contains("\"isComplete\" : false"), "\(end)")
    // The store and a shipper of that volume are back.
    server.change { $0.fault = { _ in nil } }
    try await place.shipOnce()
    let target = try await place.restore(into: "restored")
    let again = try await RedisServer.start(
      .valkey9_1, directory: target, options: ["appendonly": "yes"])
    #expect(try again.command("GET", "during").string == "1")
  }
}

/// The resources of a running process.
struct Holdings: CustomStringConvertible {
  let descriptors: Int
  /// Open files that have no name any more.
  let deletedFiles: [String]
  /// Resident memory.
  let bytes: Int
  /// The part of it that no file backs. A leak would be here.
  let anonymousBytes: Int

  init(of command: RunningCommand) throws {
    let process = "/proc/\(command.process.pid)"
    // Only root can read this, since the process is not dumpable.
    let targets = TestFiles.list(process + "/fd").map { Holdings.target(process + "/fd/" + $0) }
    descriptors = targets.count
    deletedFiles = targets.filter { $0.hasPrefix("/") && $0.hasSuffix(" (deleted)") }
    let lines = try TestFiles.text(process + "/status").split(separator: "\n")
    func bytes(_ name: String) throws -> Int {
      let line = lines.first { $0.hasPrefix(name + ":") }
      guard let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first,
        let count = Int(kibibytes)
      else { throw HarnessError("no \(name) of \(process)") }
      return count << 10
    }
    self.bytes = try bytes("VmRSS")
    anonymousBytes = try bytes("RssAnon")
  }

  private static func target(_ link: String) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink(link, &buffer, buffer.count)
    return String(
      decoding: buffer.prefix(max(0, length)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  var description: String {
    "\(descriptors) descriptors, deleted files \(deletedFiles), \(bytes) bytes"
  }
}
