package import BackupTypes
package import HTTPTransport

/// A service principal with a secret or a certificate: `AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, and
/// `AZURE_CLIENT_SECRET` or `AZURE_CLIENT_CERTIFICATE_PATH`.
package struct AzureEnvironmentSource: CredentialSource {
  package let name = "environment"
  private let settings: AzureSettings
  private let service: OAuthTokenService

  package init(
    settings: AzureSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) {
    self.settings = settings
    service = OAuthTokenService(client: client, now: now)
  }

  package func load() async throws -> CredentialLookup<AzureCredentials> {
    let path = settings["AZURE_CLIENT_CERTIFICATE_PATH"]
    let secret = settings["AZURE_CLIENT_SECRET"]
    guard path != nil || secret != nil else {
      // A tenant without a proof is an incomplete service principal. It is not a workload identity either.
      if settings["AZURE_TENANT_ID"] != nil, settings["AZURE_FEDERATED_TOKEN_FILE"] == nil {
        throw halfSet(
          "AZURE_TENANT_ID is set, but none of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH"
            + " and AZURE_FEDERATED_TOKEN_FILE")
      }
      return .notConfigured(
        reason: "neither AZURE_CLIENT_SECRET nor AZURE_CLIENT_CERTIFICATE_PATH is set")
    }
    let (tenant, client) = try settings.application(
      for: secret != nil ? "AZURE_CLIENT_SECRET" : "AZURE_CLIENT_CERTIFICATE_PATH")
    let proof: EntraApplication.Proof
    if let secret {
      proof = .secret(Redacted(secret.trimmingWhitespace()))
    } else {
      let path = path ?? ""
      guard let pem = try settings.text(of: path) else {
        throw credentialFailure(
          "the certificate file \(printable(path)) does not exist",
          cause: "named by AZURE_CLIENT_CERTIFICATE_PATH",
          hint: "check that the Secret is mounted and the path is right", isRetryable: true)
      }
      proof = .certificate(try EntraCertificate(pem: pem, path: path))
    }
    let application = try EntraApplication(
      settings: settings, tenant: tenant, clientID: client, proof: proof)
    return .found(try await application.credentials(from: service))
  }
}

/// Workload identity, as AKS's webhook sets it up. The cluster's token is in a file. The file is read again
/// for every token, since the kubelet replaces it.
package struct AzureWorkloadIdentitySource: CredentialSource {
  package let name = "workload identity"
  private let settings: AzureSettings
  private let service: OAuthTokenService

  package init(
    settings: AzureSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) {
    self.settings = settings
    service = OAuthTokenService(client: client, now: now)
  }

  package func load() async throws -> CredentialLookup<AzureCredentials> {
    guard let path = settings["AZURE_FEDERATED_TOKEN_FILE"] else {
      return .notConfigured(reason: "AZURE_FEDERATED_TOKEN_FILE is not set")
    }
    let (tenant, client) = try settings.application(for: "AZURE_FEDERATED_TOKEN_FILE")
    let token = try settings.token(of: path, namedBy: "AZURE_FEDERATED_TOKEN_FILE")
    let application = try EntraApplication(
      settings: settings, tenant: tenant, clientID: client,
      proof: .federated(Redacted(token), path: path))
    return .found(try await application.credentials(from: service))
  }
}

extension AzureSettings {
  /// The tenant and the client, without which `variable` is useless.
  fileprivate func application(for variable: String) throws -> (tenant: String, client: String) {
    guard let tenant = self["AZURE_TENANT_ID"], let client = self["AZURE_CLIENT_ID"] else {
      let missing = ["AZURE_TENANT_ID", "AZURE_CLIENT_ID"].filter { self[$0] == nil }
      throw halfSet("\(variable) is set, but not \(missing.joined(separator: " and "))")
    }
    return (tenant.trimmingWhitespace(), client.trimmingWhitespace())
  }
}

/// Going on to the next source would use a different identity than the configured one.
func halfSet(_ cause: String) -> LifeboatError {
  credentialFailure(
    "the Azure credentials are incomplete", cause: cause,
    hint: "set what is missing, or unset the rest; in AKS, check the pod's label"
      + " azure.workload.identity/use and the client-id annotation of its service account")
}
