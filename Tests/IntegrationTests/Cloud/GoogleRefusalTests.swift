import BackupTypes
import TestSupport
import Testing

/// Whatever keeps a command from using Google Cloud Storage gives exit 4, with its cause and its remedy. It
/// never says "there is no backup".
@Suite(.timed, .enabled(if: !ServerVersion.isQuickRun), .timeLimit(.minutes(10)))
struct GoogleRefusalTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    /// Words in the output: the cause and the remedy.
    var words: [String]
    var kind = GoogleDesk.Kind.metadata
    var environment: [String: String] = [:]
    /// The contents of the credential file, instead of what the desk wrote.
    var file: @Sendable (GoogleServer) -> String? = { _ in nil }
    var google: @Sendable (inout GoogleServer.Setup) -> Void = { _ in }
    var gcs: @Sendable (inout FakeGCSServer.Setup) -> Void = { _ in }
    var testDescription: String { name }

    static let all: [Case] = [
      Case(
        name: "wrong key", words: ["Invalid JWT Signature", "create a new one"],
        kind: .serviceAccount, file: { $0.serviceAccountFile(key: RSAKeyPair()) }),
      Case(
        name: "deleted account", words: ["account not found", "was deleted"],
        kind: .serviceAccount, google: { $0.email = "other@project" }),
      Case(
        name: "cut key file", words: ["not the JSON", "download the key again"],
        kind: .serviceAccount, file: { String($0.serviceAccountFile().prefix(300)) }),
      Case(
        name: "key file that is not there yet", words: ["does not exist", "Secret is mounted"],
        environment: ["GOOGLE_APPLICATION_CREDENTIALS": "/nonexistent/key.json"]),
      Case(
        name: "key file that can't be read", words: ["can't use the file", "what is mounted"],
        environment: ["GOOGLE_APPLICATION_CREDENTIALS": "/proc"]),
      Case(
        name: "login that was revoked", words: ["expired or revoked", "gcloud auth"],
        kind: .user, google: { $0.refreshToken = "another" }),
      Case(
        name: "stale subject token", words: ["has expired", "projected token file"],
        kind: .federation, google: { $0.subjectTokens = [] }),
      Case(
        name: "impersonation that is not granted",
        words: ["getAccessToken", "roles/iam.workloadIdentityUser"], kind: .impersonation,
        google: {
          $0.fault = {
            $0.path.hasSuffix(":generateAccessToken")
              ? .reply(
                FakeGCSServer.error(
                  403, "forbidden", "Permission 'iam.serviceAccounts.getAccessToken' denied"))
              : nil
          }
        }),
      Case(
        name: "token endpoint with a fault", words: ["status 503", "wait until it recovers"],
        kind: .serviceAccount, google: { $0.fault = { _ in .reply(LoopbackReply(503)) } }),
      Case(
        name: "no credentials",
        words: ["no Google credentials were found", "GOOGLE_APPLICATION_CREDENTIALS"],
        environment: ["NO_GCE_CHECK": "true"]),
      Case(
        name: "token that is not taken", words: ["Invalid Credentials", "is rejected"],
        google: { $0.issued = { _ in } }),
      Case(
        name: "listing denied", words: ["storage.objects.list", "roles/storage.objectUser"],
        gcs: { $0.denied = ["storage.objects.list"] }),
      Case(
        name: "everything denied", words: ["forbidden", "roles/storage.objectUser"],
        gcs: {
          $0.denied = [
            "storage.objects.list", "storage.objects.get", "storage.objects.create",
            "storage.objects.delete",
          ]
        }),
      Case(
        name: "missing bucket", words: ["does not exist", "create the bucket"],
        gcs: { $0.buckets = [] }),
      Case(
        name: "fault of the store", words: ["backendError", "internal error"],
        gcs: { $0.fault = { _ in .instead(.reply(FakeGCSServer.error(500, "backendError"))) } }),
      Case(
        name: "connections that break", words: ["broke", "proxies and firewalls"],
        gcs: { $0.fault = { _ in .instead(.reset) } }),
      Case(
        name: "something else than Cloud Storage", words: ["status 404", "check the endpoint"],
        gcs: { $0.fault = { _ in .instead(.reply(LoopbackReply(404, text: "<html>no</html>"))) } }),
    ]
  }

  @Test(arguments: Case.all)
  func `exit 4, cause and remedy`(test: Case) async throws {
    let gcs = try FakeGCSServer(test.gcs)
    let desk = try GoogleDesk(test.kind, for: gcs)
    // Several processes request tokens at the same time. No token invalidates another.
    desk.google.change { setup in
      setup.issued = { token in gcs.change { $0.tokens.insert(token) } }
      test.google(&setup)
    }
    if let text = test.file(desk.google) {
      try TestFiles.write(text, to: desk.folder("credentials.json"))
    }
    let place = try Place.on(
      gcs, environment: desk.environment.merging(test.environment) { $1 })
    try await place.checkRefused(test.words)
  }

  @Test func `a host that refuses connections`() async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(.serviceAccount, for: gcs)
    gcs.server.stop()
    try await Place.on(gcs, environment: desk.environment).checkRefused([
      "can't connect", "check that it is up",
    ])
  }

  @Test func `a token endpoint that refuses connections`() async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(.serviceAccount, for: gcs)
    desk.google.server.stop()
    try await Place.on(gcs, environment: desk.environment).checkRefused([
      "can't connect", "check that it is up",
    ])
  }

  @Test func `a payload that changes on its way is not stored`() async throws {
    let gcs = try FakeGCSServer { $0.damagesUploads = true }
    let desk = try GoogleDesk(.serviceAccount, for: gcs)
    let place = try Place.on(gcs, environment: desk.environment)
    try Volume.writeDump(in: place.data)
    let ship = try await place.run("ship", ["--once", "--data", place.data])
    try ship.expectRefused(["CRC32C", "changed in transit"])
    #expect(gcs.names.isEmpty)
  }

  /// There is a backup. A denied or interrupted listing must not look as if there were none.
  @Test(arguments: ["storage.objects.list", "storage.objects.get"])
  func `a backup that is there is not called absent`(denied: String) async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(.serviceAccount, for: gcs)
    desk.google.change { setup in
      setup.issued = { token in gcs.change { $0.tokens.insert(token) } }
    }
    let place = try Place.on(gcs, environment: desk.environment)
    try Volume.writeDump(in: place.data)
    try await place.shipOnce()
    gcs.change { $0.denied = [denied] }
    try await place.checkRefused([denied, "roles/storage.objectUser"])
    let before = gcs.names
    // A reader may restore, but not ship.
    gcs.change { $0.denied = ["storage.objects.create"] }
    try await place.restore(into: "restored")
    #expect(gcs.names == before)
    // The bucket is gone, and the reply only says that there is no such object.
    gcs.change { $0.buckets = [] }
    try await place.checkRefused(["create the bucket"])
  }

  @Test func `a token is not sent over plain http to another machine`() async throws {
    let gcs = try FakeGCSServer()
    let desk = try GoogleDesk(.serviceAccount, for: gcs)
    let place = try Place(
      repository: "gs://bucket/prefix?endpoint=http://storage.example:9000",
      environment: desk.environment)
    let result = try await place.run("list", [])
    #expect(result.exit == .usage && result.errorText.contains("anonymous=true"), "\(result)")
  }
}
