import BackupTypes
import HTTPTransport
import TestSupport
import Testing

@testable import CloudAuth

@Suite(.timeLimit(.minutes(15))) struct ProfileSourceTests {
  private func source(
    config: String = "", credentials: String = "", _ environment: [String: String] = [:]
  ) throws -> ProfileSource {
    let settings = Given.settings(
      environment.merging(["HOME": "/home/x"]) { $1 },
      files: ["/home/x/.aws/config": config, "/home/x/.aws/credentials": credentials])
    return ProfileSource(settings: settings, client: try Given.client(), now: Given.now)
  }

  @Test func environmentKeys() async throws {
    func load(_ environment: [String: String]) async throws -> CredentialLookup<AWSCredentials> {
      try await EnvironmentSource(settings: Given.settings(environment)).load()
    }
    let both = ["AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "S"]
    #expect(
      try await load(both).credentials == AWSCredentials(accessKeyID: "A", secretAccessKey: "S"))
    let token = both.merging(["AWS_SESSION_TOKEN": "T"]) { $1 }
    #expect(try await load(token).credentials?.sessionToken?.reveal() == "T")
    #expect(try await load([:]).reason != nil)
    #expect(try await load(["AWS_ACCESS_KEY_ID": ""]).reason != nil)
    let half = try await failure { _ = try await load(["AWS_ACCESS_KEY_ID": "A"]) }
    #expect(half.cause?.contains("AWS_SECRET_ACCESS_KEY is missing") == true)
  }

  @Test func parsesBothFiles() throws {
    let shared = SharedConfiguration(
      configuration: """
        # comment
        [default]
        region = us-east-1
        [profile one] ; comment
        region=eu-west-1   # comment
        role_arn = arn:aws:iam::1:role/a#b
        s3 =
          max_concurrent_requests = 20
        services = local
        [services local]
        s3 =
          endpoint_url = http://localhost:1
        sts =
          endpoint_url = http://localhost:2
        [profile default]
        region = us-west-2
        [not a profile]
        region = no
        """,
      credentials: """
        [default]
        aws_access_key_id = A
        [one]
        region = from-credentials
        broken line
        """)
    #expect(shared.profile("default")?["region"] == "us-west-2")
    #expect(shared.profile("default")?["aws_access_key_id"] == "A")
    #expect(shared.profile("one")?["region"] == "from-credentials")
    #expect(shared.profile("one")?["role_arn"] == "arn:aws:iam::1:role/a#b")
    #expect(shared.profile("one")?.services["s3"]?["endpoint_url"] == "http://localhost:1")
    #expect(shared.profile("one")?["max_concurrent_requests"] == nil)
    #expect(shared.profile("a profile") == nil && shared.profile("two") == nil)
    for text in ["[", "]", "=", "[]\n=\n", " x = y", "[a\nb=c", "\u{0}"] {
      _ = SharedConfiguration(configuration: text, credentials: text)
    }
  }

  @Test func keysOfAProfile() async throws {
    let files =
      "[default]\naws_access_key_id=A\naws_secret_access_key=S\n[b]\naws_access_key_id=B\naws_secret_access_key=T\naws_session_token=K"
    #expect(try await source(credentials: files).load().credentials?.accessKeyID == "A")
    let b = try await source(credentials: files, ["AWS_PROFILE": "b"]).load().credentials
    #expect(b?.accessKeyID == "B" && b?.sessionToken?.reveal() == "K")
    #expect(try await source().load().reason?.contains("default") == true)
    let unknown = try await failure {
      _ = try await source(credentials: files, ["AWS_PROFILE": "c"]).load()
    }
    #expect(unknown.hint?.contains("AWS_PROFILE") == true)
    let half = try await failure {
      _ = try await source(credentials: "[default]\naws_access_key_id=A").load()
    }
    #expect(half.message.contains("only half"))
  }

  @Test func rolesThroughOtherProfiles() async throws {
    let server = try LoopbackServer { request in
      .reply(
        Given.sts(
          "AssumeRole",
          (Given.form(request)["RoleArn"] ?? "").split(separator: "/").last.map(String.init) ?? ""))
    }
    let config = """
      [profile outer]
      role_arn = arn:aws:iam::1:role/outer
      source_profile = inner
      external_id = x1
      duration_seconds = 900
      region = eu-west-3
      [profile inner]
      role_arn = arn:aws:iam::1:role/inner
      role_session_name = who
      source_profile = base
      [profile base]
      aws_access_key_id = BASE
      aws_secret_access_key = S
      """
    let found = try await source(
      config: config, ["AWS_PROFILE": "outer", "AWS_ENDPOINT_URL_STS": server.url]
    ).load().credentials
    #expect(found?.accessKeyID == "outer")
    let requests = server.requests
    #expect(requests.count == 2)
    #expect(
      requests[0]["Authorization"]?.contains("Credential=BASE/20261122/eu-west-3/sts/") == true)
    #expect(requests[1]["Authorization"]?.contains("Credential=inner/") == true)
    #expect(requests[1]["x-amz-security-token"] == "session")
    #expect(Given.form(requests[0])["RoleSessionName"] == "who")
    #expect(Given.form(requests[1])["ExternalId"] == "x1")
    #expect(Given.form(requests[1])["DurationSeconds"] == "900")
  }

  @Test func otherSourcesOfARole() async throws {
    let directory = try TemporaryDirectory()
    try TestFiles.write("jwt", to: directory("token"))
    let server = try LoopbackServer { request in
      .reply(Given.sts(Given.form(request)["Action"] ?? "", "GOT"))
    }
    let base = ["AWS_ENDPOINT_URL_STS": server.url]
    let identity = try source(
      config:
        "[default]\nrole_arn=arn:aws:iam::1:role/a\nweb_identity_token_file=\(directory("token"))",
      base)
    #expect(try await identity.load().credentials?.accessKeyID == "GOT")
    #expect(Given.form(server.requests[0])["WebIdentityToken"] == "jwt")
    let environment = base.merging(["AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "S"]) { $1 }
    let fromEnvironment = try source(
      config: "[default]\nrole_arn=arn:aws:iam::1:role/a\ncredential_source=Environment",
      environment)
    #expect(try await fromEnvironment.load().credentials?.accessKeyID == "GOT")
    #expect(server.requests[1]["Authorization"]?.contains("Credential=E/") == true)
    // A profile that names itself as its source uses its own keys.
    let own = try source(
      config:
        "[default]\nrole_arn=arn:aws:iam::1:role/a\nsource_profile=default\naws_access_key_id=O\naws_secret_access_key=S",
      base)
    #expect(try await own.load().credentials?.accessKeyID == "GOT")
    #expect(server.requests[2]["Authorization"]?.contains("Credential=O/") == true)
  }

  @Test(arguments: [
    (
      "role_arn=a\nsource_profile=two\n[profile two]\nrole_arn=b\nsource_profile=default",
      "its own source"
    ),
    ("role_arn=a\nsource_profile=gone", "no profile \"gone\""),
    ("role_arn=a", "no credentials to assume it with"),
    ("role_arn=a\ncredential_source=Nowhere", "unknown"),
    ("role_arn=a\nmfa_serial=x\nsource_profile=default", "one-time code"),
    ("sso_session=x", "browser"),
  ])
  func whatCanNotWorkIsSaid(_ text: String, _ message: String) async throws {
    let error = try await failure { _ = try await source(config: "[default]\n" + text).load() }
    #expect(error.message.contains(message), "\(error)")
  }

  @Test func stsEndpoints() throws {
    func endpoint(_ arn: String, _ environment: [String: String]) throws -> String {
      let service = SecurityTokenService(
        settings: Given.settings(environment), client: try Given.client(), now: Given.now)
      return try service.endpoint(for: .init(arn: arn, sessionName: "x")).url
    }
    let role = "arn:aws:iam::1:role/a"
    #expect(
      try endpoint(role, ["AWS_REGION": "eu-west-1"]) == "https://sts.eu-west-1.amazonaws.com")
    #expect(
      try endpoint(role, ["AWS_REGION": "cn-north-1"]) == "https://sts.cn-north-1.amazonaws.com.cn")
    #expect(try endpoint(role, [:]) == "https://sts.us-east-1.amazonaws.com")
    #expect(
      try endpoint("arn:aws-cn:iam::1:role/a", [:]) == "https://sts.cn-north-1.amazonaws.com.cn")
    #expect(
      try endpoint("arn:aws-us-gov:iam::1:role/a", [:]) == "https://sts.us-gov-west-1.amazonaws.com"
    )
    #expect(
      try endpoint(role, ["AWS_STS_REGIONAL_ENDPOINTS": "legacy"]) == "https://sts.amazonaws.com")
    #expect(try endpoint(role, ["AWS_ENDPOINT_URL": "http://a/"]) == "http://a")
    #expect(
      try endpoint(
        role, ["AWS_ENDPOINT_URL": "http://a", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"])
        == "https://sts.us-east-1.amazonaws.com")
    #expect(
      try endpoint(role, ["AWS_REGION": "us-east-2", "AWS_USE_FIPS_ENDPOINT": "true"])
        == "https://sts-fips.us-east-2.amazonaws.com")
    #expect(
      try endpoint(role, ["AWS_REGION": "evil.example/"]) == "https://sts.us-east-1.amazonaws.com")
  }

  // MARK: Processes

  private func process(_ script: String, _ environment: [String: String] = [:]) async throws
    -> AWSCredentials?
  {
    let directory = try TemporaryDirectory()
    try TestFiles.write(script, to: directory("helper"))
    let base = ["PATH": "/usr/bin:/bin"].merging(environment) { $1 }
    return try await source(
      config: "[default]\ncredential_process = /bin/sh \"\(directory("helper"))\" 'an arg'", base
    ).load().credentials
  }

  @Test func aProcessGivesCredentials() async throws {
    let found = try await process(
      """
      echo noise >&2
      echo "{\\"Version\\":1,\\"AccessKeyId\\":\\"P$1\\",\\"SecretAccessKey\\":\\"S\\",\\"SessionToken\\":\\"T\\"}"
      """)
    #expect(found?.accessKeyID == "Pan arg" && found?.sessionToken?.reveal() == "T")
  }

  @Test func aProcessDoesNotSeeOurSecrets() async throws {
    let found = try await process(
      """
      key="$AWS_ACCESS_KEY_ID$AWS_SECRET_ACCESS_KEY$AWS_SESSION_TOKEN$LIFEBOAT_KEY-$AWS_PROFILE"
      echo "{\\"Version\\":1,\\"AccessKeyId\\":\\"$key\\",\\"SecretAccessKey\\":\\"S\\"}"
      """,
      [
        "AWS_ACCESS_KEY_ID": "planted", "AWS_SECRET_ACCESS_KEY": "planted",
        "AWS_SESSION_TOKEN": "planted", "LIFEBOAT_KEY": "planted", "AWS_PROFILE": "default",
      ])
    #expect(found?.accessKeyID == "-default")
  }

  @Test(arguments: [
    ("echo '{\"Version\":1,\"SecretAccessKey\":\"planted\"}'; exit 3", "exited with 3"),
    ("echo planted", "not the expected JSON"), ("echo '{\"Version\":2}'", "Version"),
    ("kill -9 $$", "signal 9"), ("yes planted", "too much"),
  ])
  func aProcessThatFails(_ script: String, _ words: String) async throws {
    let error = try await failure { _ = try await process(script) }
    #expect(error.description.contains(words) && !error.description.contains("planted"), "\(error)")
  }

  @Test func aProcessThatIsNotThere() async throws {
    let error = try await failure {
      _ = try await source(config: "[default]\ncredential_process=/no/such/program").load()
    }
    #expect(error.message.contains("can't start"))
  }

  @Test func aProcessThatHangsIsKilled() throws {
    let helper = HelperProgram(words: ["/bin/sh", "-c", "sleep 3600"], environment: [:])
    #expect(throws: LifeboatError.self) {
      try helper.run(outputBytesMax: 10, timeLimit: .seconds(1))
    }
  }

  @Test func splitsWordsLikeAShell() {
    #expect(
      CredentialProcess.split(#"a 'b c' "d \" e" f\ g '' h"#) == [
        "a", "b c", "d \" e", "f g", "", "h",
      ])
  }
}
