package import BackupTypes
import CloudAuth
import FoundationEssentials
import HTTPTransport
import Synchronization
import SystemIO

/// Simulates Microsoft's token services. Entra's token endpoint checks forms, secrets, and the signature and
/// claims of an assertion as Entra does. The others are the instance metadata service, App Service's endpoint
/// and Azure Arc's agent.
package final class EntraServer: Sendable {
  /// What a test may set. The server reads it for every request.
  package struct Setup: Sendable {
    package var secret = EntraServer.secret
    package var key = RSAKeyPair.shared
    /// The certificates registered for the client, in DER.
    package var certificates: [[UInt8]] = []
    /// Cluster tokens that the endpoint accepts.
    package var federated: Set<String> = ["planted-federated"]
    /// The client ids of the machine's identities.
    package var identities = [EntraServer.clientID]
    /// The file that Arc's agent names, and its contents.
    package var arcFile = "/var/opt/azcmagent/tokens/one.key"
    package var arcSecret = "planted-arc"
    /// The lifetime of each issued token.
    package var lifetimeSeconds = 3599
    /// The offset of the server's clock.
    package var clockOffset: Int64 = 0
    /// What happens instead of a reply, if anything.
    package var fault: @Sendable (LoopbackRequest) -> LoopbackAction? = { _ in nil }
    /// Called with each issued token and its expiry.
    package var issued: @Sendable (String, Instant) -> Void = { _, _ in }
    package init() {}
  }

  package static let tenant = "00000000-0000-0000-0000-00000000beef"
  package static let clientID = "00000000-0000-0000-0000-00000000cafe"
  package static let secret = "planted-secret"
  package static let header = "planted-header"

  package let server: LoopbackServer
  private let shared: Shared

  final class Shared: Sendable {
    struct State {
      var setup = Setup()
      var count = 0
    }
    let state = Mutex(State())
  }

  package init(_ change: (inout Setup) -> Void = { _ in }) throws {
    let shared = Shared()
    self.shared = shared
    shared.state.withLock { change(&$0.setup) }
    server = try LoopbackServer { EntraExchange(shared: shared, request: $0).action() }
  }

  package var url: String { server.url }
  package func change(_ change: (inout Setup) -> Void) {
    shared.state.withLock { change(&$0.setup) }
  }
  /// How many tokens were issued.
  package var count: Int { shared.state.withLock { $0.count } }

  /// A server whose tokens `azure` accepts until they expire.
  ///
  /// - Parameter keepsOld: if false, each new token invalidates the previous one.
  package static func serving(_ azure: FakeAzureServer, keepsOld: Bool = false) throws
    -> EntraServer
  {
    try EntraServer { setup in
      setup.issued = { token, end in
        azure.change {
          if !keepsOld { $0.tokens = [:] }
          $0.tokens[token] = end
        }
      }
    }
  }

  // MARK: What a user sets

  package var principal: [String: String] {
    [
      "AZURE_AUTHORITY_HOST": url + "/", "AZURE_TENANT_ID": EntraServer.tenant,
      "AZURE_CLIENT_ID": EntraServer.clientID,
    ]
  }
  package var imds: [String: String] { ["AZURE_POD_IDENTITY_AUTHORITY_HOST": url] }
  package var appService: [String: String] {
    ["IDENTITY_ENDPOINT": url + "/msi/token", "IDENTITY_HEADER": EntraServer.header]
  }
  package var arc: [String: String] {
    ["IDENTITY_ENDPOINT": url + "/arc/token", "IMDS_ENDPOINT": url]
  }
}
