import BackupTypes
import SystemIO
import TestSupport

/// Places with a repository in an Azure Blob Storage, and the settings that a user needs to reach it.
extension Place {
  /// The repository `container/prefix` on the tests' own server.
  static func on(_ server: FakeAzureServer, environment: [String: String]) throws -> Place {
    try Place(
      repository: "az://container/prefix?account=\(FakeAzureServer.account)&endpoint=\(server.url)",
      environment: environment)
  }
}

/// One of the ways in which Azure gives a user credentials, on a server that simulates Microsoft's.
final class AzureDesk: Sendable {
  enum Kind: CaseIterable, Sendable {
    case key, signature, connectionString
    case secret, certificate, workloadIdentity, metadata, appService

    /// Those with tokens that expire and are replaced. Azure Arc's is missing: it reads a folder of the
    /// machine itself.
    static let rotating: [Kind] = [
      .secret, .certificate, .workloadIdentity, .metadata, .appService,
    ]
  }

  let entra: EntraServer
  let folder: TemporaryDirectory
  let environment: [String: String]

  /// - Parameters:
  ///   - lifetimeSeconds: the lifetime of each token.
  ///   - keepsOld: whether a new token leaves the previous one valid, for tests in which several processes
  ///     request tokens.
  init(
    _ kind: Kind, for azure: FakeAzureServer, lifetimeSeconds: Int = 3599, keepsOld: Bool = false
  ) throws {
    folder = try TemporaryDirectory("desk")
    entra = try EntraServer.serving(azure, keepsOld: keepsOld)
    let made = RSAKeyPair.shared.certificate()
    entra.change {
      $0.lifetimeSeconds = lifetimeSeconds
      $0.certificates = [made.der]
    }
    // No home directory with a developer's files, and no service of the machine's vendor.
    let none = [
      "HOME": "/nonexistent", "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:1",
    ]
    var own: [String: String]
    switch kind {
    case .key: own = ["AZURE_STORAGE_KEY": FakeAzureServer.key]
    case .signature: own = ["AZURE_STORAGE_SAS_TOKEN": azure.signature("rcwdl")]
    case .connectionString: own = ["AZURE_STORAGE_CONNECTION_STRING": azure.connectionString]
    case .secret:
      own = entra.principal
      own["AZURE_CLIENT_SECRET"] = EntraServer.secret
    case .certificate:
      own = entra.principal
      own["AZURE_CLIENT_CERTIFICATE_PATH"] = folder("client.pem")
      try TestFiles.write(made.pem + RSAKeyPair.shared.privatePEM, to: folder("client.pem"))
    case .workloadIdentity:
      own = entra.principal
      own["AZURE_FEDERATED_TOKEN_FILE"] = folder("token")
      try TestFiles.write("planted-federated", to: folder("token"))
    case .metadata: own = entra.imds
    case .appService: own = entra.appService
    }
    environment = none.merging(own) { $1 }
  }
}
