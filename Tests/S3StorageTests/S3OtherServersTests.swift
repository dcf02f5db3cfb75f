import BackupTypes
import HTTPTransport
import ObjectStorage
import RepositoryAccess
import S3Storage
import SystemIO
import TestSupport
import Testing

/// A store under a new prefix, on one of the servers of `scripts/test --stores all`.
private func store(
  _ kind: OtherS3Server.Kind, secret: String = OtherS3Server.secretKey,
  observe: @escaping @Sendable (S3Observation) -> Void = { _ in }
) async throws -> S3Store {
  let server = try await OtherS3Server.shared(kind)
  let prefix = hexadecimal(secureRandomBytes(8)) + "/p"
  return try S3Repository(
    url: "s3://\(OtherS3Server.bucket)/\(prefix)?endpoint=\(server.url)&path-style=true",
    settings: Given.settings([
      "AWS_ACCESS_KEY_ID": OtherS3Server.accessKey, "AWS_SECRET_ACCESS_KEY": secret,
    ]), client: .forTests(limits: HTTPLimits()), now: { SystemClock.now() }, observe: observe
  ).store
}

/// Ceph's RADOS Gateway, which verifies the signed digest of every body.
@Suite(.timeLimit(.minutes(15)), .enabled(if: OtherS3Server.isWanted(.ceph)))
struct CephTests {
  @Test(arguments: ObjectStoreConformance.all)
  func conformance(_ check: ObjectStoreConformance.Check) async throws {
    try await check.run(try await store(.ceph))
  }

  @Test func probe() async throws {
    let report = try await CapabilityProbe(
      try await store(.ceph), now: { SystemClock.now() }
    ).run()
    #expect(report.verdict == .ok, "\(report)")
  }

  @Test func refusesAWrongSecret() async throws {
    let wrong = try await store(.ceph, secret: "wrong")
    let mismatch = try await failure { _ = try await wrong.read("x") }
    #expect(mismatch.cause?.contains("SignatureDoesNotMatch") == true && !mismatch.isRetryable)
  }
}

/// `rclone serve s3`, which silently ignores `If-None-Match`.
@Suite(.timeLimit(.minutes(15)), .enabled(if: OtherS3Server.isWanted(.rclone)))
struct RcloneTests {
  /// What it can't do: refuse a creation, or delete a name that is a prefix of others ("a" if "a/b" exists).
  /// Such a name is a folder, and deleting it is an error. We have no such names.
  private static func isKnown(_ check: ObjectStoreConformance.Check) -> Bool {
    ["creates once", "one of eight", "deletes, and absent"]
      .contains { check.description.contains($0) }
  }

  @Test(arguments: ObjectStoreConformance.all)
  func conformance(_ check: ObjectStoreConformance.Check) async throws {
    guard RcloneTests.isKnown(check) else { return try await check.run(try await store(.rclone)) }
    await #expect(throws: ObjectStoreConformance.Violation.self, "rclone has learned it") {
      try await check.run(try await store(.rclone))
    }
  }

  @Test func theProbeFindsThatItOverwrites() async throws {
    let report = try await CapabilityProbe(
      try await store(.rclone), now: { SystemClock.now() }
    ).run()
    let finding = try #require(report[.createIfAbsent])
    #expect(finding.verdict == .warning && finding.detail.contains("overwrites"), "\(finding)")
    #expect(report.findings.filter { $0.verdict != .ok }.count == 1, "\(report)")
  }

  @Test func refusesAWrongSecret() async throws {
    let wrong = try await store(.rclone, secret: "wrong")
    let mismatch = try await failure { _ = try await wrong.read("x") }
    #expect(!mismatch.isRetryable, "\(mismatch)")
  }
}
