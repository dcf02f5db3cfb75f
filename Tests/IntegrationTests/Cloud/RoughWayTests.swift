import BackupTypes
import TestSupport
import Testing

/// A bad network to the store, in which everything happens that can happen to a request, while the load of
/// the crash tests runs. The restore at the end gives what the server acknowledged, and nothing was sent
/// twice.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(20)))
struct RoughWayTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var load: CrashTests.Case
    var seed: UInt64
    var testDescription: String { "\(load.testDescription), seed \(seed)" }
  }

  private static let cases = [
    Case(load: .init(version: .v7_4, appendOnly: true, fsync: "always"), seed: 1),
    Case(load: .init(version: .valkey9_1, appendOnly: true, fsync: "everysec"), seed: 2),
    Case(load: .init(version: .v6_2, appendOnly: false, fsync: "everysec"), seed: 3),
  ]

  @Test(arguments: cases)
  func `resets, delays, stalls, errors, lost replies and closed connections`(
    test: Case
  ) async throws {
    let server = try FaultS3Server { $0.fault = RoughWayTests.faults(seed: test.seed) }
    let place = try Place.on(server)
    let end = try await place.survivesRoughWay(on: server, test.load, seed: test.seed)
    // Occasional losses are not an outage. A request that stalls for long may be one.
    let outages = end.count("the store is unavailable")
    #expect(outages <= 5 && outages == end.count("the store is available again"), "\(end)")
  }

  @Test func `what is sent twice is found`() throws {
    let digest = String(repeating: "0", count: 32)
    func log(_ from: Int, _ to: Int) -> String {
      let offsets = [from, to].map { number in
        String(repeating: "0", count: 16 - "\(number)".count) + "\(number)"
      }
      return "bucket/prefix/timelines/00000001/log/00000001/"
        + "\(offsets[0])-\(offsets[1])-0000000000000-\(digest)"
    }
    let whole = [log(0, 10), log(10, 20), log(20, 25), log(0, 20)]
    #expect(try Sent(whole).problems.isEmpty, "the last is a fold of the first two")
    for other in [log(0, 12), log(10, 15), log(5, 20), log(30, 35)] {
      #expect(try Sent(whole + [other]).problems.count > 0, "\(other)")
    }
    let generations = ["a", "b"].map {
      "bucket/prefix/generations/\(digest)-\(String(repeating: $0, count: 32))/00000000-\(digest)"
    }
    #expect(try Sent(generations).problems.count == 1)
  }

  /// About every third request gets a fault. The seed and the request's number decide which one.
  static func faults(
    seed: UInt64
  ) -> @Sendable (LoopbackRequest) -> FaultS3Server.Fault? {
    { request in
      // Once, after a write was done, there is no reply. The client has to time out.
      if request.number == 120 { return .afterwards { _ in .stall } }
      var random = SeededRandom(seed: seed << 32 | UInt64(request.number))
      switch Int.random(in: 0..<40, using: &random) {
      case 0: return .instead(.reset)
      case 1: return .instead(.hangUp)
      case 2: return .instead(.reply(FaultS3Server.error(500, "InternalError")))
      case 3:
        return .instead(
          .reply(FaultS3Server.error(503, "SlowDown", headers: [("Retry-After", "1")])))
      case 4: return .instead(.reply(FaultS3Server.error(429, "TooManyRequests")))
      case 5: return .instead(.reply(LoopbackReply(502, text: "<html>bad gateway</html>")))
      case 6: return .afterwards { .truncate($0, bytes: $0.body.count / 2) }
      case 7: return .afterwards { _ in .reset }
      case 8: return .afterwards { _ in .hangUp }
      case 9: return .afterwards { .replyAndClose($0) }
      case 10: return .afterwards { .delay(milliseconds: 400, .reply($0)) }
      case 11: return .afterwards { _ in .reply(FaultS3Server.error(500, "InternalError")) }
      case 12: return .afterwards { .undelimited($0) }
      default: return nil
      }
    }
  }
}
