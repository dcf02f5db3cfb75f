import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import S3Storage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Refused requests: which ones are retried or repaired, and which error the operator sees for the others.
@Suite(.timeLimit(.minutes(15))) struct S3RefusalTests {
  private func refusal(
    _ server: FaultS3Server, environment: [String: String] = Given.keys, options: String = ""
  ) async throws -> LifeboatError {
    let store = try Given.store(server, options: options, environment: environment)
    let error = try await failure { _ = try await store.read("x") }
    let listing = try await failure { _ = try await store.list(prefix: "", continuing: nil) }
    #expect(error.code == .storeUnavailable && listing.code == .storeUnavailable)
    #expect(!"\(error)\(listing)".contains("planted"))
    return error
  }

  @Test func aWrongSecret() async throws {
    let environment = Given.keys.merging(["AWS_SECRET_ACCESS_KEY": "planted-wrong"]) { $1 }
    let error = try await refusal(try FaultS3Server(), environment: environment)
    #expect(!error.isRetryable && error.cause?.contains("SignatureDoesNotMatch") == true)
    #expect(error.hint?.contains(FaultS3Server.accessKey) == true)
  }

  @Test func anUnknownKey() async throws {
    let environment = Given.keys.merging(["AWS_ACCESS_KEY_ID": "NOBODY"]) { $1 }
    let error = try await refusal(try FaultS3Server(), environment: environment)
    #expect(!error.isRetryable && error.cause?.contains("InvalidAccessKeyId") == true)
    #expect(error.hint?.contains("NOBODY is unknown") == true)
  }

  @Test func aMissingBucket() async throws {
    let error = try await refusal(try FaultS3Server { $0.buckets = [] })
    #expect(!error.isRetryable && error.hint?.contains("create the bucket") == true)
  }

  @Test func noCredentialsAtAll() async throws {
    let error = try await refusal(
      try FaultS3Server(), environment: ["AWS_EC2_METADATA_DISABLED": "true"])
    #expect(error.cause?.contains("no AWS credentials were found") == true)
    #expect(error.hint?.contains("AWS_ACCESS_KEY_ID") == true)
  }

  @Test(arguments: ["GET", "PUT", "list-type", "delete"])
  func anonymousRequestsAreNeverToBeLetIn(_ denied: String) async throws {
    let server = try FaultS3Server {
      $0.allowsAnonymous = true
      $0.denied = [denied]
    }
    let store = try Given.store(server, options: "&anonymous=true")
    let error = try await failure {
      switch denied {
      case "GET": _ = try await store.read("x")
      case "PUT": _ = try await store.create("x", [1])
      case "delete":
        if let failure = try await store.delete(["x"]).first { throw failure.value }
      default: _ = try await store.list(prefix: "", continuing: nil)
      }
    }
    #expect(error.hint?.contains("remove ?anonymous=true") == true, "\(error)")
    #expect(!"\(error)".contains("allow"), "\(error)")
  }

  @Test(arguments: [
    ("GET", "s3:GetObject"), ("PUT", "s3:PutObject"), ("list-type", "s3:ListBucket"),
    ("delete", "s3:DeleteObject"),
  ])
  func aDeniedAction(_ denied: String, _ right: String) async throws {
    let server = try FaultS3Server { $0.denied = [denied] }
    let store = try Given.store(server)
    let error = try await failure {
      switch denied {
      case "GET": _ = try await store.read("x")
      case "PUT": _ = try await store.create("x", [1])
      case "delete": _ = try await store.delete(["x"])
      default: _ = try await store.list(prefix: "", continuing: nil)
      }
    }
    #expect(!error.isRetryable && error.hint?.contains(right) == true, "\(error)")
    #expect(error.cause?.contains("request 4442587FB7D0A2F9") == true)
  }

  /// AWS replies to a batch with 200, but refuses each key in it.
  @Test func `a key that may not be deleted in a batch names who may not`() async throws {
    let server = try FaultS3Server {
      $0.undeletable = ["some/prefix/x"]
      $0.undeletableCode = "AccessDenied"
    }
    let failures = try await Given.store(server).delete(["x"])
    let hint = try #require(failures["x"]?.hint)
    #expect(hint.contains(FaultS3Server.accessKey) && hint.contains("s3:DeleteObject"), "\(hint)")
    #expect(!hint.contains("anonymous"), "\(hint)")
  }

  @Test func aTamperedPayloadIsNotStored() async throws {
    let server = try FaultS3Server()
    let client = try HTTPClient.forTests()
    let credentials = AWSCredentials(
      accessKeyID: FaultS3Server.accessKey, secretAccessKey: FaultS3Server.secretKey)
    var request = HTTPRequest(.put, server.url + "/bucket/x", body: [1, 2, 3], route: .direct)
    SignedRequest(
      path: "/bucket/x", query: [], payloadDigest: String(repeating: "0", count: 64),
      scope: SigV4.Scope(time: SystemClock.now(), region: "us-east-1", service: "s3")
    ).sign(&request, with: credentials)
    let reply = try await client.send(request)
    #expect(reply.status == 400 && server.names.isEmpty)
    request.headers["x-amz-storage-class"] = "STANDARD"
    #expect(try await client.send(request).status == 403, "an unsigned field")
  }

  // MARK: What is mended

  @Test func theRegionIsLearnedOnce() async throws {
    let server = try FaultS3Server { $0.region = "eu-central-1" }
    let store = try Given.store(server, options: "&region=us-west-2")
    #expect(try await store.create("x", [1]) == .created)
    #expect(store.region == "eu-central-1")
    #expect(try await store.read("x") == [1])
    #expect(server.server.requests.count == 3, "one to learn, two to work")
  }

  @Test func aRedirectIsNotFollowedButLearnedFrom() async throws {
    let server = try FaultS3Server()
    server.change {
      $0.fault = { request in
        guard request["Authorization"]?.contains("/us-west-2/") == true else { return nil }
        return .instead(
          .reply(
            LoopbackReply(
              301,
              headers: [
                ("x-amz-bucket-region", "us-east-1"), ("Location", "http://127.0.0.1:1/evil"),
              ])))
      }
    }
    let store = try Given.store(server, options: "&region=us-west-2")
    #expect(try await store.read("x") == nil)
    #expect(store.region == "us-east-1")
  }

  @Test func aWrongRegionThatNobodyNamesIsSaid() async throws {
    let server = try FaultS3Server {
      $0.fault = { _ in .instead(.reply(FaultS3Server.error(301, "PermanentRedirect"))) }
    }
    #expect(try await refusal(server).hint?.contains("?region=") == true)
  }

  @Test(arguments: [-7_200_000, 7_200_000] as [Int64])
  func theClockIsLearned(_ offset: Int64) async throws {
    let server = try FaultS3Server { $0.clockOffset = offset }
    let store = try Given.store(server)
    #expect(try await store.create("x", [1]) == .created)
    #expect(try await store.read("x") == [1])
    #expect(server.server.requests.count == 3)
    let learned = try #require(store.clockOffset)
    #expect(abs(learned - offset) < 10_000)
    let time = try #require(try await store.now())
    #expect(abs(time.since(SystemClock.now()) - offset) < 10_000)
  }

  @Test func aClockThatStaysWrongIsSaid() async throws {
    let server = try FaultS3Server {
      $0.fault = { _ in .instead(.reply(FaultS3Server.error(403, "RequestTimeTooSkewed"))) }
    }
    #expect(try await refusal(server).hint?.contains("clock") == true)
  }

  // MARK: Credentials

  /// Rotation as with IRSA and Pod Identity, while requests continue.
  @Test func expiredCredentialsAreRefreshedOnceForAll() async throws {
    let server = try FaultS3Server()
    let current = Mutex(1)
    let agent = try LoopbackServer { _ in
      let number = current.withLock { $0 }
      return .reply(
        LoopbackReply(
          200,
          text: """
            {"AccessKeyId":"KEY\(number)","SecretAccessKey":"planted-\(number)",
            "Token":"planted-token-\(number)","Expiration":"2099-01-01T00:00:00Z"}
            """))
    }
    server.change { setup in
      for number in 1...3 {
        setup.keys["KEY\(number)"] = ("planted-\(number)", "planted-token-\(number)")
      }
    }
    let store = try Given.store(
      server,
      environment: [
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": agent.url + "/creds",
        "AWS_EC2_METADATA_DISABLED": "true",
      ])
    for number in 1...3 {
      try await withThrowingTaskGroup(of: Void.self) { group in
        for part in 0..<8 {
          group.addTask {
            for index in 0..<10 {
              let outcome = try await store.create("r\(number)/\(part)/\(index)", [1])
              #expect(outcome == .created)
            }
          }
        }
        try await group.waitForAll()
      }
      current.withLock { $0 += 1 }
      server.change { $0.expiredKeys.insert("KEY\(number)") }
    }
    #expect(agent.requests.count == 3, "each set was asked for once")
    #expect(server.puts == 240)
  }

  @Test func credentialsThatStayExpiredAreSaid() async throws {
    let server = try FaultS3Server { $0.expiredKeys = [FaultS3Server.accessKey] }
    let error = try await refusal(server)
    #expect(error.isRetryable, "their source may still give others")
    #expect(error.hint?.contains("have expired") == true)
  }

  @Test func aSessionTokenThatIsMissingIsSaid() async throws {
    let server = try FaultS3Server {
      $0.keys[FaultS3Server.accessKey] = (FaultS3Server.secretKey, "planted-token")
    }
    #expect(try await refusal(server).hint?.contains("AWS_SESSION_TOKEN") == true)
  }

  @Test func theChainIsExplained() async throws {
    let server = try FaultS3Server()
    let repository = try Given.repository(server)
    _ = try await repository.store.read("x")
    let lines = repository.explainCredentials().map(\.description)
    #expect(
      lines.first?.contains("environment: used, the access key \(FaultS3Server.accessKey)") == true)
    #expect(!lines.joined().contains(FaultS3Server.secretKey))
  }

  // MARK: What is asked for

  @Test func headersOfOptions() async throws {
    let server = try FaultS3Server()
    let store = try Given.store(
      server, options: "&sse=aws:kms&kms-key=alias/k&storage-class=STANDARD_IA")
    #expect(try await store.create("x", [1, 2]) == .created)
    let headers = try #require(server.headers("bucket/some/prefix/x"))
    #expect(headers["x-amz-server-side-encryption"] == "aws:kms")
    #expect(headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/k")
    #expect(headers["x-amz-storage-class"] == "STANDARD_IA")
    #expect(headers["if-none-match"] == "*" && headers["content-length"] == "2")
    #expect(headers["transfer-encoding"] == nil && headers["expect"] == nil)
    #expect(!headers.keys.contains { $0.hasPrefix("x-amz-checksum") || $0 == "x-amz-trailer" })
    #expect(headers["x-amz-content-sha256"]?.utf8.count == 64)
  }

  @Test func everyRequestIsObserved() async throws {
    let server = try FaultS3Server()
    let seen = Mutex<[S3Observation]>([])
    let store = try Given.repository(server) { observed in seen.withLock { $0.append(observed) } }
      .store
    _ = try await store.create("x", [1, 2])
    _ = try await store.read("x")
    server.server.stop()
    _ = try? await store.read("x")
    #expect(seen.withLock { $0.map(\.method) } == ["PUT", "GET", "GET"])
    #expect(seen.withLock { $0.map(\.status) } == [200, 200, nil])
    #expect(seen.withLock { $0.map(\.sent) } == [2, 0, 0])
  }

  /// Hashing, parsing and the network do not use the cooperative pool.
  @Test func everythingRunsOnTheClientsThreads() async throws {
    let server = try FaultS3Server()
    let threads = Mutex<Set<String>>([])
    let store = try Given.repository(server) { _ in
      let name = (try? TestFiles.text("/proc/thread-self/comm")) ?? ""
      _ = threads.withLock { $0.insert(String(name.prefix(5))) }
    }.store
    _ = try await store.create("x", [1, 2])
    _ = try await store.list(prefix: "", continuing: nil)
    #expect(threads.withLock { $0 } == ["http-"])
  }

  @Test func theEndpointOfTheEnvironment() async throws {
    let server = try FaultS3Server()
    func read(_ environment: [String: String], _ files: String = "") async throws -> [UInt8]? {
      let directory = try TemporaryDirectory()
      try TestFiles.write(files, to: directory("config"))
      let all = environment.merging(Given.keys) { $1 }
        .merging(["AWS_CONFIG_FILE": directory("config")]) { $1 }
      return try await S3Repository(
        url: "s3://bucket/p", settings: Given.settings(all), client: .forTests(),
        now: { SystemClock.now() }, observe: { _ in }
      ).store.read("x")
    }
    #expect(
      try await read(["AWS_ENDPOINT_URL_S3": server.url, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"])
        == nil)
    #expect(try await read(["AWS_ENDPOINT_URL": server.url]) == nil)
    #expect(try await read([:], "[default]\nendpoint_url = \(server.url)") == nil)
    #expect(
      try await read(
        [:], "[default]\nservices = s\n[services s]\ns3 =\n  endpoint_url = \(server.url)") == nil)
    let bad = try await failure { _ = try await read(["AWS_ENDPOINT_URL_S3": "host:1"]) }
    #expect(bad.code == .usage)
  }

  @Test func unreachable() async throws {
    let port = try freePorts(1)[0]
    let store = try S3Repository(
      url: "s3://b/p?endpoint=http://127.0.0.1:\(port)", settings: Given.settings(Given.keys),
      client: .forTests(), now: { SystemClock.now() }, observe: { _ in }
    ).store
    let error = try await failure { _ = try await store.read("x") }
    #expect(error.code == .storeUnavailable && error.isRetryable)
    #expect(error.message == "can't read s3://b/p/x")
    #expect(error.cause?.contains("can't connect to http://127.0.0.1:\(port)") == true)
    #expect(error.hint != nil)
  }
}
