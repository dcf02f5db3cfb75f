import BackupTypes
import CloudAuth
import GCSStorage
import HTTPTransport
import ObjectStorage
import Synchronization
import SystemIO
import TestSupport
import Testing

/// Refused requests: which ones are retried or repaired, and which error the operator sees for the others.
@Suite(.timeLimit(.minutes(5))) struct GCSRefusalTests {
  private func refusal(
    _ cloud: Cloud, environment: [String: String]? = nil, options: String = ""
  ) async throws -> LifeboatError {
    let store = try cloud.store(options: options, environment: environment)
    let error = try await failure { _ = try await store.read("x") }
    let listing = try await failure { _ = try await store.list(prefix: "", continuing: nil) }
    #expect(error.code == .storeUnavailable && listing.code == .storeUnavailable)
    #expect(!"\(error)\(listing)".contains("planted"))
    return error
  }

  @Test func `a bucket that is missing`() async throws {
    let error = try await refusal(try Cloud { $0.buckets = [] })
    #expect(!error.isRetryable && error.hint?.contains("create the bucket") == true, "\(error)")
    let cloud = try Cloud { $0.buckets = [] }
    let store = try cloud.store()
    let deletion = try await failure { _ = try await store.delete(["x", "y"]) }
    #expect(deletion.hint?.contains("create the bucket") == true, "\(deletion)")
  }

  @Test func `no credentials at all`() async throws {
    let error = try await refusal(try Cloud(), environment: ["NO_GCE_CHECK": "true"])
    #expect(error.cause?.contains("no Google credentials were found") == true, "\(error)")
    #expect(error.hint?.contains("GOOGLE_APPLICATION_CREDENTIALS") == true)
    #expect(!error.isRetryable)
  }

  @Test func `anonymous requests where none are let in`() async throws {
    let error = try await refusal(try Cloud(), options: "&anonymous=true")
    #expect(error.hint?.contains("?anonymous=true") == true, "\(error)")
  }

  @Test(arguments: GCSRefusalTests.actions)
  func `a denied action names the permission and whose it is`(_ permission: String) async throws {
    let cloud = try Cloud { $0.denied = [permission] }
    let store = try cloud.store()
    let error = try await failure {
      switch permission {
      case "storage.objects.get": _ = try await store.read("x")
      case "storage.objects.create": _ = try await store.create("x", [1])
      case "storage.objects.delete":
        if let error = try await store.delete(["x"])["x"] { throw error }
      default: _ = try await store.list(prefix: "", continuing: nil)
      }
    }
    #expect(!error.isRetryable && error.code == .storeUnavailable)
    #expect(error.hint?.contains(permission) == true, "\(error)")
    #expect(error.hint?.contains(GoogleServer.email) == true, "\(error)")
    #expect(error.cause?.contains("request ABPtcTest") == true)
  }
  @Test func `credentials that only append: what is there exists`() async throws {
    let cloud = try Cloud {
      $0.denied = ["storage.objects.delete"]
      $0.replacingIsDenied = true
    }
    let store = try cloud.store()
    #expect(try await store.create("x", [1]) == .created)
    #expect(try await store.create("x", [2]) == .exists)
    #expect(try await store.read("x") == [1])
  }

  static let actions = [
    "storage.objects.get", "storage.objects.create", "storage.objects.list",
    "storage.objects.delete",
  ]

  @Test func `access scopes that leave storage out`() async throws {
    let cloud = try Cloud {
      $0.fault = { _ in
        .instead(
          .reply(
            FakeGCSServer.error(
              403, "insufficientPermissions", "Request had insufficient authentication scopes.")))
      }
    }
    #expect(try await refusal(cloud).hint?.contains("cloud-platform") == true)
  }

  @Test func `unreachable`() async throws {
    let port = try freePorts(1)[0]
    let store = try Given.repository(
      url: "gs://b/p?endpoint=http://127.0.0.1:\(port)&anonymous=true"
    ).store
    let error = try await failure { _ = try await store.read("x") }
    #expect(error.code == .storeUnavailable && error.isRetryable)
    #expect(error.message == "can't read gs://b/p/x")
    #expect(error.cause?.contains("can't connect to http://127.0.0.1:\(port)") == true)
  }

  // MARK: Tokens

  @Test func `an expired token is replaced once for all`() async throws {
    let cloud = try Cloud()
    let store = try cloud.store()
    try await createObjects(in: store) { cloud.gcs.change { $0.tokens = [] } }
    #expect(cloud.google.count == 3, "each token was asked for once")
    #expect(cloud.gcs.creations == 240)
  }

  @Test func `a token that stays refused is said, after one more`() async throws {
    let cloud = try Cloud()
    cloud.google.change { $0.issued = { _ in } }
    let error = try await failure { _ = try await cloud.store().read("x") }
    #expect(error.cause?.contains("Invalid Credentials") == true, "\(error)")
    #expect(error.hint?.contains(GoogleServer.email) == true, "\(error)")
    #expect(cloud.google.count == 2 && cloud.gcs.server.requests.count == 2)
  }

  @Test func `a metadata server that comes up later is waited for`() async throws {
    let cloud = try Cloud()
    let replies = [503, 404].map {
      LoopbackAction.reply(LoopbackReply($0, headers: [("Metadata-Flavor", "Google")]))
    }
    cloud.google.change { $0.fault = inOrder([.hangUp] + replies) }
    #expect(try await retrying(try cloud.store()).create("x", [1]) == .created)
  }

  @Test func `no token goes over plain http to another machine`() async throws {
    let error = try await failure {
      _ = try Given.repository(url: "gs://b/p?endpoint=http://storage.example:9000")
    }
    #expect(error.code == .usage && error.hint?.contains("anonymous=true") == true)
    _ = try Given.repository(url: "gs://b/p?endpoint=http://storage.example:9000&anonymous=true")
    _ = try Given.repository(url: "gs://b/p?endpoint=https://storage.example:9000")
  }

  @Test func `the chain is explained`() async throws {
    let repository = try Cloud().repository()
    _ = try await repository.store.read("x")
    let lines = repository.explainCredentials().map(\.description)
    #expect(
      lines == [
        "GOOGLE_APPLICATION_CREDENTIALS: it is not set",
        "gcloud's file: ~/.config/gcloud/application_default_credentials.json does not exist",
        lines.last ?? "",
      ])
    #expect(
      lines.last?.hasPrefix("metadata server: used, a token of \(GoogleServer.email)")
        == true, "\(lines)")
    #expect(!lines.joined().contains("planted"))
  }

  // MARK: What is asked for

  @Test func `the project that is billed`() async throws {
    let cloud = try Cloud()
    let environment = cloud.environment.merging(["GOOGLE_CLOUD_QUOTA_PROJECT": "payer"]) { $1 }
    _ = try await cloud.store(environment: environment).read("x")
    #expect(cloud.gcs.server.requests.allSatisfy { $0["x-goog-user-project"] == "payer" })
  }

  @Test(arguments: [-7_200_000, 7_200_000] as [Int64])
  func `the store's clock`(_ offset: Int64) async throws {
    let store = try Cloud { $0.clockOffset = offset }.store()
    let time = try #require(try await store.now())
    #expect(abs(time.since(SystemClock.now()) - offset) < 60_000)
    let learned = try #require(store.clockOffset)
    #expect(abs(learned - offset) < 60_000)
  }

  @Test func `the emulator that the environment names gets no token`() async throws {
    let cloud = try Cloud { $0.allowsAnonymous = true }
    for host in [cloud.gcs.url, String(cloud.gcs.url.dropFirst("http://".count))] {
      let repository = try Given.repository(
        url: "gs://bucket/p",
        environment: cloud.environment.merging(["STORAGE_EMULATOR_HOST": host]) { $1 })
      #expect(repository.endpointOrigin == "STORAGE_EMULATOR_HOST")
      #expect(try await repository.store.read("x") == nil)
    }
    #expect(cloud.gcs.server.requests.allSatisfy { $0["Authorization"] == nil })
    #expect(cloud.google.server.requests.isEmpty)
  }

  @Test func `every request is observed, on the client's threads`() async throws {
    let cloud = try Cloud()
    let observed = ObservedRequests()
    let store = try cloud.repository { observed.note($0) }.store
    _ = try await store.create("x", [1, 2])
    _ = try await store.read("x")
    cloud.gcs.server.stop()
    _ = try? await store.read("x")
    #expect(observed.methods == ["POST", "GET", "GET"])
    #expect(observed.statuses == [200, 200, nil])
    #expect(observed.threads == ["http-"])
  }
}
