import BackupTypes
import CloudAuth
import HTTPTransport
import Synchronization
import SystemIO
import TestSupport
import Testing

/// The metadata server, the chain that ends with it, and the single refresher of its tokens.
@Suite(.timeLimit(.minutes(2))) struct GoogleMetadataTests {
  @Test func `the account of the machine`() async throws {
    let server = try GoogleServer()
    let found = try #require(try await Given.metadata(server).load().credentials)
    #expect(found.token.reveal() == "planted-token-1" && found.identity == GoogleServer.email)
    #expect(server.server.requests.allSatisfy { $0["Metadata-Flavor"] == "Google" })
  }

  @Test func `what is not ready yet may still appear`() async throws {
    let server = try GoogleServer()
    let source = try Given.metadata(server)
    let flavor = [("Metadata-Flavor", "Google")]
    for action: LoopbackAction in [
      .hangUp, .reset, .reply(LoopbackReply(404, headers: flavor)), .reply(LoopbackReply(502)),
    ] {
      server.change { $0.fault = { _ in action } }
      guard case .notConfigured(_, let mayAppear) = try await source.load() else {
        Issue.record("\(action) gave something")
        continue
      }
      #expect(mayAppear, "\(action)")
    }
    for status in [403, 500, 503] {
      server.change {
        $0.fault = { _ in .reply(LoopbackReply(status, headers: flavor, text: "not yet")) }
      }
      let error = try await failure { _ = try await source.load() }
      #expect(error.isRetryable && error.cause?.contains("not yet") == true, "\(error)")
    }
  }

  @Test func `another cloud's service at the same address is not asked`() async throws {
    let server = try GoogleServer { $0.fault = { _ in .reply(LoopbackReply(404)) } }
    guard case .notConfigured(let reason, let mayAppear) = try await Given.metadata(server).load()
    else {
      Issue.record("it gave something")
      return
    }
    #expect(reason.contains("not Google's") && !mayAppear)
    let off = try await Given.metadata(server, ["NO_GCE_CHECK": "True"]).load()
    #expect(off.reason == "NO_GCE_CHECK is true")
  }

  @Test func `an account without a name still gives tokens`() async throws {
    let server = try GoogleServer {
      $0.fault = { $0.path.hasSuffix("/email") ? .hangUp : nil }
    }
    let found = try await Given.metadata(server).load().credentials
    #expect(found?.identity == "this machine's service account")
  }

  /// Tokens are rotated before they expire, with one refresh however many callers there are.
  @Test func `tokens are renewed before their end by one refresh`() async throws {
    let clock = Mutex(SystemClock.now())
    let server = try GoogleServer()
    let host = String(server.url.dropFirst("http://".count))
    let client = try Given.client()
    let chain = CredentialChain.applicationDefault(
      settings: Given.google(["GCE_METADATA_HOST": host]), client: client,
      now: { clock.withLock { $0 } })
    let provider = CredentialProvider(
      source: chain, pool: client.pool, now: { clock.withLock { $0 } })
    func ask() async throws -> Set<String> {
      try await withThrowingTaskGroup(of: String.self) { group in
        for _ in 0..<30 {
          group.addTask { try await provider.current()?.token.reveal() ?? "none" }
        }
        return try await group.reduce(into: []) { $0.insert($1) }
      }
    }
    #expect(try await ask() == ["planted-token-1"])
    clock.withLock { $0 = $0.advanced(byMilliseconds: 50 * 60_000) }
    #expect(try await ask() == ["planted-token-1"])
    clock.withLock { $0 = $0.advanced(byMilliseconds: 6 * 60_000) }
    _ = try await ask()
    try await eventually("the new token") { try await ask() == ["planted-token-2"] }
    #expect(server.count == 2)
    clock.withLock { $0 = $0.advanced(byMilliseconds: 61 * 60_000) }
    #expect(try await ask() == ["planted-token-3"], "an expired one is waited for")
    #expect(server.count == 3)
  }

  @Test func `secrets are never shown`() {
    let token = GoogleAccessToken(token: "planted", identity: "a@b", quotaProject: "p")
    var dumped = ""
    dump(token, to: &dumped)
    dump(CredentialLookup.found(token), to: &dumped)
    for text in [
      "\(token)", String(reflecting: token), dumped, "\([token])", "\(token.token)",
      "\(CredentialLookup.found(token))",
    ] {
      #expect(!text.contains("planted"), "\(text)")
    }
    #expect("\(token)".contains("a@b"))
  }

  @Test func `without any source the error names each`() async throws {
    let chain = CredentialChain.applicationDefault(
      settings: Given.google(["NO_GCE_CHECK": "true"]), client: try Given.client(),
      now: { SystemClock.now() })
    let error = try await failure { _ = try await chain.load() }
    #expect(error.message == "no Google credentials were found" && !error.isRetryable)
    for words in ["GOOGLE_APPLICATION_CREDENTIALS", "gcloud", "metadata server"] {
      #expect(error.cause?.contains(words) == true, "\(error)")
    }
  }
}
