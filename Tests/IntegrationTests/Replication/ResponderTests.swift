import BackupTypes
import RedisFormats
import ReplicationLink
import Synchronization
import TestSupport
import Testing

/// The responder beside real primaries, replicas and Sentinels. Nothing may promote it, and no primary may
/// wait for it.
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct ResponderTests {
  private static let versions = [ServerVersion.v6_2, .v7_4, .valkey9_1].filter {
    ServerVersion.available.contains($0)
  }

  /// A primary with a real replica, and the responder with a replica that has the whole stream. The
  /// responder's replica is attached first, so that a FAILOVER chooses it.
  private final class Group: Sendable {
    let directory: TemporaryDirectory
    let primary: RedisServer
    let replica: RedisServer
    let primaryAddress: LinkAddress
    let replicaAddress: LinkAddress
    let responder: ReplicaResponder
    let follower: MinimalReplica
    let hints: Hints

    final class Hints: Sendable {
      private let all = Mutex<[LinkAddress]>([])
      private let asked = Mutex(0)
      var last: LinkAddress? { all.withLock { $0.last } }
      /// How many commands the responder has received.
      var commands: Int { asked.withLock { $0 } }
      func add(_ address: LinkAddress) { all.withLock { $0.append(address) } }
      func count() { asked.withLock { $0 += 1 } }
    }

    init(_ version: ServerVersion) async throws {
      directory = try TemporaryDirectory()
      let ports = try freePorts(2)
      primaryAddress = try #require(LinkAddress(host: "127.0.0.1", port: Int(ports[0])))
      replicaAddress = try #require(LinkAddress(host: "127.0.0.1", port: Int(ports[1])))
      let common = ["bind": "127.0.0.1", "repl-diskless-sync-delay": "0"]
      primary = try await RedisServer.start(
        version, directory: directory("primary"),
        options: common.merging(["port": "\(ports[0])"]) { $1 })
      let hints = Hints()
      self.hints = hints
      // The responder reports the new primary as its upstream once a Sentinel has named it. Otherwise the
      // Sentinel would repeat SLAVEOF.
      responder = try await ReplicaResponder.start(
        host: "127.0.0.1", port: 0, credentials: nil,
        facts: { [primaryAddress] in
          hints.count()
          return ResponderFacts(
            upstream: hints.last ?? primaryAddress, isLinkUp: true, offset: 1_000_000_000,
            runID: String(repeating: "1f", count: 20))
        }, hint: { hints.add($0) })
      let address = primaryAddress
      let port = responder.port
      follower = try await onOwnThread { try MinimalReplica(of: address, announcing: port) }
      let follower = follower
      try await eventually("our replica has the copy") { follower.offset != nil }
      replica = try await RedisServer.start(
        version, directory: directory("replica"),
        options: common.merging([
          "port": "\(ports[1])", "replicaof": "127.0.0.1 \(ports[0])",
        ]) { $1 })
      let primary = primary
      try await eventually(
        deadline: 120, "both replicas are online and have all",
        condition: {
          let head = try primary.info("master_repl_offset") ?? "?"
          return try ["slave0", "slave1"].allSatisfy {
            let line = try primary.info($0) ?? ""
            return line.contains("state=online") && line.contains("offset=\(head),")
          }
        },
        state: {
          "\(String(describing: follower.end)) \((try? primary.command("INFO", "replication").string) ?? "")"
        })
    }

    func stop() async throws {
      try await follower.stop()
      await responder.stop()
    }
  }

  enum Order: String, CaseIterable {
    case any
    /// With `masterauth`, the primary sends AUTH to the replica that it chose. If AUTH was refused, it would
    /// retry for ever and be read-only meanwhile (seen on 6.2, 7.4 and Valkey 9.1).
    case anyWithAuth
    /// `FAILOVER TO` us.
    case named
  }

  @Test(arguments: versions, Order.allCases)
  func aFailoverLeavesAWritablePrimary(version: ServerVersion, order: Order) async throws {
    let group = try await Group(version)
    if order == .anyWithAuth { try group.primary.command("CONFIG", "SET", "masterauth", "s3cret") }
    let first = try #require(try group.primary.info("slave0"))
    #expect(first.contains("port=\(group.responder.port),"), "we are not the first: \(first)")
    try group.primary.command("SET", "before", "1")
    let target = order == .named ? ["TO", "127.0.0.1", "\(group.responder.port)"] : []
    _ = try group.primary.connect().run(["FAILOVER"] + target)
    // Either it chose us and was refused, or it chose the other replica, which is then the primary.
    try await eventually(
      deadline: 60, "the failover is over",
      condition: { try group.primary.info("master_failover_state") == "no-failover" },
      state: { group.primary.log })
    let isStillPrimary = try group.primary.info("role") == "master"
    // If it is still the primary, it must have asked us. Otherwise this test would show nothing.
    #expect(isStillPrimary == (group.hints.commands > 0), "\(group.primary.log)")
    #expect(isStillPrimary || order != .named)
    let writable = isStillPrimary ? group.primary : group.replica
    try await eventually("a write is taken") {
      (try? writable.command("SET", "after", "2"))?.isOK == true
    }
    #expect(try writable.command("GET", "before").string == "1")
    #expect(try writable.info("role") == "master")
    try await group.stop()
  }

  @Test(arguments: versions)
  func aSentinelNeverPromotesUsAndTellsUsTheNewPrimary(version: ServerVersion) async throws {
    let group = try await Group(version)
    let sentinel = try await Sentinel(version, of: group.primaryAddress)
    let ours = "\(group.responder.port)"
    let real = "\(group.replicaAddress.port)"
    // It gets our port from the primary before it has asked us whether we are announced.
    try await eventually(
      deadline: 120, "the Sentinel lists the replica, and not us",
      condition: {
        let ports = try await sentinel.replicaPorts()
        return ports.contains(real) && !ports.contains(ours)
      }, state: { sentinel.log })

    group.primary.kill()
    let replica = group.replicaAddress
    try await eventually(
      deadline: 120, "the Sentinel promoted the real replica",
      condition: {
        try await sentinel.primary() == replica && group.replica.info("role") == "master"
      }, state: { sentinel.log })
    try await eventually(
      deadline: 120, "it tells us", condition: { group.hints.last == replica },
      state: { sentinel.log })
    // After the failover it lists all former replicas until it has asked each of them again.
    try await eventually(
      deadline: 120, "the Sentinel does not list us",
      condition: { try await !sentinel.replicaPorts().contains(ours) }, state: { sentinel.log })
    #expect(!sentinel.log.contains("+promoted-slave slave 127.0.0.1:\(ours)"))
    #expect(!sentinel.log.contains("+selected-slave slave 127.0.0.1:\(ours)"))

    // Lifeboat then asks the Sentinel and reaches the new primary.
    let url = try LinkURL("redis-sentinel://127.0.0.1:\(sentinel.port)/mymaster")
    try await onOwnThread {
      let found = try LinkFixture.dialer(url).open()
      #expect(found.address == replica)
    }
    try await group.stop()
  }
}
