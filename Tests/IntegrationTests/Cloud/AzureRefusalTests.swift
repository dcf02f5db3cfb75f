import BackupTypes
import TestSupport
import Testing

/// Whatever keeps a command from using Azure Blob Storage gives exit 4, with its cause and its remedy. It
/// never says "there is no backup".
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct AzureRefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// Words in the output: the cause and the remedy.
    var words: [String]
    var kind = AzureDesk.Kind.key
    var environment: [String: String] = [:]
    var entra: @Sendable (inout EntraServer.Setup) -> Void = { _ in }
    var azure: @Sendable (inout FakeAzureServer.Setup) -> Void = { _ in }
    var testDescription: String { name }

    private static func replying(
      _ status: Int, _ code: String, _ detail: String? = nil
    ) -> @Sendable (inout FakeAzureServer.Setup) -> Void {
      { $0.fault = { _ in .instead(.reply(FakeAzureServer.error(status, code, detail: detail))) } }
    }

    static let all: [Case] = [
      Case(
        name: "wrong key", words: ["AuthenticationFailed", "truncated value"],
        environment: ["AZURE_STORAGE_KEY": "cGxhbnRlZA=="]),
      Case(
        name: "key that is none", words: ["not base64", "copy it again"],
        environment: ["AZURE_STORAGE_KEY": "planted!"]),
      Case(
        name: "keys switched off",
        words: [
          "KeyBasedAuthenticationNotPermitted",
          "managed identity",
        ],
        azure: { $0.allowsKeys = false }),
      Case(
        name: "signature that is cut", words: ["no sig=", "copy the whole token"],
        kind: .signature, environment: ["AZURE_STORAGE_SAS_TOKEN": "sv=2023-11-03&planted"]),
      Case(
        name: "half a service principal", words: ["are incomplete", "unset the rest"],
        kind: .secret,
        environment: ["AZURE_TENANT_ID": ""]),
      Case(
        name: "wrong secret", words: ["AADSTS7000215", "create a new secret"], kind: .secret,
        entra: { $0.secret = "another" }),
      Case(
        name: "certificate that is not registered", words: ["AADSTS700027", "upload it"],
        kind: .certificate, entra: { $0.certificates = [] }),
      Case(
        name: "stale token of the cluster", words: ["AADSTS700024", "projected token file"],
        kind: .workloadIdentity, entra: { $0.federated = [] }),
      Case(
        name: "token file that is not there", words: ["does not exist", "projected volume"],
        kind: .workloadIdentity,
        environment: ["AZURE_FEDERATED_TOKEN_FILE": "/nonexistent/token"]),
      Case(
        name: "no identity", words: ["Identity not found", "assign an identity"], kind: .metadata,
        entra: { $0.identities = [] }),
      Case(
        name: "token endpoint with a fault", words: ["status 503", "wait until it recovers"],
        kind: .secret, entra: { $0.fault = { _ in .reply(LoopbackReply(503)) } }),
      Case(
        name: "no credentials", words: ["no Azure credentials were found", "AZURE_STORAGE_KEY"],
        environment: ["AZURE_STORAGE_KEY": ""]),
      Case(
        name: "token that is not taken", words: ["InvalidAuthenticationInfo", "is rejected"],
        kind: .metadata, entra: { $0.issued = { _, _ in } }),
      Case(
        name: "no role",
        words: [
          "AuthorizationPermissionMismatch",
          "Storage Blob Data Contributor",
        ],
        kind: .metadata, azure: { $0.denied = ["list", "read", "write", "delete"] }),
      Case(
        name: "firewall", words: ["AuthorizationFailure", "firewall"],
        azure: replying(403, "AuthorizationFailure")),
      Case(
        name: "missing container", words: ["ContainerNotFound", "create the container"],
        azure: { $0.containers = [] }),
      Case(
        name: "container that goes", words: ["ContainerBeingDeleted", "is being deleted"],
        azure: replying(409, "ContainerBeingDeleted")),
      Case(
        name: "clock", words: ["Request date header too old", "set this machine's clock"],
        azure: replying(403, "AuthenticationFailed", "Request date header too old: 'x'")),
      Case(
        name: "fault of the store", words: ["InternalError", "internal error"],
        azure: replying(500, "InternalError")),
      Case(
        name: "connections that break", words: ["broke", "proxies and firewalls"],
        azure: { $0.fault = { _ in .instead(.reset) } }),
      Case(
        name: "something else than Azure", words: ["status 404", "check the endpoint"],
        azure: { $0.fault = { _ in .instead(.reply(LoopbackReply(404, text: "<html>no</html>"))) } }
      ),
    ]
  }

  @Test(arguments: Case.all)
  func `exit 4, cause and remedy`(test: Case) async throws {
    let azure = try FakeAzureServer(test.azure)
    // Several processes request tokens at the same time. No token invalidates another.
    let desk = try AzureDesk(test.kind, for: azure, keepsOld: true)
    desk.entra.change(test.entra)
    let place = try Place.on(
      azure, environment: desk.environment.merging(test.environment) { $1 })
    try await place.checkRefused(test.words)
  }

  @Test func `a host that refuses connections`() async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(.key, for: azure)
    azure.server.stop()
    try await Place.on(azure, environment: desk.environment).checkRefused([
      "can't connect", "check that it is up",
    ])
  }

  @Test func `a payload that changes on its way is not stored`() async throws {
    let azure = try FakeAzureServer { $0.damagesUploads = true }
    let place = try Place.on(azure, environment: AzureDesk(.key, for: azure).environment)
    try Volume.writeDump(in: place.data)
    let ship = try await place.run("ship", ["--once", "--data", place.data])
    try ship.expectRefused(["Md5Mismatch", "changed in transit"])
    #expect(azure.names.isEmpty)
  }

  /// There is a backup. A denied or interrupted listing must not look as if there were none.
  @Test(arguments: ["list", "read"])
  func `a backup that is there is not called absent`(denied: String) async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(.metadata, for: azure, keepsOld: true)
    let place = try Place.on(azure, environment: desk.environment)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    azure.change { $0.denied = [denied] }
    try await place.checkRefused(["containers/blobs/read", "Storage Blob Data Contributor"])
    let before = azure.names
    // A reader may restore, but not ship.
    azure.change { $0.denied = ["write", "delete"] }
    try await place.restore(into: "restored")
    #expect(azure.names == before)
    // The container is gone, and the reply only says that there is no such object.
    azure.change { $0.containers = [] }
    try await place.checkRefused(["create the container"])
  }

  /// Credentials that may create, but not overwrite or delete, are enough to ship and restore.
  @Test func `a signature that may only create`() async throws {
    let azure = try FakeAzureServer()
    let place = try Place.on(
      azure,
      environment: ["HOME": "/nonexistent", "AZURE_STORAGE_SAS_TOKEN": azure.signature("rcl")])
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    try await place.restore(into: "restored")
    #expect(azure.repetitions == 0)
  }

  @Test(arguments: [
    "azure://container/prefix", "azblob://container/prefix", "abs://account@container/prefix",
  ])
  func `the schemes of other tools are refused with a hint`(url: String) async throws {
    let place = try Place(repository: url, environment: ["HOME": "/nonexistent"])
    let result = try await place.run("list", [])
    #expect(result.exit == .usage, "\(result)")
    #expect(result.errorText.contains("az://container/prefix?account=NAME"), "\(result)")
  }

  @Test func `a token is not sent over plain http to another machine`() async throws {
    let azure = try FakeAzureServer()
    let desk = try AzureDesk(.metadata, for: azure)
    let place = try Place(
      repository: "az://container/prefix?account=abc&endpoint=http://storage.example:9000",
      environment: desk.environment)
    let result = try await place.run("list", [])
    #expect(result.exit == .usage && result.errorText.contains("https://"), "\(result)")
  }
}
