import BackupTypes
import HTTPTransport
import Testing

@Suite struct HTTPDateTests {
  @Test func readsAndWritesTheFixedForm() throws {
    let instant = try #require(Instant(httpDate: "Sun, 06 Nov 1994 08:49:37 GMT"))
    #expect(instant.description == "1994-11-06T08:49:37Z")
    #expect(instant.httpDate == "Sun, 06 Nov 1994 08:49:37 GMT")
    #expect(Instant(seconds: 1_795_356_127).httpDate == "Sun, 22 Nov 2026 14:02:07 GMT")
    #expect(Instant(milliseconds: -1).httpDate == "Wed, 31 Dec 1969 23:59:59 GMT")
  }

  @Test(arguments: [
    "", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994", "Sun, 06 Nov 1994 08:49:37",
    "Sun, 99 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
    "Sun, -6 Nov 1994 08:49:37 GMT",
  ])
  func refusesOthers(_ text: String) {
    #expect(Instant(httpDate: text) == nil)
  }

  private func reply(_ headers: [(String, String)]) -> HTTPResponse {
    HTTPResponse(status: 503, headers: HTTPHeaders(headers), body: [])
  }

  @Test func readsRetryAfter() {
    #expect(reply([("Retry-After", "7")]).retryAfter == 7)
    #expect(reply([("Retry-After", "-7")]).retryAfter == 0)
    #expect(
      reply([
        ("Date", "Sun, 22 Nov 2026 14:02:07 GMT"), ("Retry-After", "Sun, 22 Nov 2026 14:02:17 GMT"),
      ]).retryAfter == 10)
    #expect(reply([("Retry-After", "Sun, 22 Nov 2026 14:02:17 GMT")]).retryAfter == nil)
    #expect(reply([("Retry-After", "soon")]).retryAfter == nil && reply([]).retryAfter == nil)
  }
}
