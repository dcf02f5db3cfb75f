import BackupTypes
import HTTPTransport

/// An application of Microsoft Entra that requests its own token (OAuth 2 client credentials), and its proof
/// of identity.
struct EntraApplication: Sendable {
  static let origin = "Microsoft Entra"
  private static let assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
  private static let defaultAuthority = "https://login.microsoftonline.com"
  /// The clock is corrected for an assertion if it is off by more than this.
  private static let skewMilliseconds: Int64 = 30_000

  enum Proof: Sendable {
    case secret(Redacted)
    case certificate(EntraCertificate)
    /// A token of a Kubernetes cluster, read from a file.
    case federated(Redacted, path: String)
  }

  let tenant: String
  let clientID: String
  let proof: Proof
  let url: String

  init(
    settings: AzureSettings, tenant: String, clientID: String, proof: Proof
  ) throws {
    var authority = settings["AZURE_AUTHORITY_HOST"] ?? EntraApplication.defaultAuthority
    while authority.hasSuffix("/") { authority.removeLast() }
    if authority.firstRange(of: "://") == nil { authority = "https://" + authority }
    guard PlainHTTP.maySendSecret(to: authority) else {
      throw credentialFailure(
        "a secret is not sent to \(printable(authority))",
        cause: "AZURE_AUTHORITY_HOST is not https",
        hint: "it is https://login.microsoftonline.com/ except for national clouds")
    }
    guard EntraApplication.isName(tenant), EntraApplication.isName(clientID) else {
      throw credentialFailure(
        "AZURE_TENANT_ID or AZURE_CLIENT_ID is not an id",
        cause: "it has characters other than letters, digits, \"-\" and \".\"",
        hint: "copy them from the application's overview in the portal; look for a line break")
    }
    self.tenant = tenant
    self.clientID = clientID
    self.proof = proof
    url = "\(authority)/\(tenant)/oauth2/v2.0/token"
  }

  /// The tenant becomes part of a URL.
  private static func isName(_ text: String) -> Bool {
    !text.isEmpty && !text.hasPrefix(".")
      && text.utf8.allSatisfy {
        (48...57).contains($0) || (65...90).contains($0) || (97...122).contains($0)
          || $0 == 0x2d || $0 == 0x2e
      }
  }

  func credentials(from service: OAuthTokenService) async throws -> AzureCredentials {
    do {
      return try await token(from: service, at: service.now())
        .credentials(of: "the client \(clientID)")
    } catch let refusal as OAuthTokenService.Refusal {
      // If our clock was the reason, the assertion is signed again with the server's time.
      guard case .certificate = proof, !refusal.isRetryable, let date = refusal.date,
        abs(date.since(service.now())) > EntraApplication.skewMilliseconds
      else { throw failure(refusal) }
      do {
        return try await token(from: service, at: date)
          .credentials(of: "the client \(clientID)")
      } catch let refusal as OAuthTokenService.Refusal {
        throw failure(refusal)
      }
    }
  }

  private func token(
    from service: OAuthTokenService, at time: Instant
  ) async throws -> OAuthTokenService.Token {
    var fields = [
      ("grant_type", "client_credentials"), ("client_id", clientID), ("scope", AzureScope.storage),
    ]
    switch proof {
    case .secret(let secret): fields.append(("client_secret", secret.reveal()))
    case .certificate(let certificate):
      fields.append(("client_assertion_type", EntraApplication.assertionType))
      fields.append(
        ("client_assertion", try certificate.assertion(client: clientID, audience: url, at: time)))
    case .federated(let token, _):
      fields.append(("client_assertion_type", EntraApplication.assertionType))
      fields.append(("client_assertion", token.reveal()))
    }
    return try await service.exchange(fields, at: url, origin: EntraApplication.origin)
  }

  private func failure(_ refusal: OAuthTokenService.Refusal) -> LifeboatError {
    let what =
      switch proof {
      case .secret: "the secret of the client \(printable(clientID))"
      case .certificate: "the certificate of the client \(printable(clientID))"
      case .federated(_, let path): "the token in \(printable(path))"
      }
    let isStale = refusal.number == "AADSTS700024"
    return credentialFailure(
      "\(EntraApplication.origin) refused \(what)", cause: refusal.words,
      hint: refusal.passingHint("Microsoft") ?? hint(refusal),
      isRetryable: refusal.isRetryable || isStale
    ).denied(!refusal.isRetryable)
  }

  private func hint(_ refusal: OAuthTokenService.Refusal) -> String {
    switch (refusal.number, proof) {
    case ("AADSTS7000215", _):
      return "AZURE_CLIENT_SECRET must be the secret's value, not its id: create a new secret"
    case ("AADSTS7000222", _): return "the secret has expired: create a new one"
    case ("AADSTS700016", _):
      return "the client does not exist in the tenant \(printable(tenant)): check AZURE_CLIENT_ID"
        + " and AZURE_TENANT_ID"
    case ("AADSTS90002", _): return "the tenant does not exist: check AZURE_TENANT_ID"
    case ("AADSTS700027", _):
      return "the certificate is not registered with the client, or does not belong to the key:"
        + " upload it, and check this machine's clock"
    case ("AADSTS700024", .federated):
      return "the token has expired: use the projected token file, which Kubernetes renews"
    case ("AADSTS700024", _): return "check this machine's clock"
    case (nil, _) where refusal.code.isEmpty:
      return "check AZURE_AUTHORITY_HOST: this is not a reply of Microsoft Entra"
    case (_, .federated):
      return "the identity needs a federated credential with this cluster's issuer, the subject"
        + " system:serviceaccount:NAMESPACE:NAME and the audience api://AzureADTokenExchange"
    case (_, .secret): return "check AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"
    case (_, .certificate):
      return "check AZURE_TENANT_ID, AZURE_CLIENT_ID and that the certificate is the client's"
    }
  }
}

extension OAuthTokenService.Refusal {
  /// Entra's own error number, `AADSTS7000215`; nil if there is none.
  fileprivate var number: String? {
    description.firstMatch(of: /AADSTS[0-9]+/).map { String($0.output) }
  }
}
