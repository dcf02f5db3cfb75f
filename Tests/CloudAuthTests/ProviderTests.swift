import BackupTypes
import HTTPTransport
import Synchronization
import SystemIO
import TestSupport
import Testing

@testable import CloudAuth

/// Counts its loads. A closure decides the result.
private final class CountingSource: CredentialSource {
  let name = "counting"
  private let state:
    Mutex<(loads: Int, load: @Sendable (Int) async throws -> CredentialLookup<AWSCredentials>)>

  init(_ load: @escaping @Sendable (Int) async throws -> CredentialLookup<AWSCredentials>) {
    state = Mutex((0, load))
  }
  var loads: Int { state.withLock { $0.loads } }
  func load() async throws -> CredentialLookup<AWSCredentials> {
    let (number, load) = state.withLock { state in
      state.loads += 1
      return (state.loads, state.load)
    }
    return try await load(number)
  }
}

@Suite(.timeLimit(.minutes(15))) struct ProviderTests {
  private func key(_ number: Int, expires: Instant? = nil) -> AWSCredentials {
    AWSCredentials(accessKeyID: "K\(number)", secretAccessKey: "S", expiration: expires)
  }

  private func provider(
    _ source: CountingSource, _ clock: ManualClock = ManualClock()
  ) throws -> CredentialProvider<AWSCredentials> {
    CredentialProvider(
      source: source, pool: try BlockingPool(name: "test", threads: 2), now: { clock.now })
  }

  @Test func oneRefreshForAllCallers() async throws {
    let gate = Gate()
    let source = CountingSource { [key = key] number in
      await gate.pass()
      return .found(key(number, nil))
    }
    let provider = try provider(source)
    try await withThrowingTaskGroup(of: AWSCredentials?.self) { group in
      for _ in 0..<50 { group.addTask { try await provider.current() } }
      try await eventually("the load") { source.loads == 1 }
      gate.open()
      for try await found in group { #expect(found?.accessKeyID == "K1") }
    }
    #expect(source.loads == 1)
    _ = try await provider.current()
    #expect(source.loads == 1)
  }

  @Test func refreshesBesideTheRequestsBeforeTheEnd() async throws {
    let clock = ManualClock()
    let source = CountingSource { [key = key] number in
      .found(key(number, clock.now.advanced(byMilliseconds: 3_600_000)))
    }
    let provider = try provider(source, clock)
    #expect(try await provider.current()?.accessKeyID == "K1")
    clock.advance(54 * 60_000)
    #expect(try await provider.current()?.accessKeyID == "K1")
    #expect(source.loads == 1)
    clock.advance(2 * 60_000)
    #expect(try await provider.current()?.accessKeyID == "K1", "the old ones still serve")
    try await eventually("new credentials") { try await provider.current()?.accessKeyID == "K2" }
    #expect(source.loads == 2)
    clock.advance(3_600_000)
    #expect(try await provider.current()?.accessKeyID == "K3", "expired ones are waited for")
  }

  @Test func aFailedRefreshKeepsWhatStillServes() async throws {
    let clock = ManualClock()
    let source = CountingSource { [key = key] number in
      if number > 1 { throw LifeboatError(.storeUnavailable, "away", isRetryable: true) }
      return .found(key(number, clock.now.advanced(byMilliseconds: 3_600_000)))
    }
    let provider = try provider(source, clock)
    _ = try await provider.current()
    clock.advance(56 * 60_000)
    for _ in 0..<20 { #expect(try await provider.current()?.accessKeyID == "K1") }
    try await eventually("the failed refresh") { source.loads == 2 }
    clock.advance(10 * 60_000)
    await #expect(throws: LifeboatError.self) { try await provider.current() }
  }

  @Test func rejectedOnesAreReplacedOnce() async throws {
    let source = CountingSource { [key = key] number in .found(key(number, nil)) }
    let provider = try provider(source)
    let first = try await provider.current()
    try await withThrowingTaskGroup(of: AWSCredentials?.self) { group in
      for _ in 0..<20 { group.addTask { try await provider.replacing(first) } }
      for try await found in group { #expect(found?.accessKeyID == "K2") }
    }
    #expect(source.loads == 2)
  }

  @Test func aCancelledCallerDoesNotWait() async throws {
    let gate = Gate()
    let source = CountingSource { [key = key] number in
      await gate.pass()
      return .found(key(number, nil))
    }
    let provider = try provider(source)
    let task = Task { try await provider.current() }
    try await eventually("the load") { source.loads == 1 }
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    gate.open()
    #expect(try await provider.current()?.accessKeyID == "K1")
  }

  @Test func theCacheKnowsShortAndExpiredLives() {
    let now = Instant(seconds: 1_000_000)
    func later(_ seconds: Int64) -> Instant { now.advanced(byMilliseconds: seconds * 1000) }
    var cache = CredentialCache<AWSCredentials>()
    #expect(cache.step(at: now) == .refreshAndWait)
    #expect(cache.step(at: now) == .wait)
    let short = key(1, expires: later(40))
    cache.loaded(short, at: now)
    #expect(cache.step(at: later(19)) == .use(short))
    #expect(cache.step(at: later(20)) == .useAndRefresh(short))
    #expect(cache.step(at: later(21)) == .use(short))
    #expect(cache.step(at: later(30)) == .wait)
    let expired = key(2, expires: later(-5))
    cache.loaded(expired, at: now)
    #expect(
      cache.step(at: later(1)) == .use(expired), "whether they serve is for the service to say")
    #expect(cache.step(at: later(30)) == .refreshAndWait)
    cache.loaded(nil, at: now)
    #expect(cache.step(at: later(1_000_000)) == .use(nil))
  }

  // MARK: The chain

  @Test func theChainGoesInOrderAndExplainsItself() async throws {
    let everything = [
      "AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "planted-secret",
      "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/home/x",
    ]
    let files = [
      "/home/x/.aws/credentials":
        "[default]\naws_access_key_id=F\naws_secret_access_key=planted-secret"
    ]
    func chain(_ environment: [String: String], _ files: [String: String]) throws
      -> CredentialChain<AWSCredentials>
    {
      .standard(
        settings: Given.settings(environment, files: files), client: try Given.client(),
        now: Given.now)
    }
    let first = try chain(everything, files)
    #expect(try await first.load().credentials?.accessKeyID == "E")
    #expect(
      first.explain().map(\.source) == [
        "environment", "web identity", "profile", "container", "instance metadata",
      ])
    #expect(first.explain()[1].outcome == .notReached)
    #expect(!"\(first.explain())".contains("planted-secret"))

    let second = try chain(["AWS_EC2_METADATA_DISABLED": "true", "HOME": "/home/x"], files)
    #expect(try await second.load().credentials?.accessKeyID == "F")
    #expect("\(second.explain()[0])" == "environment: AWS_ACCESS_KEY_ID is not set")

    let none = try chain(["AWS_EC2_METADATA_DISABLED": "true"], [:])
    let error = try await failure { _ = try await none.load() }
    #expect(error.code == .storeUnavailable && !error.isRetryable)
    #expect(error.cause?.contains("AWS_EC2_METADATA_DISABLED is true") == true)
    #expect(error.hint?.contains("anonymous=true") == true)

    // A configured source that fails ends the chain.
    let broken = try chain(everything.merging(["AWS_SECRET_ACCESS_KEY": ""]) { $1 }, files)
    _ = try await failure { _ = try await broken.load() }
    guard case .failed = broken.explain()[0].outcome else {
      Issue.record("\(broken.explain())")
      return
    }
  }

  @Test func withoutAMetadataServiceYetItIsTriedAgain() async throws {
    let port = try freePorts(1)[0]
    let chain = CredentialChain.standard(
      settings: Given.settings(["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://127.0.0.1:\(port)"]),
      client: try Given.client(), now: Given.now)
    #expect(try await failure { _ = try await chain.load() }.isRetryable)
  }

  @Test func secretsAreNeverShown() {
    let credentials = AWSCredentials(
      accessKeyID: "AKIA", secretAccessKey: "planted-secret", sessionToken: "planted-token")
    var dumped = ""
    dump(credentials, to: &dumped)
    dump(CredentialLookup.found(credentials), to: &dumped)
    for text in [
      "\(credentials)", String(reflecting: credentials), dumped, "\([credentials])",
      "\(Optional(credentials) as Any)", "\(credentials.secretAccessKey)",
      String(reflecting: credentials.secretAccessKey), "\(CredentialLookup.found(credentials))",
    ] {
      #expect(!text.contains("planted"), "\(text)")
    }
  }

  @Test func regions() throws {
    func region(_ environment: [String: String]) throws -> AWSRegion? {
      try AWSRegion.configured(
        Given.settings(
          environment.merging(["HOME": "/h"]) { $1 },
          files: ["/h/.aws/config": "[default]\nregion=us-west-2"]))
    }
    #expect(try region(["AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"])?.name == "a")
    #expect(try region(["AWS_DEFAULT_REGION": "b"])?.name == "b")
    #expect(try region([:]) == AWSRegion(name: "us-west-2", origin: "the profile default"))
    #expect(AWSPartition(region: "us-isob-east-1").dnsSuffix == "sc2s.sgov.gov")
    #expect(!AWSRegion.isName("a.b") && !AWSRegion.isName("") && AWSRegion.isName("eu-west-1"))
  }
}

private final class ManualClock: Sendable {
  private let time = Mutex(Instant(seconds: 1_795_356_127))
  var now: Instant { time.withLock { $0 } }
  func advance(_ milliseconds: Int64) {
    time.withLock { $0 = $0.advanced(byMilliseconds: milliseconds) }
  }
}

/// Callers wait here until it is opened.
private final class Gate: Sendable {
  private let isOpen = Mutex(false)
  func open() { isOpen.withLock { $0 = true } }
  func pass() async {
    while !isOpen.withLock({ $0 }) { try? await Task.sleep(for: .milliseconds(2)) }
  }
}
