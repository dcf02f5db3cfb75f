import BackupTypes
import ObjectStorage
import Synchronization
import SystemPackage
import TestSupport
import Testing

/// What a sidecar reports about its store, depending on the results of calls.
struct StoreOutageTests {
  private static let lost = LifeboatError(.storeUnavailable, "lost", isRetryable: true)
  private static let full = LifeboatError(.noRoom, "full")
  private static let denied = LifeboatError(.storeUnavailable, "denied").denied()

  @Test func `what waiting may fix is told when it lasts`() {
    var outage = StoreOutage()
    #expect(outage.waits(.create, Self.lost, since: 4999, now: 10_000) == nil)
    #expect(outage.succeeded(.create, now: 10_001) == nil)
    #expect(outage.waits(.create, Self.lost, since: 5000, now: 20_000) == .began(.unreachable))
    #expect(outage.waits(.create, Self.lost, since: 9000, now: 24_000) == nil)
    #expect(outage.succeeded(.create, now: 25_000) == .ended(afterMilliseconds: 10_000))
    #expect(outage.problem == nil)
  }

  @Test func `what somebody has to fix is told at once, and says so`() {
    for (error, problem) in [(Self.denied, StoreOutage.Problem.denied), (Self.full, .refused)] {
      var outage = StoreOutage()
      #expect(outage.waits(.create, error, since: 0, now: 0) == .began(problem))
      #expect(!problem.line.contains("by itself") && problem.line.contains("nothing is shipped"))
      #expect(problem.words(since: "T").contains("nothing is shipped"))
      #expect(outage.succeeded(.create, now: 7) == .ended(afterMilliseconds: 7))
    }
  }

  @Test func `another reason is told, once a minute at most`() {
    var outage = StoreOutage()
    #expect(outage.waits(.create, Self.lost, since: 5000, now: 0) == .began(.unreachable))
    #expect(outage.waits(.create, Self.denied, since: 6000, now: 1000) == nil)
    #expect(outage.waits(.create, Self.denied, since: 66_000, now: 60_000) == .changed(.denied))
    #expect(outage.problem == .denied)
  }

  @Test func `a deletion is waited for by nobody`() {
    var outage = StoreOutage()
    #expect(outage.waits(.delete, Self.denied, since: 0, now: 0) == nil)
    #expect(outage.waits(.create, Self.denied, since: 0, now: 0) == .began(.denied))
    #expect(outage.succeeded(.delete, now: 1) == nil)
  }

  @Test func `it is over when all that waited went well`() {
    var outage = StoreOutage()
    #expect(outage.waits(.create, Self.denied, since: 0, now: 0) == .began(.denied))
    #expect(outage.waits(.list, Self.denied, since: 0, now: 0) == nil)
    #expect(outage.succeeded(.list, now: 10) == nil)
    // Another call of the same kind also ends the outage, because the first one may have been abandoned.
    #expect(outage.succeeded(.create, now: 20) == .ended(afterMilliseconds: 20))
  }

  @Test func `a call that was given up holds nothing up`() {
    var outage = StoreOutage()
    #expect(outage.waits(.clock, Self.denied, since: 0, now: 0) == .began(.denied))
    #expect(outage.succeeded(.create, now: 299_999) == nil)
    #expect(outage.succeeded(.create, now: 300_000) == .ended(afterMilliseconds: 300_000))
  }

  @Test func `clocks that differ, and agree again`() {
    var outage = StoreOutage()
    #expect(outage.saw(clockOffset: 60_000, now: 0) == nil)
    #expect(outage.saw(clockOffset: -60_001, now: 1) == .clocksDiffer(-60_001))
    #expect(outage.saw(clockOffset: -7_200_000, now: 2) == nil)
    #expect(outage.saw(clockOffset: 30_001, now: 3) == nil)
    #expect(outage.saw(clockOffset: 30_000, now: 4) == .clocksAgree)
    #expect(outage.saw(clockOffset: 90_000, now: 5) == nil, "a line a minute")
    #expect(outage.saw(clockOffset: 90_000, now: 60_004) == .clocksDiffer(90_000))
  }

  /// A store that denies every deletion.
  private struct AppendOnly: StoreLayer {
    let base: any ObjectStore
    func delete(_ names: [String]) async throws -> [String: LifeboatError] { throw denied }
  }

  @Test func `the layer that retries does not wait for leave to delete`() async throws {
    let reports = Mutex(0)
    let store = RetryingStore(AppendOnly(base: MemoryStore()), policy: .sidecar) {
      if case .waiting = $0 { reports.withLock { $0 += 1 } }
    }
    await #expect(throws: LifeboatError.self) { _ = try await store.delete(["ops/probes/x"]) }
    #expect(reports.withLock { $0 } == 0)
  }
}
