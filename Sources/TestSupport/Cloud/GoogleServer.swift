import BackupTypes
import CloudAuth
import FoundationEssentials
import HTTPTransport
import Synchronization
import SystemIO

/// Simulates Google's token services. The token endpoint checks a JWT's signature and claims as Google does.
/// The others are the Security Token Service, the IAM Credentials API and the metadata server.
package final class GoogleServer: Sendable {
  /// What a test may set. The server reads it for every request.
  package struct Setup: Sendable {
    package var email = GoogleServer.email
    package var keyID = "key-1"
    package var key = RSAKeyPair.shared
    package var refreshToken = "planted-refresh"
    /// Subject tokens that the Security Token Service accepts.
    package var subjectTokens: Set<String> = ["planted-subject"]
    /// The lifetime of each issued token.
    package var lifetimeSeconds = 3599
    /// The offset of the server's clock.
    package var clockOffset: Int64 = 0
    /// What happens instead of a reply, if anything.
    package var fault: @Sendable (LoopbackRequest) -> LoopbackAction? = { _ in nil }
    /// Called with each issued token for Cloud Storage.
    package var issued: @Sendable (String) -> Void = { _ in }
    package init() {}
  }

  package static let email = "backup@project.iam.gserviceaccount.com"
  package static let audience =
    "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k"
  package static let tokenPath = "/computeMetadata/v1/instance/service-accounts/default/token"

  package let server: LoopbackServer
  private let shared: Shared

  final class Shared: Sendable {
    struct State {
      var setup = Setup()
      var count = 0
      var federated: Set<String> = []
    }
    let state = Mutex(State())
  }

  package init(_ change: (inout Setup) -> Void = { _ in }) throws {
    let shared = Shared()
    self.shared = shared
    shared.state.withLock { change(&$0.setup) }
    server = try LoopbackServer { GoogleExchange(shared: shared, request: $0).action() }
  }

  package var url: String { server.url }
  package func change(_ change: (inout Setup) -> Void) {
    shared.state.withLock { change(&$0.setup) }
  }
  /// How many tokens for Cloud Storage were issued.
  package var count: Int { shared.state.withLock { $0.count } }

  /// A server whose newest token `gcs` accepts. Each new token invalidates the previous one.
  package static func rotating(for gcs: FakeGCSServer) throws -> GoogleServer {
    try GoogleServer { setup in
      setup.issued = { token in gcs.change { $0.tokens = [token] } }
    }
  }

  // MARK: Credential files

  /// As Google's console writes it.
  package func serviceAccountFile(
    key: RSAKeyPair = .shared, keyID: String = "key-1", email: String = GoogleServer.email
  ) -> String {
    let pem = key.privatePEM.split(separator: "\n").map { $0 + "\\n" }.joined()
    return """
      {"type":"service_account","project_id":"project","private_key_id":"\(keyID)",
      "private_key":"\(pem)","client_email":"\(email)","client_id":"1",
      "token_uri":"\(url)/token","universe_domain":"googleapis.com"}
      """
  }

  /// As `gcloud auth application-default login` writes it.
  package func authorizedUserFile(refreshToken: String = "planted-refresh") -> String {
    """
    {"type":"authorized_user","client_id":"client","client_secret":"planted-client-secret",
    "refresh_token":"\(refreshToken)","quota_project_id":"quota","account":"",
    "token_uri":"\(url)/token"}
    """
  }

  /// As `gcloud iam workload-identity-pools create-cred-config` writes it.
  package func externalAccountFile(
    tokenFile: String, isJSON: Bool = false, impersonates: Bool = false
  ) -> String {
    let format =
      isJSON
      ? "{\"type\":\"json\",\"subject_token_field_name\":\"id_token\"}" : "{\"type\":\"text\"}"
    let impersonation =
      impersonates
      ? ",\"service_account_impersonation_url\":\"\(url)/v1/projects/-/serviceAccounts/"
        + "\(GoogleServer.email):generateAccessToken\"" : ""
    return """
      {"type":"external_account","audience":"\(GoogleServer.audience)",
      "subject_token_type":"urn:ietf:params:oauth:token-type:jwt","token_url":"\(url)/sts",
      "credential_source":{"file":"\(tokenFile)","format":\(format)}\(impersonation)}
      """
  }
}
