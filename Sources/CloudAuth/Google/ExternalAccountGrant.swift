import BackupTypes
import FoundationEssentials

/// Workload identity federation (AIP-4117): a token of another provider, such as a Kubernetes cluster, is
/// read from a file, and exchanged with Google's Security Token Service (RFC 8693). If a service account is
/// named, the result is exchanged for one of its tokens.
///
/// The file is read at every call: the kubelet replaces it well before it expires.
struct ExternalAccountGrant: GoogleGrant {
  private static let origin = "Google's Security Token Service"
  private static let defaultURL = "https://sts.googleapis.com/v1/token"

  private enum Format {
    case text
    case json(field: String)
  }

  let audience: String
  let subjectTokenType: String
  let url: String
  let userProject: String?
  let impersonation: ServiceAccountImpersonation?
  private let file: String
  private let format: Format
  private let settings: GoogleSettings

  init(_ credentials: GoogleCredentialFile, settings: GoogleSettings, path: String) throws {
    audience = try GoogleCredentialFile.required(credentials.audience, "audience", path: path)
    subjectTokenType = try GoogleCredentialFile.required(
      credentials.subjectTokenType, "subject_token_type", path: path)
    url = try GoogleCredentialFile.address(
      credentials.tokenURL ?? ExternalAccountGrant.defaultURL, "token_url", path: path)
    userProject = credentials.workforcePoolUserProject
    impersonation = try credentials.impersonationURL.map {
      ServiceAccountImpersonation(
        url: try GoogleCredentialFile.address(
          $0, "service_account_impersonation_url", path: path),
        lifetimeSeconds: credentials.impersonation?.tokenLifetimeSeconds)
    }
    guard let file = credentials.credentialSource?.file, !file.isEmpty else {
      throw credentialFailure(
        "can't use the credential file \(printable(path))",
        cause: "its credential_source names no file",
        hint: "create it with --credential-source-file; URLs, programs and AWS are not supported as"
          + " sources")
    }
    self.file = file
    let format = credentials.credentialSource?.format
    switch format?.type {
    case nil, "text": self.format = .text
    case "json":
      self.format = .json(
        field: try GoogleCredentialFile.required(
          format?.subjectTokenFieldName, "subject_token_field_name", path: path))
    default:
      throw credentialFailure(
        "can't use the credential file \(printable(path))",
        cause: "the format \(printable(format?.type ?? "")) is unknown", hint: "it is text or json")
    }
    self.settings = settings
  }

  func token(from service: OAuthTokenService) async throws -> GoogleAccessToken {
    var fields = [
      ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"), ("audience", audience),
      ("scope", impersonation == nil ? GoogleScope.storage : GoogleScope.platform),
      ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
      ("subject_token", try subjectToken()), ("subject_token_type", subjectTokenType),
    ]
    if let userProject {
      let options = try JSONEncoder().encode(["userProject": userProject])
      fields.append(("options", String(decoding: options, as: UTF8.self)))
    }
    let reply: OAuthTokenService.Token
    do {
      reply = try await service.exchange(fields, at: url, origin: ExternalAccountGrant.origin)
    } catch let refusal as OAuthTokenService.Refusal {
      throw failure(refusal)
    }
    let federated = GoogleAccessToken(
      token: reply.token.reveal(), identity: audience, expiration: reply.expiration)
    guard let impersonation else { return federated }
    return try await impersonation.token(with: federated, from: service)
  }

  private func subjectToken() throws -> String {
    let text = try settings.token(of: file, namedBy: "credential_source")
    guard case .json(let field) = format else { return text }
    guard
      let object = try? JSONDecoder().decode([String: JSONText].self, from: Data(text.utf8)),
      let token = object[field]?.text, !token.isEmpty
    else {
      throw credentialFailure(
        "the token file \(printable(file)) is not the expected JSON",
        cause: "it has no text field \(printable(field))",
        hint: "check format and subject_token_field_name in the credential file",
        isRetryable: true)
    }
    return token
  }

  /// A text. Anything else is ignored.
  private struct JSONText: Decodable {
    var text: String?
    init(from decoder: any Decoder) throws {
      text = try? decoder.singleValueContainer().decode(String.self)
    }
  }

  private func failure(_ refusal: OAuthTokenService.Refusal) -> LifeboatError {
    let isStale = ["expired", "stale"].contains { refusal.description.lowercased().contains($0) }
    let hint: String?
    switch refusal.code {
    case _ where isStale:
      hint = "the token has expired: use the projected token file, which Kubernetes renews"
    case "invalid_target":
      hint = "the pool or provider in audience does not exist, or is disabled"
    case "unauthorized_client":
      hint = "the provider's attribute condition rejects this identity"
    case "": hint = "check token_url in the file"
    default:
      hint =
        "the token's issuer and audience must be those of the workload identity provider, and"
        + " subject_token_type its kind"
    }
    return credentialFailure(
      "\(ExternalAccountGrant.origin) refused the token in \(printable(file))",
      cause: refusal.words, hint: refusal.passingHint("Google") ?? hint,
      isRetryable: refusal.isRetryable || isStale)
  }
}
