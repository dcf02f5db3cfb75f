import AzureStorage
import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Refused requests: which ones are retried or repaired, and which error the operator sees for the others.
@Suite(.timeLimit(.minutes(5))) struct AzureRefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var status: Int
    var code: String
    var detail: String?
    /// Words in the remedy.
    var words: String
    var isRetryable = false
    var isDenied = false
    var testDescription: String { code + (detail ?? "") }

    static let all: [Case] = [
      Case(
        status: 403, code: "AuthenticationFailed",
        detail: "The MAC signature found is not the same as any computed signature",
        words: "truncated value", isDenied: true),
      Case(
        status: 403, code: "AuthorizationPermissionMismatch",
        words: "Storage Blob Data Contributor",
        isDenied: true),
      Case(status: 403, code: "AuthorizationFailure", words: "firewall", isDenied: true),
      Case(
        status: 403, code: "KeyBasedAuthenticationNotPermitted",
        words: "use a workload or managed identity", isDenied: true),
      Case(
        status: 401, code: "InvalidAuthenticationInfo", words: "identity still exists",
        isDenied: true),
      Case(
        status: 400, code: "InvalidAuthenticationInfo", words: "identity still exists",
        isDenied: true),
      Case(status: 404, code: "ContainerNotFound", words: "create the container"),
      Case(status: 409, code: "ContainerBeingDeleted", words: "is being deleted"),
      Case(status: 409, code: "BlobImmutableDueToPolicy", words: "when that ends"),
      Case(status: 409, code: "BlobImmutableDueToLegalHold", words: "legal hold"),
      Case(status: 412, code: "LeaseIdMissing", words: "lease break"),
      Case(status: 409, code: "SnapshotsPresent", words: "snapshots"),
      Case(status: 409, code: "BlobArchived", words: "rehydrate"),
      Case(status: 503, code: "ServerBusy", words: "fewer requests", isRetryable: true),
      Case(status: 500, code: "OperationTimedOut", words: "internal error", isRetryable: true),
      Case(status: 500, code: "InternalError", words: "internal error", isRetryable: true),
      Case(status: 400, code: "Md5Mismatch", words: "in transit", isRetryable: true),
      Case(status: 400, code: "Crc64Mismatch", words: "in transit", isRetryable: true),
      Case(status: 409, code: "AccountIsDisabled", words: "disabled"),
    ]
  }

  /// Each row of the error table.
  @Test(arguments: Case.all) func `cause and remedy`(_ test: Case) async throws {
    let cloud = try Cloud {
      $0.fault = { _ in
        .instead(.reply(FakeAzureServer.error(test.status, test.code, detail: test.detail)))
      }
    }
    let store = try cloud.store()
    for work in [
      { _ = try await store.read("x") }, { _ = try await store.list(prefix: "", continuing: nil) },
      { _ = try await store.create("x", [1]) },
      {
        if let error = try await store.delete(["x"])["x"] { throw error }
      },
    ] as [() async throws -> Void] {
      let error = try await failure(work)
      #expect(error.code == .storeUnavailable && error.isRetryable == test.isRetryable, "\(error)")
      #expect(error.isDenied == test.isDenied, "\(error)")
      #expect(error.cause?.contains(test.code) == true, "\(error)")
      #expect(error.cause?.contains("request 0a1b2c-test") == true, "\(error)")
      #expect(error.hint?.contains(test.words) == true, "\(error)")
    }
  }

  @Test func `what is there exists, whatever else is wrong`() async throws {
    let conflicts: [(Int, String)?] = [
      nil, (409, "BlobImmutableDueToPolicy"), (412, "LeaseIdMissing"),
      (403, "AuthorizationFailure"),
      (409, "SomethingNew"), (412, "ConditionNotMet"),
    ]
    for conflict in conflicts {
      let cloud = try Cloud { $0.conflict = conflict }
      let store = try cloud.store()
      #expect(try await store.create("x", [1]) == .created)
      #expect(try await store.create("x", [2]) == .exists, "\(conflict.map { "\($0)" } ?? "")")
      #expect(try await store.read("x") == [1])
    }
  }

  /// `sp=rcl` creates but never overwrites, even after a reply was lost.
  @Test func `a signature that may only create`() async throws {
    let cloud = try Cloud.withSignature("rcl")
    let store = try cloud.store()
    #expect(try await store.create("x", [1]) == .created)
    #expect(try await store.create("x", [2]) == .exists)
    let isFirst = Mutex(true)
    cloud.azure.change {
      $0.fault = { _ in
        let first = isFirst.withLock { value in
          defer { value = false }
          return value
        }
        return first ? .afterwards { _ in .reset } : nil
      }
    }
    #expect(try await retrying(store).create("y", [3]) == .exists)
    #expect(cloud.azure.content("container/some/prefix/y") == [3])
    let refused = try #require(try await store.delete(["x"])["x"])
    #expect(refused.isDenied && refused.hint?.contains("\"d\" in sp=") == true, "\(refused)")
  }

  @Test(arguments: ["write", "read", "list", "delete"])
  func `a denied action names the permission and whose it is`(_ action: String) async throws {
    let cloud = try Cloud.withTokens { $0.denied = [action] }
    let store = try cloud.store()
    let error = try await failure {
      switch action {
      case "read": _ = try await store.read("x")
      case "write": _ = try await store.create("x", [1])
      case "delete": if let error = try await store.delete(["x"])["x"] { throw error }
      default: _ = try await store.list(prefix: "", continuing: nil)
      }
    }
    #expect(error.isDenied && error.hint?.contains("managed identity") == true, "\(error)")
    let permission = "containers/blobs/" + (action == "list" ? "read" : action)
    #expect(error.hint?.contains(permission) == true, "\(error)")
  }

  // MARK: Secrets

  @Test func `no signature is shown`() async throws {
    for lifetime in [-10, 3600] {
      let azure = try FakeAzureServer()
      let token = azure.signature("rcl", lifetimeSeconds: lifetime)
      let wrong = lifetime < 0 ? token : token.replacing("sig=", with: "sig=planted")
      let repository = try Given.repository(
        url: "az://container/p?account=lifeboatacct&endpoint=\(azure.url)",
        environment: ["AZURE_STORAGE_SAS_TOKEN": wrong])
      let error = try await failure { _ = try await repository.store.read("x") }
      let text = "\(error) \(repository.explainCredentials())"
      let signature = String(wrong[wrong.firstRange(of: "sig=")!.upperBound...])
      #expect(
        !text.contains(URIEncoding.decode(signature)!) && !text.contains(signature), "\(text)")
      #expect(!text.contains("planted"), "\(text)")
      #expect(error.isDenied && error.cause?.contains("AuthenticationFailed") == true, "\(error)")
    }
  }

  @Test func `a wrong key`() async throws {
    var cloud = try Cloud()
    cloud.environment = ["AZURE_STORAGE_KEY": "cGxhbnRlZA=="]
    let error = try await failure { _ = try await cloud.store().read("x") }
    #expect(error.hint?.contains("the key of the account lifeboatacct") == true, "\(error)")
    #expect(error.cause?.contains("not the same as any computed") == true, "\(error)")
    #expect(error.cause?.contains("string to sign") == false && !"\(error)".contains("planted"))
  }

  @Test func `no token goes over plain http to another machine`() async throws {
    let azure = try FakeAzureServer()
    let entra = try EntraServer()
    for environment in [entra.imds, ["AZURE_STORAGE_SAS_TOKEN": azure.signature("r")]] {
      let store = try Given.repository(
        url: "az://container/p?account=lifeboatacct&endpoint=http://storage.example:9000",
        environment: environment
      ).store
      let error = try await failure { _ = try await store.read("x") }
      #expect(error.code == .usage && error.hint?.contains("https://") == true, "\(error)")
    }
  }

  // MARK: Clocks

  @Test(arguments: [-7_200_000, 7_200_000] as [Int64])
  func `a clock that is far off is corrected, and told`(_ offset: Int64) async throws {
    let cloud = try Cloud { $0.clockOffset = offset }
    let store = try cloud.store()
    #expect(try await store.create("x", [1]) == .created)
    #expect(cloud.azure.server.requests.count == 2)
    let time = try #require(try await store.now())
    #expect(abs(time.since(SystemClock.now()) - offset) < 60_000)
    let learned = try #require(store.clockOffset)
    #expect(abs(learned - offset) < 60_000)
    #expect(cloud.azure.server.requests.count == 3, "asked for once, and then known")
  }

  @Test func `a clock that nobody can correct`() async throws {
    let cloud = try Cloud {
      $0.fault = { _ in
        .instead(
          .reply(
            FakeAzureServer.error(
              403, "AuthenticationFailed",
              detail: "Request date header too old: 'Sat, 28 Nov 2026 04:00:00 GMT'")))
      }
    }
    let error = try await failure { _ = try await cloud.store().read("x") }
    #expect(error.hint?.contains("clock") == true && !error.isDenied, "\(error)")
    #expect(cloud.azure.server.requests.count == 1)
  }

  // MARK: Tokens

  @Test func `an expired token is replaced once for all`() async throws {
    let cloud = try Cloud.withTokens()
    let store = try cloud.store()
    try await createObjects(in: store) { cloud.azure.change { $0.tokens = [:] } }
    #expect(cloud.entra?.count == 3, "each token was asked for once")
    #expect(cloud.azure.creations == 240)
  }

  @Test func `a token that stays refused is said, after one more`() async throws {
    let cloud = try Cloud.withTokens()
    cloud.entra?.change { $0.issued = { _, _ in } }
    let error = try await failure { _ = try await cloud.store().read("x") }
    #expect(error.cause?.contains("InvalidAuthenticationInfo") == true, "\(error)")
    #expect(cloud.entra?.count == 2 && cloud.azure.server.requests.count == 2)
  }

  /// Container Apps uses App Service's endpoint.
  @Test(arguments: ["metadata", "App Service", "Azure Arc"])
  func `each service of a machine gives tokens, and another after a refusal`(
    _ service: String
  ) async throws {
    var cloud = try Cloud.withTokens()
    let entra = try #require(cloud.entra)
    cloud.environment = [
      "metadata": entra.imds, "App Service": entra.appService, "Azure Arc": entra.arc,
    ][service]!
    let store = try cloud.store()
    #expect(try await store.create("x", [1]) == .created)
    cloud.azure.change { $0.tokens = [:] }
    #expect(try await store.read("x") == [1])
    #expect(entra.count == 2)
    // Azure Arc's agent wants its secret each time.
    #expect(entra.server.requests.count == (service == "Azure Arc" ? 4 : 2))
  }

  @Test func `a metadata service that comes up later is waited for`() async throws {
    let cloud = try Cloud.withTokens()
    let replies = [503, 404, 410, 429].map { LoopbackAction.reply(LoopbackReply($0)) }
    cloud.entra?.change { $0.fault = inOrder([.hangUp] + replies) }
    #expect(try await retrying(try cloud.store()).create("x", [1]) == .created)
    #expect(cloud.entra?.server.requests.count == 6)
  }

  @Test func `the chain is explained`() async throws {
    let repository = try Cloud.withTokens().repository()
    _ = try await repository.store.read("x")
    let lines = repository.explainCredentials().map(\.description)
    #expect(
      lines == [
        "AZURE_STORAGE_CONNECTION_STRING: it is not set", "AZURE_STORAGE_KEY: it is not set",
        "AZURE_STORAGE_SAS_TOKEN: it is not set",
        "environment: neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set",
        "workload identity: AZURE_FEDERATED_TOKEN_FILE is not set", lines.last ?? "",
      ])
    #expect(
      lines.last?.hasPrefix(
        "managed identity: used, this machine's managed identity,"
          + " until") == true,
      "\(lines)")
    #expect(!lines.joined().contains("planted"))
  }

  @Test func `unreachable, and an account that is none`() async throws {
    let port = try freePorts(1)[0]
    let environment = ["AZURE_STORAGE_KEY": FakeAzureServer.key]
    let store = try Given.repository(
      url: "az://abc/p?account=lifeboatacct&endpoint=http://127.0.0.1:\(port)",
      environment: environment
    ).store
    let error = try await failure { _ = try await store.read("x") }
    #expect(error.code == .storeUnavailable && error.isRetryable)
    #expect(error.message == "can't read az://abc/p/x")
    #expect(error.cause?.contains("can't connect to http://127.0.0.1:\(port)") == true)
    let nowhere = try Given.repository(
      url: "az://abc/p?account=lifeboatacct&endpoint=http://lifeboatacct.blob.invalid",
      environment: environment
    ).store
    let unresolved = try await failure { _ = try await nowhere.read("x") }
    #expect(unresolved.isRetryable, "\(unresolved)")
    #expect(unresolved.hint?.contains("name of the storage account") == true, "\(unresolved)")
  }

  @Test func `every request is observed, on the client's threads`() async throws {
    let cloud = try Cloud()
    let observed = ObservedRequests()
    let store = try cloud.repository { observed.note($0) }.store
    _ = try await store.create("x", [1, 2])
    _ = try await store.read("x")
    cloud.azure.server.stop()
    _ = try? await store.read("x")
    #expect(observed.methods == ["PUT", "GET", "GET"])
    #expect(observed.statuses == [201, 200, nil])
    #expect(observed.threads == ["http-"])
  }

  // MARK: The server checks

  @Test func `what the tests' own server refuses`() async throws {
    let tampers: [(String, @Sendable (inout LoopbackRequest) -> Void)] = [
      ("path", { $0.target += "0" }), ("body", { if !$0.body.isEmpty { $0.body[0] ^= 1 } }),
      ("version", { $0.headers.removeAll { $0.name == "x-ms-version" } }),
      ("header", { $0.headers.append(("x-ms-meta-a", "b")) }),
      (
        "condition",
        { request in request.headers.removeAll { $0.name.lowercased() == "if-none-match" } }
      ),
      (
        "scheme",
        { request in
          let index = request.headers.firstIndex { $0.name == "Authorization" }!
          request.headers[index].value = "SharedKeyLite" + request.headers[index].value.dropFirst(9)
        }
      ),
    ]
    for (name, tamper) in tampers {
      let cloud = try Cloud { $0.tamper = tamper }
      let error = try await failure { _ = try await cloud.store().create("x", [1, 2]) }
      #expect(error.code == .storeUnavailable && cloud.azure.names.isEmpty, "\(name): \(error)")
    }
  }
}
