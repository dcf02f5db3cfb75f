import BackupTypes
import HTTPTransport
import RepositoryAccess
import S3Storage
import SystemIO
import TestSupport
import Testing

/// The probe on S3, and on each store that does not keep its promises.
@Suite(.timeLimit(.minutes(5))) struct S3ProbeTests {
  private func probe(_ server: FaultS3Server) async throws -> CapabilityReport {
    let store = retrying(try Given.store(server))
    return try await CapabilityProbe(store, now: { SystemClock.now() }).run()
  }

  @Test func aGoodStore() async throws {
    let server = try FaultS3Server()
    let report = try await probe(server)
    #expect(report.verdict == .ok, "\(report)")
    #expect(server.names.isEmpty)
    #expect(server.server.requests.count < 20, "it is small")
  }

  @Test(arguments: [
    (FaultS3Server.ConditionalCreate.ignored, "overwrites"), (.notImplemented, "does not support"),
  ])
  func withoutConditionalCreate(
    _ condition: FaultS3Server.ConditionalCreate, _ word: String
  ) async throws {
    let server = try FaultS3Server { $0.conditionalCreate = condition }
    let report = try await probe(server)
    let finding = try #require(report[.createIfAbsent])
    #expect(finding.verdict == .warning && finding.detail.contains(word), "\(finding)")
    #expect(report.findings.filter { $0.verdict != .ok }.count == 1, "\(report)")
    #expect(server.names.isEmpty)
  }

  @Test(arguments: [
    ("PUT", CapabilityReport.Check.write, "s3:PutObject"), ("list-type", .list, "s3:ListBucket"),
    ("GET", .read, "s3:GetObject"), ("delete", .delete, "s3:DeleteObject"),
  ])
  func aDeniedAction(
    _ denied: String, _ check: CapabilityReport.Check, _ right: String
  ) async throws {
    let report = try await probe(try FaultS3Server { $0.denied = [denied] })
    let finding = try #require(report[check])
    #expect(finding.verdict != .ok && finding.remedy?.contains(right) == true, "\(finding)")
    #expect(finding.consequence != nil)
  }

  @Test func aSkewedClock() async throws {
    let report = try await probe(try FaultS3Server { $0.clockOffset = -600_000 })
    let finding = try #require(report[.clock])
    #expect(finding.verdict == .warning && finding.detail.contains("ahead of"), "\(finding)")
  }

  /// When replies are lost, a retried creation finds its own object. This is not a refusal.
  @Test func onARoughWay() async throws {
    let server = try FaultS3Server {
      $0.fault = { $0.number % 2 == 1 ? .afterwards { _ in .reset } : nil }
    }
    let report = try await probe(server)
    #expect(report.verdict == .ok, "\(report)")
    #expect(server.names.isEmpty)
  }

  @Test(.enabled(if: SeaweedServer.executable != nil)) func seaweed() async throws {
    let server = try await SeaweedServer.shared()
    let keys = [
      "AWS_ACCESS_KEY_ID": SeaweedServer.accessKey,
      "AWS_SECRET_ACCESS_KEY": SeaweedServer.secretKey,
    ]
    let store = try S3ProbeTests.store(server, keys)
    let report = try await CapabilityProbe(store, now: { SystemClock.now() }).run()
    #expect(report.verdict == .ok, "\(report)")
    let reader = try S3ProbeTests.store(
      server,
      [
        "AWS_ACCESS_KEY_ID": SeaweedServer.readerKey,
        "AWS_SECRET_ACCESS_KEY": SeaweedServer.readerSecret,
      ])
    let denied = try await CapabilityProbe(reader, now: { SystemClock.now() }).run()
    #expect(denied[.write]?.verdict == .failed && denied[.write]?.remedy != nil, "\(denied)")
    // It may read and list. Nothing could be written, so read-after-write could not be tested.
    #expect(denied[.read]?.verdict == .note && denied[.list]?.verdict == .note, "\(denied)")
  }

  private static func store(
    _ server: SeaweedServer, _ environment: [String: String]
  ) throws -> S3Store {
    try S3Repository(
      url: "s3://\(SeaweedServer.bucket)/probe-\(hexadecimal(secureRandomBytes(8)))"
        + "?endpoint=\(server.url)", settings: Given.settings(environment),
      client: .forTests(limits: HTTPLimits()), now: { SystemClock.now() }, observe: { _ in }
    ).store
  }
}
