import RepositoryAccess
import Shipping
import TestSupport
import Testing

/// A cause that comes and goes does not fill the log, and the last line about it is true.
@Suite struct LogThrottleTests {
  private let minute: Int64 = 60_000

  @Test func `a steady cause is told once, and so is its end`() {
    var throttle = LogThrottle()
    var lines = 0
    for second in 0..<3600 where throttle.begin("store", at: Int64(second) * 1000) != nil {
      lines += 1
    }
    #expect(lines == 1)
    #expect(throttle.end("store", at: 3_600_000) == .init(leftOut: 0))
    #expect(throttle.end("store", at: 3_601_000) == nil)
  }

  @Test(arguments: [1, 7, 20, 59, 61, 119])
  func `a flapping cause has at most a line a minute, and what was left out is counted`(
    period: Int64
  ) {
    var throttle = LogThrottle()
    var lines: [Int64] = []
    var (begun, told, leftOut) = (0, 0, 0)
    var now: Int64 = 0
    while now < 60 * minute {
      begun += 1
      if let line = throttle.begin("store", at: now) {
        (told, leftOut) = (told + 1, leftOut + line.leftOut)
        lines.append(now)
      }
      now += period * 500
      if let line = throttle.end("store", at: now) {
        leftOut += line.leftOut
        lines.append(now)
      }
      now += period * 500
    }
    #expect(lines.count <= 61 && told >= 10, "\(lines)")
    // This holds for any period, except that one occurrence may have two lines.
    for (index, first) in lines.enumerated() {
      for (count, last) in lines[index...].enumerated() {
        #expect(Int64(count + 1) <= (last - first) / minute + 2, "\(lines)")
      }
    }
    let silent = throttle.begin("store", at: now + 10 * minute)?.leftOut ?? 0
    #expect(leftOut + silent + told == begun, "\(begun) times, \(told) told, \(leftOut) counted")
  }

  @Test func `a beginning that came too soon is told once it has lasted, and then its end`() {
    var throttle = LogThrottle()
    #expect(throttle.begin("a", at: 0) != nil && throttle.end("a", at: 1000) != nil)
    #expect(throttle.begin("a", at: 2000) == nil)
    #expect(throttle.begin("a", at: 119_999) == nil)
    #expect(throttle.begin("a", at: 120_000) == .init(leftOut: 0), "it is this very line")
    #expect(throttle.end("a", at: 120_001) != nil)
  }

  @Test func `an end without a told beginning is not told`() {
    var throttle = LogThrottle()
    #expect(throttle.end("a", at: 0) == nil)
    #expect(throttle.begin("a", at: 0) != nil && throttle.end("a", at: 1000) != nil)
    #expect(throttle.begin("a", at: 2000) == nil && throttle.end("a", at: 3000) == nil)
    #expect(throttle.begin("a", at: 4 * minute) == .init(leftOut: 1))
  }

  @Test func `a line that stands alone comes once a minute, and causes do not wait for each other`()
  {
    var throttle = LogThrottle()
    #expect(throttle.line("a", at: 0) == .init(leftOut: 0))
    #expect(throttle.line("a", at: 1) == nil && throttle.line("a", at: minute - 1) == nil)
    #expect(throttle.line("b", at: 1) == .init(leftOut: 0))
    #expect(throttle.line("a", at: minute) == .init(leftOut: 2))
  }

  @Test func `the causes that are remembered have a bound`() {
    var throttle = LogThrottle()
    _ = throttle.begin("told", at: 0)
    for number in 0..<10_000 {
      #expect(throttle.line("cause \(number)", at: Int64(number)) != nil)
    }
    #expect(throttle.end("told", at: 20_000) != nil, "a state that was told of is not forgotten")
    #expect(throttle.line("cause 9999", at: 20_000) == nil)
    #expect(throttle.line("cause 1", at: 20_000) != nil)
  }
}
