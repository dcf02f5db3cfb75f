import BackupTypes
import HistoryLogic
import StatusPages
import Synchronization
import TestSupport
import Testing

/// The repository is only read for a page when somebody opens it.
@Suite(.timeLimit(.minutes(5))) struct PictureKeeperTests {
  private final class Source: Sendable {
    let reads = Mutex(0)
    let fails = Mutex(false)
    func read() throws -> Chronicle {
      let number = reads.withLock { count in
        count += 1
        return count
      }
      if fails.withLock({ $0 }) {
        throw LifeboatError(.storeUnavailable, "can't reach it", cause: "a test")
      }
      return Chronicle(
        repository: "r", location: "l", cipher: "none", readAt: Instant(seconds: Int64(number)))
    }
    var count: Int { reads.withLock { $0 } }
  }

  private func keeper(_ source: Source, between: Int64, kept: Int64 = 600_000) -> PictureKeeper {
    var times = PictureKeeper.Times()
    (times.between, times.kept) = (between, kept)
    return PictureKeeper(times: times) { _ in try source.read() }
  }

  @Test func `many looks in a minute are one reading, and none without a look`() async throws {
    let source = Source()
    let keeper = keeper(source, between: 60_000)
    let task = Task { await keeper.run() }
    defer { task.cancel() }
    #expect(keeper.glance().chronicle == nil && !keeper.glance().isReading)
    #expect(source.count == 0)
    #expect(keeper.look().isReading)
    try await eventually("a picture") { keeper.glance().chronicle != nil }
    for _ in 0..<100 { #expect(keeper.look().chronicle?.readAt == Instant(seconds: 1)) }
    #expect(!keeper.look().isReading && source.count == 1)
  }

  @Test func `a reading that fails leaves the picture there was, and says why`() async throws {
    let source = Source()
    let keeper = keeper(source, between: 0)
    let task = Task { await keeper.run() }
    defer { task.cancel() }
    _ = keeper.look()
    try await eventually("a picture") { keeper.glance().chronicle != nil }
    source.fails.withLock { $0 = true }
    _ = keeper.look()
    try await eventually("a problem") { keeper.glance().problem == "can't reach it: a test" }
    #expect(keeper.glance().chronicle != nil)
    source.fails.withLock { $0 = false }
    _ = keeper.look()
    try await eventually("none any more") { keeper.glance().problem == nil }
    #expect(keeper.glance().chronicle?.readAt == Instant(seconds: 3))
  }

  @Test func `when nobody looks any more all is let go, and the next look begins anew`()
    async throws
  {
    let source = Source()
    let keeper = keeper(source, between: 0, kept: 0)
    let task = Task { await keeper.run() }
    defer { task.cancel() }
    _ = keeper.look()
    try await eventually("it was read") { source.count == 1 }
    try await eventually("and let go") {
      keeper.glance().chronicle == nil && !keeper.glance().isReading
    }
    _ = keeper.look()
    try await eventually("read again") { source.count == 2 }
  }
}
