import BackupTypes
import HTTPTransport
import ObjectStorage
import S3Storage
import SystemIO
import TestSupport
import Testing

/// The suite that every store passes.
@Suite(.timeLimit(.minutes(15))) struct S3ConformanceTests {
  @Test(arguments: ObjectStoreConformance.all)
  func ownServer(_ check: ObjectStoreConformance.Check) async throws {
    let server = try FaultS3Server()
    try await check.run(try Given.store(server))
  }

  @Test func atTheTopOfABucket() async throws {
    let server = try FaultS3Server()
    for check in [ObjectStoreConformance.listsByStringPrefix, ObjectStoreConformance.takesOurNames]
    {
      server.change { $0.buckets = ["bucket"] }
      let store = try Given.store(server, path: "bucket")
      try await check(store)
      let names = try await ObjectStoreConformance.listAll(store, prefix: "").map(\.name)
      #expect(try await store.delete(names).isEmpty)
    }
  }

  @Test func withoutConditionalCreate() async throws {
    let server = try FaultS3Server { $0.conditionalCreate = .notImplemented }
    let store = try Given.store(server)
    #expect(store.createsConditionally)
    try await ObjectStoreConformance.createsOnce(store)
    #expect(!store.createsConditionally)
    try await ObjectStoreConformance.takesOurNames(try Given.store(server, path: "bucket/other"))
    // Asked for once, and then known.
    #expect(
      server.server.requests.filter {
        $0["If-None-Match"] != nil && $0.path == "/bucket/some/prefix/a/b"
      }.count == 1)
  }

  @Test func withoutBatchDelete() async throws {
    let server = try FaultS3Server { $0.takesBatchDelete = false }
    try await ObjectStoreConformance.deletes(try Given.store(server))
  }

  @Test func inABucketWithObjectLock() async throws {
    let server = try FaultS3Server { $0.demandsContentMD5 = true }
    let store = try Given.store(server)
    try await ObjectStoreConformance.createsOnce(store)
    // Asked for once, and then known.
    #expect(
      server.server.requests.filter { $0.method == "PUT" && $0["Content-MD5"] == nil }.count == 1)
  }

  @Test func anonymously() async throws {
    let server = try FaultS3Server { $0.allowsAnonymous = true }
    let store = try Given.store(server, options: "&anonymous=true")
    try await ObjectStoreConformance.createsOnce(store)
    #expect(server.server.requests.allSatisfy { $0["Authorization"] == nil })
  }

  @Test func keysWithAnyCharacter() async throws {
    let server = try FaultS3Server()
    let store = try Given.store(server, path: "bucket/p%20+q/%C3%A9")
    let names = [
      "a b", "a+b", "a%20b", "a%b", "q?x=1&y=2", "#", "'\"<>&", "~!*()", "tab\tx", "new\nline", "ሴ",
    ]
    for name in names { #expect(try await store.create(name, Array(name.utf8)) == .created) }
    #expect(
      try await ObjectStoreConformance.listAll(store, prefix: "").map(\.name).sorted()
        == names.sorted())
    for name in names { #expect(try await store.read(name) == Array(name.utf8)) }
    #expect(try await store.delete(names + ["bell\u{7}"]).isEmpty)
    #expect(server.names.isEmpty)
  }
}

/// SeaweedFS, as `scripts/stores` installs it. It checks signatures, headers, dates and Content-MD5, but not
/// the signed digest of a payload.
@Suite(.timeLimit(.minutes(15)), .enabled(if: SeaweedServer.executable != nil))
struct SeaweedTests {
  /// A store under a new prefix.
  private func store(
    bucket: String = SeaweedServer.bucket, virtualHost: Bool = false,
    key: (String, String) = (SeaweedServer.accessKey, SeaweedServer.secretKey),
    clockOffset: Int64 = 0
  ) async throws -> S3Store {
    let server = try await SeaweedServer.shared()
    let endpoint = virtualHost ? "http://\(SeaweedServer.domain):\(server.port)" : server.url
    let prefix = hexadecimal(secureRandomBytes(8)) + "/p"
    return try S3Repository(
      url: "s3://\(bucket)/\(prefix)?endpoint=\(endpoint)&path-style=\(!virtualHost)",
      settings: Given.settings([
        "AWS_ACCESS_KEY_ID": key.0, "AWS_SECRET_ACCESS_KEY": key.1,
      ]), client: .forTests(limits: HTTPLimits()),
      now: { SystemClock.now().advanced(byMilliseconds: clockOffset) }, observe: { _ in }
    ).store
  }

  /// It sorts `a/b` before `a-b`, so the check of a long listing is left out. The next test makes up for it.
  @Test(
    arguments: ObjectStoreConformance.all.filter { !$0.description.contains("more than a page") })
  func conformance(_ check: ObjectStoreConformance.Check) async throws {
    try await check.run(try await store())
  }

  @Test func listsMoreThanAPageInItsOwnOrder() async throws {
    let store = try await store()
    let names = (0..<1100).map { "log/\($0)" } + ["log-before", "log0after", "mid"]
    try await withThrowingTaskGroup(of: Void.self) { group in
      for part in 0..<8 {
        group.addTask {
          for index in stride(from: part, to: names.count, by: 8) {
            _ = try await store.create(names[index], [1])
          }
        }
      }
      try await group.waitForAll()
    }
    let listed = try await ObjectStoreConformance.listAll(store, prefix: "").map(\.name)
    #expect(listed.sorted() == names.sorted())
    #expect(try await store.delete(names).isEmpty)
    #expect(try await ObjectStoreConformance.listAll(store, prefix: "").isEmpty)
  }

  @Test func byVirtualHost() async throws {
    // A name below "localhost" resolves to loopback if the resolver follows RFC 6761.
    let store = try await store(virtualHost: true)
    do {
      #expect(try await store.create("a b/c+d", [1, 2]) == .created)
    } catch let error as LifeboatError where error.cause?.contains("can't resolve the host") == true
    {
      return
    }
    #expect(try await store.read("a b/c+d") == [1, 2])
  }

  @Test func refusals() async throws {
    let wrong = try await store(key: (SeaweedServer.accessKey, "wrong"))
    let mismatch = try await failure { _ = try await wrong.read("x") }
    #expect(mismatch.cause?.contains("SignatureDoesNotMatch") == true && !mismatch.isRetryable)
    let stranger = try await store(key: ("nobody", "x"))
    let unknown = try await failure { _ = try await stranger.read("x") }
    #expect(unknown.cause?.contains("InvalidAccessKeyId") == true)
    let reader = try await store(key: (SeaweedServer.readerKey, SeaweedServer.readerSecret))
    let denied = try await failure { _ = try await reader.create("x", [1]) }
    #expect(denied.cause?.contains("AccessDenied") == true)
    #expect(denied.hint?.contains("s3:PutObject") == true)
    #expect(try await reader.read("x") == nil)
    let missing = try await store(bucket: "no-such-bucket-here")
    let read = try await failure { _ = try await missing.read("x") }
    #expect(read.cause?.contains("NoSuchBucket") == true)
    let listing = try await failure { _ = try await missing.list(prefix: "", continuing: nil) }
    #expect(listing.cause?.contains("NoSuchBucket") == true)
  }

  @Test func learnsAFarClock() async throws {
    let store = try await store(clockOffset: -3_600_000)
    #expect(try await store.create("x", [1]) == .created)
    let offset = try #require(store.clockOffset)
    #expect(abs(offset - 3_600_000) < 60_000)
  }
}
