import BackupTypes
import CloudAuth
import HTTPTransport
import TestSupport
import Testing

/// Sources that request credentials from a service, each with a small server that simulates the vendor's.
@Suite(.timeLimit(.minutes(15))) struct ServiceSourceTests {
  // MARK: Web identity

  private func irsa(
    _ server: LoopbackServer, _ directory: TemporaryDirectory, _ extra: [String: String] = [:]
  ) throws -> WebIdentitySource {
    var environment = [
      "AWS_WEB_IDENTITY_TOKEN_FILE": directory("token"),
      "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/backup", "AWS_REGION": "eu-west-1",
      "AWS_ENDPOINT_URL_STS": server.url,
    ]
    environment.merge(extra) { $1 }
    return WebIdentitySource(
      settings: Given.settings(environment), client: try Given.client(), now: Given.now)
  }

  @Test func webIdentityReadsTheTokenAtEveryCall() async throws {
    let directory = try TemporaryDirectory()
    let server = try LoopbackServer { request in
      .reply(
        Given.sts(
          "AssumeRoleWithWebIdentity", "KEY-" + (Given.form(request)["WebIdentityToken"] ?? "")))
    }
    let source = try irsa(server, directory, ["AWS_ROLE_SESSION_NAME": "s1"])
    for token in ["first", "second"] {
      try TestFiles.write(token + "\n", to: directory("token"))
      let found = try #require(try await source.load().credentials)
      #expect(found.accessKeyID == "KEY-" + token)
      #expect(found.secretAccessKey.reveal() == "secret-of-KEY-" + token)
      #expect(found.sessionToken?.reveal() == "session")
      #expect(found.expiration?.description == Given.later)
    }
    let request = try #require(server.requests.first)
    let form = Given.form(request)
    #expect(form["Action"] == "AssumeRoleWithWebIdentity" && form["Version"] == "2011-06-15")
    #expect(form["RoleArn"] == "arn:aws:iam::123456789012:role/backup")
    #expect(form["RoleSessionName"] == "s1")
    #expect(request["Authorization"] == nil, "the token is the identity")
  }

  @Test func webIdentityRefusalsNameTheRemedy() async throws {
    let directory = try TemporaryDirectory()
    try TestFiles.write("planted-token", to: directory("token"))
    let cases: [(Int, String, Bool, String?)] = [
      (403, "AccessDenied", false, "trust policy"),
      (400, "ExpiredTokenException", true, "projected token"),
      (400, "InvalidIdentityToken", false, "OIDC"), (400, "IDPCommunicationError", true, nil),
      (503, "ServiceUnavailable", true, nil),
    ]
    for (status, code, isRetryable, hint) in cases {
      let server = try LoopbackServer { _ in
        .reply(
          LoopbackReply(
            status,
            text: "<ErrorResponse><Error><Code>\(code)</Code><Message>no</Message></Error>"
              + "</ErrorResponse>"))
      }
      let error = try await failure { _ = try await irsa(server, directory).load() }
      #expect(error.code == .storeUnavailable && error.isRetryable == isRetryable, "\(error)")
      #expect(error.cause?.contains(code) == true)
      if let hint { #expect(error.hint?.contains(hint) == true, "\(error)") }
      #expect(!error.description.contains("planted-token"))
    }
  }

  @Test func webIdentityWithoutItsParts() async throws {
    let directory = try TemporaryDirectory()
    let server = try LoopbackServer { _ in .hangUp }
    let missing = try await failure { _ = try await irsa(server, directory).load() }
    #expect(missing.isRetryable && missing.message.contains("does not exist"))
    let noRole = try await failure {
      _ = try await irsa(server, directory, ["AWS_ROLE_ARN": ""]).load()
    }
    #expect(noRole.message.contains("AWS_ROLE_ARN"))
    let off = try await irsa(server, directory, ["AWS_WEB_IDENTITY_TOKEN_FILE": ""]).load()
    #expect(off.reason?.contains("AWS_WEB_IDENTITY_TOKEN_FILE") == true)
  }

  // MARK: Containers

  @Test func containerReadsTheTokenAtEveryCall() async throws {
    let directory = try TemporaryDirectory()
    let server = try LoopbackServer { request in
      .reply(LoopbackReply(200, text: Given.json("KEY-" + (request["Authorization"] ?? ""))))
    }
    let source = ContainerSource(
      settings: Given.settings([
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url + "/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": directory("token"),
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "not this",
      ]), client: try Given.client())
    for token in ["one", "two"] {
      try TestFiles.write(token + "\n", to: directory("token"))
      let found = try #require(try await source.load().credentials)
      #expect(found.accessKeyID == "KEY-" + token && found.sessionToken?.reveal() == "token")
    }
    #expect(server.requests.first?.target == "/v1/credentials")
  }

  @Test func plainHTTPOnlyForTheAgents() async throws {
    let client = try Given.client()
    for url in [
      "http://example.com/x", "http://10.0.0.1/x", "http://169.254.169.254/x",
      "http://127.0.0.1@example.com/", "http://127.0.0.1.example.com/", "ftp://127.0.0.1/",
      "http://127.0.0.1\\@example.com/", "http://localhost.example.com",
    ] {
      let source = ContainerSource(
        settings: Given.settings(["AWS_CONTAINER_CREDENTIALS_FULL_URI": url]), client: client)
      let error = try await failure { _ = try await source.load() }
      #expect(error.message.contains("may not be used"), "\(url): \(error)")
    }
  }

  @Test func containerRefusals() async throws {
    let server = try LoopbackServer { _ in
      .reply(LoopbackReply(404, text: "{\"message\":\"none\",\"Message\":\"no association\"}"))
    }
    let source = ContainerSource(
      settings: Given.settings(["AWS_CONTAINER_CREDENTIALS_FULL_URI": server.url]),
      client: try Given.client())
    let error = try await failure { _ = try await source.load() }
    #expect(error.cause == "status 404: no association" && !error.isRetryable)
    server.handle { _ in .reply(LoopbackReply(200, text: "{\"SecretAccessKey\":\"planted\"}")) }
    let broken = try await failure { _ = try await source.load() }
    #expect(!broken.description.contains("planted"))
  }

  // MARK: Instances

  private func instance(
    _ server: LoopbackServer, _ extra: [String: String] = [:]
  ) throws -> InstanceMetadataSource {
    let environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": server.url + "/"].merging(extra) { $1 }
    return InstanceMetadataSource(
      settings: Given.settings(environment), client: try Given.client())
  }

  @Test func instanceMetadataSpeaksVersionTwo() async throws {
    let server = try LoopbackServer { request in
      let path = "/latest/meta-data/iam/security-credentials/"
      switch (request.method, request.target) {
      case ("PUT", "/latest/api/token"):
        guard request["X-aws-ec2-metadata-token-ttl-seconds"] == "21600" else { return .hangUp }
        return .reply(LoopbackReply(200, text: "metadata-token"))
      case ("GET", path), ("GET", path + "my-role"):
        guard request["X-aws-ec2-metadata-token"] == "metadata-token" else {
          return .reply(LoopbackReply(401))
        }
        return .reply(
          LoopbackReply(200, text: request.target == path ? "my-role" : Given.json("IMDS")))
      default: return .reply(LoopbackReply(404))
      }
    }
    let found = try #require(try await instance(server).load().credentials)
    #expect(found.accessKeyID == "IMDS" && found.expiration?.description == Given.later)
    #expect(server.requests.count == 3)
  }

  @Test func withoutARoleOrAServiceItIsNotConfigured() async throws {
    let server = try LoopbackServer {
      .reply($0.method == "PUT" ? LoopbackReply(200, text: "t") : LoopbackReply(404))
    }
    #expect(try await instance(server).load().reason == "the instance has no role")
    let off = try await instance(server, ["AWS_EC2_METADATA_DISABLED": "True"]).load()
    #expect(off.reason?.contains("DISABLED") == true)
    server.stop()
    guard case .notConfigured(_, let mayAppear) = try await instance(server).load() else {
      Issue.record("a service that is away gave something")
      return
    }
    #expect(mayAppear, "it may only not be up yet")
  }

  @Test func aSilentMetadataServiceIsNotWaitedFor() async throws {
    let server = try LoopbackServer { _ in .stall }
    #expect(try await instance(server).load().reason?.contains("hop limit") == true)
  }
}
