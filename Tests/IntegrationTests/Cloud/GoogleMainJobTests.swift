import BackupTypes
import TestSupport
import Testing

/// The main job with its repository in Google Cloud Storage, run through the binary.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(20)))
struct GoogleMainJobTests {
  @Test func `kill -9 of both on fake-gcs-server: what the bucket has is whole and in order`()
    async throws
  {
    try await Place.onFakeGCS().survivesKills(Place.cloudJob)
  }

  @Test func `kill -9 of both on a store that checks tokens and checksums`() async throws {
    let gcs = try FakeGCSServer()
    let google = try GoogleServer { setup in
      // Each process gets its own token.
      setup.issued = { token in gcs.change { $0.tokens.insert(token) } }
    }
    try await Place.on(gcs, environment: GoogleKeys.metadata(google)).survivesKills(
      CrashTests.Case(version: .valkey9_1, appendOnly: false, fsync: "everysec"))
  }

  @Test func `every command works on a bucket`() async throws {
    try await Place.onFakeGCS().everyCommandWorks()
  }

  @Test func `on a rough way`() async throws {
    let gcs = try FakeGCSServer { $0.fault = RoughWayTests.faults(seed: 4) }
    let desk = try GoogleDesk(.metadata, for: gcs, lifetimeSeconds: 10)
    let place = try Place.on(gcs, environment: desk.environment)
    try await place.survivesRoughWay(on: gcs, seed: 4)
  }

  @Test(arguments: GoogleDesk.Kind.allCases)
  func `ship goes on through every rotation, and no secret is seen`(
    kind: GoogleDesk.Kind
  ) async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(kind, for: gcs, lifetimeSeconds: 3)
    let place = try Place.on(gcs, environment: desk.environment)
    try await place.shipsThroughRotations(
      on: gcs,
      deny: { gcs.change { $0.denied = ["storage.objects.list", "storage.objects.get"] } },
      role: "roles/storage.objectUser")
  }

  @Test func `no token yet, and then there is one`() async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(.metadata, for: gcs)
    let place = try Place.on(gcs, environment: desk.environment)
    try await place.waitsForItsFirstToken { isUp in
      desk.google.change { $0.fault = { _ in isUp ? nil : .hangUp } }
    }
  }
}
