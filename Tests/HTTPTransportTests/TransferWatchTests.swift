import Testing

@testable import HTTPTransport

@Suite struct TransferWatchTests {
  private let limits = HTTPLimits(
    firstByte: .seconds(5), bytesPerSecondMin: 100, slowAfter: .seconds(10))

  @Test func waitsForTheFirstByteAfterTheBody() {
    var watch = TransferWatch(limits: limits, bodyBytes: 10)
    #expect(watch.observe(at: 60_000, sent: 0, received: 0) == .goOn, "libcurl limits connecting")
    watch.connected(at: 60_000)
    #expect(watch.observe(at: 64_000, sent: 10, received: 0) == .goOn)
    #expect(watch.observe(at: 69_000, sent: 10, received: 0) == .goOn)
    #expect(watch.observe(at: 69_001, sent: 10, received: 0) == .firstByteTimedOut)
  }

  @Test func aReplyThatMovesIsNeverTooLong() {
    var watch = TransferWatch(limits: limits, bodyBytes: 0)
    watch.connected(at: 0)
    for second in 1...1000 {
      let verdict = watch.observe(at: Int64(second) * 1000, sent: 0, received: Int64(second) * 100)
      #expect(verdict == .goOn)
    }
  }

  @Test func aBodyThatStandsStillIsGivenUp() {
    var receiving = TransferWatch(limits: limits, bodyBytes: 0)
    receiving.connected(at: 0)
    #expect(receiving.observe(at: 1000, sent: 0, received: 500) == .goOn)
    #expect(receiving.observe(at: 10_999, sent: 0, received: 500) == .goOn)
    #expect(receiving.observe(at: 11_000, sent: 0, received: 1499) == .stalled)

    var sending = TransferWatch(limits: limits, bodyBytes: 1_000_000)
    sending.connected(at: 0)
    #expect(sending.observe(at: 10_000, sent: 1000, received: 0) == .goOn)
    #expect(sending.observe(at: 20_000, sent: 1999, received: 0) == .stalled)
  }

  @Test func anEarlyReplyEndsTheSending() {
    var watch = TransferWatch(limits: limits, bodyBytes: 1_000_000)
    watch.connected(at: 0)
    #expect(watch.observe(at: 100, sent: 1000, received: 40) == .goOn)
    #expect(watch.observe(at: 10_200, sent: 1000, received: 1040) == .goOn)
  }
}
