import BackupTypes
import RepositoryAccess
import TestSupport
import Testing

/// Two pods on one volume: a rollout that starts the new pod before the old one has ended, and KubeRay's
/// clean-up Job, which has the init containers of the head pod. Only one Redis writes at a time.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun))
struct SharedVolumeTests {
  /// When the old pod's sidecar stops.
  enum Order: String, CaseIterable, CustomTestStringConvertible {
    case beforeTheNewRedis = "before the new Redis starts"
    case afterTheNewRedis = "after the new Redis wrote"
    var testDescription: String { rawValue }
  }

  private static let flags = ["--source", "test/redis", "--ship-interval", "200ms"]
  private static let options = ["appendonly": "yes", "appendfsync": "always"]

  @Test(arguments: [ServerVersion.v6_2, .v7_4, .valkey9_1], Order.allCases)
  func `a rollout: one history, with all that both pods wrote`(
    version: ServerVersion, order: Order
  ) async throws {
    let place = try Place()
    let test = CrashTests.Case(version: version, appendOnly: true, fsync: "always")
    try await expectBoot(place, "no-backup")
    let old = try place.ship(pod: "pod-old", Self.flags)
    let oldRedis = try await RedisServer.start(
      version, directory: place.data, options: Self.options)
    let oldLoad = try TransactionalLoad.start(on: oldRedis, test.load(21))
    try await eventually(
      deadline: 60, "the old pod ships", condition: { await place.newest() != nil },
      state: { old.errorText })

    // The new pod starts while the old one writes. Its restore does nothing, and its sidecar is in standby.
    try await expectBoot(place, "data-present")
    let new = try place.ship(pod: "pod-new", Self.flags)
    try await eventually(
      deadline: 60, "the new sidecar says who writes",
      condition: { new.errorText.contains("(instance pod-old/") },
      state: { new.errorText })
    #expect(place.timelines == 1)

    try await oldLoad.reach(oldLoad.acknowledged + 200)
    _ = try await oldLoad.stop()
    _ = try await oldRedis.shutdown()
    if order == .beforeTheNewRedis { try await expectCleanEnd(old) }
    let newRedis = try await RedisServer.start(
      version, directory: place.data, options: Self.options)
    var goOn = test.load(21)
    goOn.after = oldLoad.acknowledged
    // After a rewrite while nothing is shipped, no common position can be proved.
    goOn.rewriteEvery = nil
    let newLoad = try TransactionalLoad.start(on: newRedis, goOn)
    try await newLoad.reach(goOn.after + 200)
    if order == .afterTheNewRedis {
      // The new Redis keeps writing while the old sidecar stops, which reports what it could not ship in
      // time.
      let ended = try await old.terminate()
      #expect(
        ended.exitCode == 0 || ended.errorText.contains("stopped with unshipped bytes"), "\(ended)")
    }
    // On the same volume, it takes over even if the old one ran out of time while Redis wrote.
    try await eventually(
      deadline: 120, "the new pod claims", condition: { place.timelines == 2 },
      state: { new.errorText })
    try await newLoad.reach(newLoad.acknowledged + 200)
    _ = try await newLoad.stop()
    _ = try await newRedis.shutdown()
    try await expectCleanEnd(new)

    let timelines = try await place.listing().timelines
    #expect(timelines.map { String($0.instance.prefix { $0 != "/" }) } == ["pod-old", "pod-new"])
    #expect(timelines.map(\.parent?.value) == [nil, timelines.first?.number.value])
    // The second timeline continues from the end of the first.
    #expect(timelines.last?.fork != nil)
    #expect(timelines.allSatisfy { !$0.isAbandoned && $0.suspicion == nil }, "\(timelines)")
    #expect(try await place.restoredStep(test, newLoad, into: "restored") == newLoad.acknowledged)
  }

  @Test(arguments: [ServerVersion.v7_4, .valkey9_1], [true, false])
  func `a clean-up Job on a volume that is shipped claims nothing`(
    version: ServerVersion, isRedisUp: Bool
  ) async throws {
    let place = try Place()
    let server = try await RedisServer.start(
      version, directory: place.data, options: Self.options)
    for index in 1...200 { try server.command("SET", "key:\(index)", "value \(index)") }
    let expected = try await server.dataset()
    let ports = try freePorts(2).map { ["--admin-listen", "127.0.0.1:\($0)"] }
    let owner = try place.ship(pod: "pod-head", Self.flags + ports[0])
    try await eventually(
      deadline: 60, "the pod ships", condition: { await place.newest() != nil },
      state: { owner.errorText })
    // Everything on disk is durable, and with `appendfsync always` everything is on disk.
    let synced = try await LifeboatCommand.run(["sync", "--wait"] + ports[0])
    #expect(synced.exitCode == 0, "\(synced)")
    if !isRedisUp {
      _ = try await server.shutdown()
      try await expectCleanEnd(owner)
    }

    let before = TestFiles.tree(place.repository)
    try await expectBoot(place, "data-present")
    let job = try place.ship(pod: "pod-job", Self.flags + ports[1])
    try await eventually(
      deadline: 60, "the Job's sidecar has compared, and follows",
      condition: {
        let status = try await LifeboatCommand.run(["status", "--json"] + ports[1])
        return status.jsonText("state") == "following"
      }, state: { job.errorText })
    try await expectCleanEnd(job)
    #expect(TestFiles.tree(place.repository) == before)
    #expect(place.timelines == 1)

    if isRedisUp {
      _ = try await server.shutdown()
      try await expectCleanEnd(owner)
    }
    let restored = try await place.restore(into: "restored")
    let again = try await RedisServer.start(version, directory: restored, options: Self.options)
    #expect(try await again.dataset() == expected)
  }

  /// Runs the init container and checks its result.
  private func expectBoot(_ place: Place, _ result: String) async throws {
    let boot = try await place.run(
      "restore", ["--data", place.data, "--if-empty", "--if-backup-exists", "--json"])
    #expect(boot.exitCode == 0 && boot.jsonText("result") == result, "\(boot)")
  }

  private func expectCleanEnd(_ ship: RunningCommand) async throws {
    let ended = try await ship.terminate()
    #expect(ended.exitCode == 0, "\(ended)")
  }
}
