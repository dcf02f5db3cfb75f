import BackupTypes
import GCSStorage
import ObjectStorage
import SystemIO
import TestSupport
import Testing

/// The suite that every store passes.
@Suite(.timeLimit(.minutes(5))) struct GCSConformanceTests {
  @Test(arguments: ObjectStoreConformance.all)
  func `a store that checks tokens and checksums`(
    _ check: ObjectStoreConformance.Check
  ) async throws {
    try await check.run(try Cloud().store())
  }

  @Test func `at the top of a bucket`() async throws {
    for check in [ObjectStoreConformance.listsByStringPrefix, ObjectStoreConformance.takesOurNames]
    {
      try await check(try Cloud().store(path: "bucket"))
    }
  }

  @Test func `without credentials`() async throws {
    let cloud = try Cloud { $0.allowsAnonymous = true }
    try await ObjectStoreConformance.createsOnce(try cloud.store(options: "&anonymous=true"))
    #expect(cloud.gcs.server.requests.allSatisfy { $0["Authorization"] == nil })
    #expect(cloud.google.server.requests.isEmpty)
  }

  @Test func `names of any characters`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store(path: "bucket/p%20+q/%C3%A9")
    let names = [
      "a b", "a+b", "a%20b", "a%b", "q?x=1&y=2", "#", "'\"<>&", "~!*()", "tab\tx", "back\\slash",
      "bell\u{7}", "ሴ", "d/e/f",
    ]
    for name in names { #expect(try await store.create(name, Array(name.utf8)) == .created) }
    #expect(
      try await ObjectStoreConformance.listAll(store, prefix: "").map(\.name).sorted()
        == names.sorted())
    for name in names { #expect(try await store.read(name) == Array(name.utf8)) }
    #expect(try await store.delete(names).isEmpty)
    #expect(cloud.gcs.names.isEmpty)
  }

  @Test func `pages that are shorter than asked for`() async throws {
    let cloud = try Cloud { $0.pageMax = 3 }
    let store = try cloud.store()
    for number in 0..<10 { _ = try await store.create("n/\(number)", [1]) }
    #expect(try await ObjectStoreConformance.listAll(store, prefix: "n/").count == 10)
    #expect(try await store.read("n") == nil)
  }
}

/// fake-gcs-server, as `scripts/stores` installs it. It does not check tokens or checksums. Eight racing
/// writers all win there, so that check is left out.
@Suite(.timeLimit(.minutes(5)), .enabled(if: FakeGCSProgram.executable != nil))
struct FakeGCSProgramTests {
  /// A store under a new prefix.
  private func store(bucket: String = FakeGCSProgram.bucket) async throws -> GCSStore {
    let server = try await FakeGCSProgram.shared()
    let prefix = hexadecimal(secureRandomBytes(8)) + "/p"
    return try Given.repository(
      url: "gs://\(bucket)/\(prefix)", environment: ["STORAGE_EMULATOR_HOST": server.url]
    ).store
  }

  @Test(arguments: ObjectStoreConformance.all.filter { !$0.description.contains("racing") })
  func `the conformance suite`(_ check: ObjectStoreConformance.Check) async throws {
    try await check.run(try await store())
  }

  @Test func `a bucket that is missing`() async throws {
    let store = try await store(bucket: "no-such-bucket-here")
    for work in [
      { _ = try await store.read("x") }, { _ = try await store.create("x", [1]) },
      { _ = try await store.list(prefix: "", continuing: nil) },
      { _ = try await store.delete(["x"]) }, { _ = try await store.now() },
    ] as [() async throws -> Void] {
      let error = try await failure(work)
      #expect(error.code == .storeUnavailable && !error.isRetryable, "\(error)")
      #expect(error.hint?.contains("create the bucket") == true, "\(error)")
    }
  }

  @Test func `its clock`() async throws {
    let time = try #require(try await store().now())
    #expect(abs(time.since(SystemClock.now())) < 60_000)
  }
}
