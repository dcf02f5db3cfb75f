import BackupTypes
import CloudAuth
import SystemIO
import TestSupport
import Testing

/// Each source of Azure's credentials against a server that checks what is asked.
@Suite(.timeLimit(.minutes(5))) struct AzureSourceTests {
  private func chain(
    _ environment: [String: String], account: String? = nil, arc: String? = nil,
    clockOffset: Int64 = 0
  ) throws -> CredentialChain<AzureCredentials> {
    .azure(
      settings: AzureSettings(environment: environment) { path in
        if let arc, path.hasPrefix("/var/opt/azcmagent/tokens/") { return Array(arc.utf8) }
        return path.hasPrefix("/tmp/") ? try AzureSettings.read(path) : nil
      }, account: account, client: try Given.client(),
      now: { SystemClock.now().advanced(byMilliseconds: clockOffset) })
  }

  private func found(
    _ chain: CredentialChain<AzureCredentials>
  ) async throws -> AzureCredentials? {
    guard case .found(let credentials) = try await chain.load() else { return nil }
    return credentials
  }

  private func token(_ credentials: AzureCredentials?) -> String? {
    guard case .token(let token)? = credentials?.proof else { return nil }
    return token.reveal()
  }

  private func failure(_ chain: CredentialChain<AzureCredentials>) async throws -> LifeboatError {
    let error = try await #require(throws: LifeboatError.self) { _ = try await chain.load() }
    #expect(error.code == .storeUnavailable && !"\(error)".contains("planted"), "\(error)")
    return error
  }

  // MARK: Storage's own

  @Test func `connection string, key, signature: in this order`() async throws {
    let key = "cGxhbnRlZA=="
    var environment = [
      "AZURE_STORAGE_SAS_TOKEN": "?sv=1&sp=rcl&se=2030-01-01T00%3A00%3A00Z&sig=planted\n"
    ]
    let signature = try await found(try chain(environment))
    #expect(
      signature?.proof
        == .signature(Redacted("sv=1&sp=rcl&se=2030-01-01T00%3A00%3A00Z&sig=planted")))
    #expect(signature?.description.contains("sp=rcl, valid until 2030-01-01T00:00:00Z") == true)
    environment["AZURE_STORAGE_KEY"] = key + "\n"
    environment["AZURE_STORAGE_ACCOUNT"] = "fromenv"
    #expect(
      try await found(try chain(environment))?.proof
        == .sharedKey(account: "fromenv", key: Redacted(key)))
    #expect(
      try await found(try chain(environment, account: "fromurl"))?.proof
        == .sharedKey(account: "fromurl", key: Redacted(key)))
    environment["AZURE_STORAGE_CONNECTION_STRING"] = "AccountName=other;AccountKey=\(key)"
    #expect(
      try await found(try chain(environment))?.proof
        == .sharedKey(account: "other", key: Redacted(key)))
    environment["AZURE_STORAGE_CONNECTION_STRING"] =
      "BlobEndpoint=https://x/;SharedAccessSignature=sv=1&sig=a"
    #expect(
      try await found(try chain(environment))?.proof == .signature(Redacted("sv=1&sig=a")))
  }

  @Test(arguments: [
    (["AZURE_STORAGE_KEY": "cGxhbnRlZA=="], "no storage account"),
    (["AZURE_STORAGE_KEY": "planted!", "AZURE_STORAGE_ACCOUNT": "abc"], "not base64"),
    (["AZURE_STORAGE_SAS_TOKEN": "planted"], "no sig="),
    (["AZURE_STORAGE_SAS_TOKEN": "sp=r&sig=planted b"], "characters"),
    (["AZURE_STORAGE_CONNECTION_STRING": "planted"], "not NAME=VALUE"),
    (["AZURE_STORAGE_CONNECTION_STRING": "AccountKey=cGxhbnRlZA=="], "no AccountName"),
    (["AZURE_STORAGE_CONNECTION_STRING": "AccountName=abc"], "neither AccountKey"),
    (
      ["AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"],
      "UseDevelopmentStorage is not supported"
    ),
    (["AZURE_CLIENT_SECRET": "planted"], "AZURE_TENANT_ID and AZURE_CLIENT_ID"),
    (
      ["AZURE_CLIENT_SECRET": "planted", "AZURE_TENANT_ID": "t"], "but not AZURE_CLIENT_ID"
    ),
    (["AZURE_CLIENT_CERTIFICATE_PATH": "/tmp/x", "AZURE_CLIENT_ID": "c"], "AZURE_TENANT_ID"),
    (["AZURE_FEDERATED_TOKEN_FILE": "/tmp/x", "AZURE_TENANT_ID": "t"], "AZURE_CLIENT_ID"),
    (["AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"], "none of AZURE_CLIENT_SECRET"),
    (["IDENTITY_ENDPOINT": "http://127.0.0.1:1/"], "neither IDENTITY_HEADER"),
    (["IDENTITY_HEADER": "planted"], "but not IDENTITY_ENDPOINT"),
    (
      ["AZURE_CLIENT_SECRET": "planted", "AZURE_TENANT_ID": "a/b", "AZURE_CLIENT_ID": "c"],
      "other than letters"
    ),
    (
      [
        "AZURE_CLIENT_SECRET": "planted", "AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c",
        "AZURE_AUTHORITY_HOST": "http://login.example/",
      ], "is not https"
    ),
  ])
  func `what is set in part or wrongly is an error, and no fall-through`(
    _ environment: [String: String], _ words: String
  ) async throws {
    let error = try await failure(try chain(environment))
    #expect("\(error)".contains(words), "\(error)")
    #expect(error.hint != nil && !error.isRetryable, "\(error)")
  }

  // MARK: Service principals

  @Test func `a secret`() async throws {
    let entra = try EntraServer()
    let environment = entra.principal.merging(["AZURE_CLIENT_SECRET": EntraServer.secret]) { $1 }
    let credentials = try await found(try chain(environment))
    #expect(token(credentials) == "planted-token-1")
    #expect(credentials?.description.contains("the client \(EntraServer.clientID), until") == true)
    let end = try #require(credentials?.expiration)
    #expect(abs(end.since(SystemClock.now()) - 3_599_000) < 60_000)
    entra.change { $0.secret = "another" }
    let error = try await failure(try chain(environment))
    #expect(error.cause?.contains("AADSTS7000215") == true && error.isDenied, "\(error)")
    #expect(error.cause?.contains("Trace ID") == false)
    #expect(error.hint?.contains("not its id") == true, "\(error)")
  }

  @Test(arguments: [0, 7_200_000] as [Int64])
  func `a certificate, also with a clock that is off`(_ offset: Int64) async throws {
    let folder = try TemporaryDirectory("azure")
    let made = RSAKeyPair.shared.certificate()
    let entra = try EntraServer { $0.certificates = [made.der] }
    let path = folder("client.pem")
    try TestFiles.write(RSAKeyPair.shared.privatePEM + made.pem, to: path)
    let environment = entra.principal.merging(["AZURE_CLIENT_CERTIFICATE_PATH": path]) { $1 }
    #expect(
      token(try await found(try chain(environment, clockOffset: offset))) == "planted-token-1")
    // Another one is registered.
    entra.change { $0.certificates = [] }
    let error = try await failure(try chain(environment))
    #expect(error.cause?.contains("AADSTS700027") == true, "\(error)")
    #expect(error.hint?.contains("not registered") == true, "\(error)")
    for (text, words) in [
      ("", "no RSA key"), (made.pem, "no RSA key"),
      (
        RSAKeyPair.shared.privatePEM,
        "no certificate"
      ),
      (RSAKeyPair.shared.privatePEM(password: "x") + made.pem, "no RSA key"),
    ] {
      try TestFiles.write(text, to: path)
      let error = try await failure(try chain(environment))
      #expect(error.cause?.contains(words) == true && error.hint?.contains("openssl") == true)
    }
    TestFiles.remove(path)
    #expect(try await failure(try chain(environment)).isRetryable)
  }

  @Test func `refusals of the token endpoint`() async throws {
    let entra = try EntraServer()
    var environment = entra.principal.merging(["AZURE_CLIENT_SECRET": EntraServer.secret]) { $1 }
    environment["AZURE_TENANT_ID"] = "other"
    #expect(try await failure(try chain(environment)).hint?.contains("AZURE_TENANT_ID") == true)
    environment["AZURE_TENANT_ID"] = EntraServer.tenant
    environment["AZURE_CLIENT_ID"] = "other"
    #expect(
      try await failure(try chain(environment)).hint?.contains(
        "does not exist in the"
          + " tenant") == true)
    environment["AZURE_CLIENT_ID"] = EntraServer.clientID
    for status in [500, 503, 429, 408] {
      entra.change { $0.fault = { _ in .reply(LoopbackReply(status)) } }
      let error = try await failure(try chain(environment))
      #expect(error.isRetryable && error.hint?.contains("wait") == true, "\(error)")
    }
    entra.change { $0.fault = { _ in .reply(LoopbackReply(404, text: "<html>")) } }
    #expect(try await failure(try chain(environment)).hint?.contains("AUTHORITY_HOST") == true)
    for text in [
      "", "{}", "{\"access_token\":\"\"}", "{\"access_token\":\"a\\nb\",\"expires_in\":1}",
    ] {
      entra.change { $0.fault = { _ in .reply(LoopbackReply(200, text: text)) } }
      #expect(try await failure(try chain(environment)).isRetryable, "\(text)")
    }
  }

  @Test func `workload identity reads its file again for every token`() async throws {
    let folder = try TemporaryDirectory("azure")
    let entra = try EntraServer { $0.federated = ["planted-one"] }
    let environment = entra.principal.merging(["AZURE_FEDERATED_TOKEN_FILE": folder("token")]) {
      $1
    }
    let source = try chain(environment)
    #expect(try await failure(source).isRetryable, "the file may still come")
    try TestFiles.write("planted-one\n", to: folder("token"))
    #expect(token(try await found(source)) == "planted-token-1")
    entra.change { $0.federated = ["planted-two"] }
    let stale = try await failure(source)
    #expect(stale.isRetryable && stale.hint?.contains("has expired") == true, "\(stale)")
    try TestFiles.write("planted-two", to: folder("token"))
    #expect(token(try await found(source)) == "planted-token-2")
    entra.change {
      $0.fault = { _ in
        .reply(
          LoopbackReply(
            400,
            text: "{\"error\":\"invalid_request\",\"error_description\":\"AADSTS700213: No"
              + " matching\"}"))
      }
    }
    let unknown = try await failure(source)
    #expect(unknown.hint?.contains("api://AzureADTokenExchange") == true, "\(unknown)")
  }

  // MARK: Managed identities

  @Test func `the three services of machines`() async throws {
    let entra = try EntraServer()
    #expect(token(try await found(try chain(entra.imds))) == "planted-token-1")
    #expect(token(try await found(try chain(entra.appService))) == "planted-token-2")
    #expect(token(try await found(try chain(entra.arc, arc: "planted-arc\n"))) == "planted-token-3")
    let chosen = entra.imds.merging(["AZURE_CLIENT_ID": EntraServer.clientID]) { $1 }
    let credentials = try await found(try chain(chosen))
    #expect(credentials?.description.contains(EntraServer.clientID) == true)
    entra.change { $0.identities = ["one", "two"] }
    let several = try await failure(try chain(entra.imds))
    #expect(several.cause?.contains("Multiple") == true && !several.isRetryable, "\(several)")
    #expect(several.hint?.contains("AZURE_CLIENT_ID") == true)
  }

  @Test func `an expiration as App Service gives it`() async throws {
    let entra = try EntraServer()
    entra.change {
      $0.fault = { _ in
        .reply(
          LoopbackReply(200, text: "{\"access_token\":\"a\",\"expires_on\":\"1795900000\"}"))
      }
    }
    let credentials = try await found(try chain(entra.appService))
    #expect(credentials?.expiration == Instant(milliseconds: 1_795_900_000_000))
  }

  @Test func `no identity, and no service`() async throws {
    let entra = try EntraServer { $0.identities = [] }
    let none = try await failure(try chain(entra.imds))
    #expect(none.cause?.contains("Identity not found") == true && !none.isRetryable, "\(none)")
    for status in [404, 410, 429, 500, 503] {
      entra.change { $0.fault = { _ in .reply(LoopbackReply(status)) } }
      #expect(try await failure(try chain(entra.imds)).isRetryable, "\(status)")
    }
    let port = try freePorts(1)[0]
    let error = try await failure(
      try chain(["AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:\(port)"]))
    #expect(error.message == "no Azure credentials were found" && error.isRetryable, "\(error)")
    #expect(error.hint?.contains("workload identity") == true)
  }

  /// What listens there could have any file read to it.
  @Test(arguments: [
    "/etc/passwd", "/var/opt/azcmagent/tokens/../../../../etc/x.key",
    "/var/opt/azcmagent/tokens/a.txt", "/var/opt/azcmagent/tokens/a/b.key", "",
  ])
  func `Arc's agent may name its own files only`(_ path: String) async throws {
    let entra = try EntraServer { $0.arcFile = path }
    let error = try await failure(try chain(entra.arc, arc: "planted-arc"))
    #expect(error.message.contains("not allowed"), "\(error)")
    #expect(entra.server.requests.count == 1)
  }

  @Test func `a secret of Arc that is too large`() async throws {
    let entra = try EntraServer()
    let error = try await failure(
      try chain(entra.arc, arc: String(repeating: "a", count: 5000)))
    #expect(error.message.contains("too large"), "\(error)")
  }

  /// Before all others that are set.
  @Test func `the order of the sources`() async throws {
    let entra = try EntraServer()
    let all = entra.principal.merging(entra.appService) { $1 }.merging([
      "AZURE_CLIENT_SECRET": EntraServer.secret, "AZURE_FEDERATED_TOKEN_FILE": "/tmp/none",
      "AZURE_STORAGE_SAS_TOKEN": "sig=a",
    ]) { $1 }
    let source = try chain(all)
    _ = try await source.load()
    #expect(
      source.explain().map(\.source) == [
        "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN",
        "environment", "workload identity", "managed identity",
      ])
    #expect(source.explain()[3].outcome == .notReached)
  }
}
