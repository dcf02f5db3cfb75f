import Testing

@testable import ReplicationLink

@Suite struct CopyRequestsTests {
  /// Each copy is requested as soon as allowed, and fails after this many milliseconds.
  private static func waits(_ count: Int, eachTakes took: Int64) -> [Int64] {
    var copies = CopyRequests()
    var now: Int64 = 1_000_000
    return (0..<count).map { _ in
      copies.requested(now: now)
      now += took
      copies.ended(isRestorable: false, now: now)
      let wait = copies.wait(now: now) ?? 0
      now += wait
      return wait
    }
  }

  @Test func `the first failure costs no time, and each further one doubles the wait`() {
    #expect(
      Self.waits(9, eachTakes: 1000) == [
        0, 30_000, 60_000, 120_000, 240_000, 480_000, 900_000, 900_000, 900_000,
      ])
  }
  @Test func `the wait is not shorter than the copy took`() {
    #expect(Self.waits(4, eachTakes: 100_000) == [0, 100_000, 100_000, 120_000])
    #expect(Self.waits(3, eachTakes: 7_200_000) == [0, 900_000, 900_000])
  }
  @Test func `a copy that is restorable ends the series`() {
    var copies = CopyRequests()
    for now in [0, 1000, 40_000] as [Int64] {
      copies.requested(now: now)
      copies.ended(isRestorable: false, now: now)
    }
    #expect(copies.failures == 3 && copies.wait(now: 40_000) == 60_000)
    copies.requested(now: 100_000)
    copies.ended(isRestorable: true, now: 100_001)
    #expect(copies.failures == 0 && copies.wait(now: 100_001) == nil)
    // Without a request in between, nothing has failed.
    copies.ended(isRestorable: false, now: 100_002)
    #expect(copies.failures == 0)
  }
}
