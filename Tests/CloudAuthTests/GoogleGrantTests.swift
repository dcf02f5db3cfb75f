import BackupTypes
import CloudAuth
import HTTPTransport
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Each kind of credential file, with a server that simulates Google's and checks the requests.
@Suite(.timeLimit(.minutes(2))) struct GoogleGrantTests {
  let directory: TemporaryDirectory

  init() throws { directory = try TemporaryDirectory() }

  private func token(_ source: GoogleFileSource) async throws -> GoogleAccessToken {
    try #require(try await source.load().credentials)
  }

  // MARK: Service account

  @Test func `a service account's JWT is taken`() async throws {
    let server = try GoogleServer()
    let source = try Given.credentialFile(server.serviceAccountFile(), in: directory)
    let before = SystemClock.now()
    let token = try await token(source)
    #expect(token.token.reveal() == "planted-token-1" && token.identity == GoogleServer.email)
    let life = try #require(token.expiration).since(before)
    #expect(life >= 3_599_000 && life < 3_599_000 + 120_000)
    #expect(server.server.requests.count == 1)
  }

  @Test func `keys that are wrong are refused with the remedy`() async throws {
    let server = try GoogleServer()
    let cases = [
      (server.serviceAccountFile(key: RSAKeyPair()), "Invalid JWT Signature", "create a new one"),
      (server.serviceAccountFile(keyID: "key-2"), "Invalid JWT Signature", "create a new one"),
      (server.serviceAccountFile(email: "gone@x"), "account not found", "was deleted"),
    ]
    for (file, words, remedy) in cases {
      let error = try await failure {
        _ = try await Given.credentialFile(file, in: directory).load()
      }
      #expect(error.code == .storeUnavailable && !error.isRetryable, "\(error)")
      #expect(error.cause?.contains(words) == true, "\(error)")
      #expect(error.hint?.contains(remedy) == true, "\(error)")
      #expect(!error.description.contains("PRIVATE KEY"))
    }
  }

  @Test(arguments: [-7_200_000, 7_200_000] as [Int64])
  func `a clock that is wrong is made up for`(_ offset: Int64) async throws {
    let server = try GoogleServer()
    let source = try Given.credentialFile(
      server.serviceAccountFile(), in: directory, clockOffset: offset)
    #expect(try await token(source).token.reveal() == "planted-token-1")
    #expect(server.server.requests.count == 2, "once refused, once with the server's time")
  }

  @Test func `files that hold no usable key are said`() async throws {
    let server = try GoogleServer()
    let good = server.serviceAccountFile()
    let encrypted = RSAKeyPair.shared.privatePEM(password: "planted-password")
      .split(separator: "\n").map { $0 + "\\n" }.joined()
    let cases: [(String, String)] = [
      ("", "not the JSON"), ("{\"client_email\":1}", "not the JSON"),
      ("{\"type\":\"gdch_service_account\"}", "gdch_service_account"),
      ("{\"type\":\"service_account\"}", "no client_email"),
      (
        "{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"planted\"}",
        "not an RSA key"
      ),
      (
        "{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"\(encrypted)\"}",
        "not an RSA key"
      ),
      (
        "{\"type\":\"service_account\",\"client_email\":\"a\",\"private_key\":\"planted\","
          + "\"token_uri\":\"http://example.com/token\"}", "not https"
      ),
      (
        good.split(separator: "googleapis.com\"}").joined() + "other.cloud\"}", "other.cloud"
      ),
    ]
    for (text, words) in cases {
      let error = try await failure {
        _ = try await Given.credentialFile(text, in: directory).load()
      }
      #expect(error.code == .storeUnavailable && error.cause?.contains(words) == true, "\(error)")
      #expect(error.message.contains("credentials.json"), "\(error)")
      #expect(!error.description.contains("planted"), "\(error)")
    }
    #expect(server.server.requests.isEmpty)
  }

  @Test func `a file that is named and missing ends the chain, and may still appear`() async throws
  {
    let chain = CredentialChain.applicationDefault(
      settings: Given.google(["GOOGLE_APPLICATION_CREDENTIALS": directory("none.json")]),
      client: try Given.client(), now: { SystemClock.now() })
    let error = try await failure { _ = try await chain.load() }
    #expect(error.isRetryable && error.message.contains("none.json"))
    #expect(chain.explain().map(\.outcome).suffix(2) == [.notReached, .notReached])
  }

  @Test func `a file that can't be read keeps the store from being used`() async throws {
    let error = LifeboatError(.failure, "can't open it", cause: "Permission denied", hint: "chown")
    let settings = GoogleSettings(
      environment: ["GOOGLE_APPLICATION_CREDENTIALS": "/key.json"], readFile: { _ in throw error })
    let source = GoogleFileSource(
      .environment, settings: settings, client: try Given.client(), now: { SystemClock.now() })
    let found = try await failure { _ = try await source.load() }
    #expect(found.code == .storeUnavailable && found.hint == "chown", "\(found)")
    #expect(found.message.contains("/key.json"))
    #expect(found.cause?.contains("Permission denied") == true)
  }

  // MARK: A user's login

  @Test func `a user's refresh token`() async throws {
    let server = try GoogleServer()
    let source = try Given.credentialFile(server.authorizedUserFile(), in: directory)
    let found = try await token(source)
    #expect(found.token.reveal() == "planted-token-1" && found.quotaProject == "quota")
    let error = try await failure {
      _ = try await Given.credentialFile(
        server.authorizedUserFile(refreshToken: "planted-old"), in: directory
      ).load()
    }
    #expect(error.cause?.contains("expired or revoked") == true && !error.isRetryable)
    #expect(error.hint?.contains("gcloud auth application-default login") == true)
    #expect(!error.description.contains("planted"))
  }

  @Test func `gcloud's own file`() async throws {
    let server = try GoogleServer()
    try TestFiles.write(
      server.authorizedUserFile(), to: directory("application_default_credentials.json"))
    let chain = CredentialChain.applicationDefault(
      settings: Given.google(["CLOUDSDK_CONFIG": directory.path]), client: try Given.client(),
      now: { SystemClock.now() })
    #expect(try await chain.load().credentials?.token.reveal() == "planted-token-1")
    #expect(chain.explain().map(\.source)[1] == "gcloud's file")
    #expect(chain.explain()[2].outcome == .notReached)
  }

  // MARK: Workload identity federation

  @Test(arguments: [false, true])
  func `the subject token is read at every call`(_ isJSON: Bool) async throws {
    let server = try GoogleServer { $0.subjectTokens = ["planted-first", "planted-second"] }
    let source = try Given.credentialFile(
      server.externalAccountFile(tokenFile: directory("subject"), isJSON: isJSON), in: directory)
    for (number, subject) in ["planted-first", "planted-second"].enumerated() {
      let text = isJSON ? "{\"id_token\":\"\(subject)\",\"expires\":1}" : subject + "\n"
      try TestFiles.write(text, to: directory("subject"))
      let found = try await token(source)
      #expect(found.token.reveal() == "planted-token-\(number + 1)")
      #expect(found.identity == GoogleServer.audience)
    }
  }

  @Test func `through a service account`() async throws {
    let server = try GoogleServer()
    try TestFiles.write("planted-subject", to: directory("subject"))
    let source = try Given.credentialFile(
      server.externalAccountFile(tokenFile: directory("subject"), impersonates: true),
      in: directory)
    let found = try await token(source)
    #expect(found.identity == GoogleServer.email && found.token.reveal() == "planted-token-1")
    #expect(found.expiration != nil)
    server.change { $0.email = "other@x" }
    let error = try await failure { _ = try await source.load() }
    #expect(error.cause?.contains("getAccessToken") == true, "\(error)")
    #expect(error.hint?.contains("roles/iam.workloadIdentityUser") == true)
  }

  @Test func `federation that fails says why`() async throws {
    let server = try GoogleServer()
    let file = server.externalAccountFile(tokenFile: directory("subject"))
    let source = try Given.credentialFile(file, in: directory)
    let missing = try await failure { _ = try await source.load() }
    #expect(missing.isRetryable && missing.message.contains("does not exist"))
    try TestFiles.write("planted-stale", to: directory("subject"))
    let stale = try await failure { _ = try await source.load() }
    #expect(stale.isRetryable && stale.hint?.contains("projected token") == true, "\(stale)")
    #expect(!stale.description.contains("planted"))
    let json = try Given.credentialFile(
      server.externalAccountFile(tokenFile: directory("subject"), isJSON: true), in: directory)
    #expect(try await failure { _ = try await json.load() }.cause?.contains("id_token") == true)
    let unsupported = try Given.credentialFile(
      "{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\","
        + "\"credential_source\":{\"url\":\"http://x\"}}", in: directory)
    #expect(
      try await failure { _ = try await unsupported.load() }.hint?.contains("not supported")
        == true)
  }

  // MARK: Faults

  @Test func `what may pass is tried again, and nothing is quoted`() async throws {
    let server = try GoogleServer()
    let source = try Given.credentialFile(server.serviceAccountFile(), in: directory)
    let replies: [(LoopbackAction, Bool)] = [
      (.reply(LoopbackReply(500)), true), (.reply(LoopbackReply(429)), true), (.reset, true),
      (.reply(LoopbackReply(200, text: "{\"access_token\":\"\"}")), true),
      (.reply(LoopbackReply(200, text: "planted")), true),
      (.reply(LoopbackReply(200, text: "{\"access_token\":\"planted\\r\\nX: y\"}")), true),
      (.reply(LoopbackReply(404, text: "<html>planted</html>")), false),
    ]
    for (reply, isRetryable) in replies {
      server.change { $0.fault = { _ in reply } }
      let error = try await failure { _ = try await source.load() }
      #expect(error.code == .storeUnavailable && error.isRetryable == isRetryable, "\(error)")
      #expect(!error.description.contains("planted"), "\(error)")
    }
  }
}
