import BackupTypes
import Testing

@Suite struct InstantTests {
  private let now = Instant(seconds: 1_700_000_000)

  @Test(
    "RFC 3339 with a zone is read",
    arguments: [
      ("1970-01-01T00:00:00Z", 0), ("2026-11-22T14:02:07Z", 1_795_356_127_000),
      ("2000-02-29T00:00:00Z", 951_782_400_000), ("2024-02-29t23:59:59z", 1_709_251_199_000),
      ("2026-11-22T15:02:07+01:00", 1_795_356_127_000),
      ("2026-11-22 08:32:07-05:30", 1_795_356_127_000),
      ("1969-12-31T23:59:59.5Z", -500), ("2026-11-22T14:02:07.12345Z", 1_795_356_127_123),
    ] as [(String, Int64)])
  func rfc3339(text: String, milliseconds: Int64) throws {
    #expect(try Instant(parsing: text, now: now).milliseconds == milliseconds)
  }

  @Test(
    "a time that can't be read, or has no zone, is refused",
    arguments: [
      "", "-", "now", "2026-11-22", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
      "2026-11-22T24:00:00Z", "2026-11-22T00:60:00Z", "2026-02-30T00:00:00Z",
      "2025-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
      "2026-11-22T14:02:07+1:00", "2026-11-22T14:02:07+99:00", "2026-11-22T14:02:07+01:60",
      "2026-11-22T14:02:07Zx", "-15", "-m", "--1m", "-1y",
      "-9999999999s", "99999999999999999999", "１２３", "2026-11-22T14:02:07ž",
    ])
  func refused(text: String) {
    #expect(throws: TimeSyntaxError.self) { try Instant(parsing: text, now: now) }
  }

  @Test("a time without a zone says so")
  func noZone() {
    for text in ["2026-11-22T14:02:07", "2026-11-22T14:02:07.250"] {
      let error = #expect(throws: TimeSyntaxError.self) { try Instant(parsing: text, now: now) }
      #expect(error?.problem == .noZone)
    }
  }

  @Test("relative times, unix seconds and milliseconds")
  func relative() throws {
    for (text, seconds) in [
      ("-15m", 900), ("-0s", 0), ("-2h", 7200), ("-1d", 86_400), ("-1w", 604_800),
    ] {
      #expect(try Instant(parsing: text, now: now).since(now) == Int64(-seconds * 1000))
    }
    #expect(try Instant(parsing: "1700000000", now: now) == now)
    #expect(try Instant(parsing: "1700000000123", now: now).since(now) == 123)
    #expect(try Instant(parsing: "9223372036854775807", now: now).milliseconds == .max)
    #expect(
      try Instant(parsing: "-999999999w", now: Instant(milliseconds: .min)).milliseconds == .min)
  }

  @Test("what is printed is read back, over the whole calendar")
  func roundTrip() throws {
    for day in stride(from: Int64(-719_527), to: 2_932_896, by: 97) {
      let instant = Instant(milliseconds: day * 86_400_000 + (day % 86_400) * 997)
      guard instant.description.utf8.first != UInt8(ascii: "@") else { continue }
      #expect(try Instant(parsing: instant.description, now: now) == instant)
    }
  }

  @Test("no value traps")
  func extremes() {
    for value in [Int64.min, .min + 1, -1, 0, 1, .max - 1, .max] {
      let instant = Instant(milliseconds: value)
      #expect(!instant.description.isEmpty)
      for other in [Int64.min, 0, .max] {
        _ = instant.since(Instant(milliseconds: other))
        _ = instant.advanced(byMilliseconds: other)
      }
      _ = Instant(seconds: value)
    }
    #expect(Instant(milliseconds: .max).since(Instant(milliseconds: .min)) == .max)
    #expect(Instant(milliseconds: .min).since(Instant(milliseconds: 1)) == .min)
    #expect(Instant(milliseconds: 0).since(Instant(milliseconds: .min)) == .max)
  }
}
