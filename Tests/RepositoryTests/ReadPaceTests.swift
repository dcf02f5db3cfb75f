import Testing

@testable import Shipping

@Suite struct ReadPaceTests {
  @Test func `there is no pace without a limit`() {
    #expect(ReadPace(limit: nil) == nil)
    #expect(ReadPace(limit: 0) == nil)
  }

  /// Reads as fast as the pace allows, with waits that end `late` milliseconds late. Returns the bytes of
  /// each 100 ms.
  private func read(_ limit: UInt64, for milliseconds: Int64, late: Int64 = 0) throws -> [UInt64] {
    var pace = try #require(ReadPace(limit: limit))
    var now: Int64 = 5000
    var read: [UInt64] = []
    while now < 5000 + milliseconds {
      let wait = pace.wait(pace.step, now: now)
      if wait > 0 { now += wait + late }
      let slot = Int((now - 5000) / 100)
      while read.count <= slot { read.append(0) }
      read[slot] += pace.step
    }
    return Array(read.dropLast())
  }

  @Test(arguments: [64 << 10, 1 << 20, 64 << 20, 1 << 30] as [UInt64], [0, 3] as [Int64])
  func `each tenth of a second has its share`(limit: UInt64, late: Int64) throws {
    let step = try #require(ReadPace(limit: limit)).step
    #expect(step <= 256 << 10)
    let parts = try read(limit, for: 10_000, late: late)
    let share = limit / 10
    for part in parts {
      #expect(part <= share + 2 * step + limit / 50, "\(part) of \(share)")
    }
    let total = parts.reduce(0, +)
    #expect(total > limit * UInt64(parts.count) / 10 * 9 / 10, "\(total)")
  }

  @Test func `time in which nothing was read is not made up for`() throws {
    var pace = try #require(ReadPace(limit: 1 << 20))
    _ = pace.wait(pace.step, now: 0)
    var waited: Int64 = 0
    var now: Int64 = 60_000
    for _ in 0..<50 {
      let wait = pace.wait(pace.step, now: now)
      now += wait
      waited += wait
    }
    #expect(waited >= 900, "a second's bytes take \(waited) ms")
  }
}
