import BackupTypes
import FoundationEssentials

/// The JSON of a credential file, as Google's console, gcloud and `gcloud iam
/// workload-identity-pools create-cred-config` write it. See AIP-4110 to AIP-4117.
struct GoogleCredentialFile: Decodable {
  var type: String
  var universeDomain: String?
  var quotaProjectID: String?
  // service_account
  var clientEmail: String?
  var privateKey: String?
  var privateKeyID: String?
  var tokenURI: String?
  // authorized_user
  var clientID: String?
  var clientSecret: String?
  var refreshToken: String?
  // external_account
  var audience: String?
  var subjectTokenType: String?
  var tokenURL: String?
  var credentialSource: ExternalSource?
  var impersonationURL: String?
  var impersonation: Impersonation?
  var workforcePoolUserProject: String?

  struct ExternalSource: Decodable {
    struct Format: Decodable {
      var type: String?
      var subjectTokenFieldName: String?
      private enum CodingKeys: String, CodingKey {
        case type
        case subjectTokenFieldName = "subject_token_field_name"
      }
    }
    var file: String?
    var format: Format?
  }

  struct Impersonation: Decodable {
    var tokenLifetimeSeconds: Int?
    private enum CodingKeys: String, CodingKey {
      case tokenLifetimeSeconds = "token_lifetime_seconds"
    }
  }

  private enum CodingKeys: String, CodingKey {
    case type, audience
    case universeDomain = "universe_domain"
    case quotaProjectID = "quota_project_id"
    case clientEmail = "client_email"
    case privateKey = "private_key"
    case privateKeyID = "private_key_id"
    case tokenURI = "token_uri"
    case clientID = "client_id"
    case clientSecret = "client_secret"
    case refreshToken = "refresh_token"
    case subjectTokenType = "subject_token_type"
    case tokenURL = "token_url"
    case credentialSource = "credential_source"
    case impersonationURL = "service_account_impersonation_url"
    case impersonation = "service_account_impersonation"
    case workforcePoolUserProject = "workforce_pool_user_project"
  }

  /// - Parameters:
  ///   - json: contains the secret, so errors never quote it.
  ///   - path: for messages.
  init(_ json: String, path: String) throws {
    do {
      self = try JSONDecoder().decode(GoogleCredentialFile.self, from: Data(json.utf8))
    } catch {
      throw credentialFailure(
        "can't read the credential file \(printable(path))",
        cause: "it is not the JSON of Google credentials",
        hint:
          "download the key again from the console or with gcloud; a Secret may be truncated, or"
          + " base64-encoded twice")
    }
    if let universeDomain, universeDomain != "googleapis.com" {
      throw credentialFailure(
        "the credentials in \(printable(path)) are for another cloud",
        cause: "universe_domain is \(printable(universeDomain))",
        hint: "only googleapis.com is supported")
    }
  }

  func grant(settings: GoogleSettings, path: String) throws -> any GoogleGrant {
    switch type {
    case "service_account": return try ServiceAccountGrant(self, path: path)
    case "authorized_user": return try AuthorizedUserGrant(self, path: path)
    case "external_account":
      return try ExternalAccountGrant(self, settings: settings, path: path)
    default:
      throw credentialFailure(
        "the credentials in \(printable(path)) are of a kind that is not supported",
        cause: "their type is \(printable(type))",
        hint: "use one of service_account, authorized_user, external_account")
    }
  }

  /// A field that this kind requires.
  static func required(_ value: String?, _ name: String, path: String) throws -> String {
    guard let value, !value.isEmpty else {
      throw credentialFailure(
        "can't use the credential file \(printable(path))", cause: "it has no \(name)",
        hint: "use the file unchanged, as Google's console or gcloud created it")
    }
    return value
  }

  /// An address to which secrets are sent.
  static func address(_ value: String, _ name: String, path: String) throws -> String {
    guard PlainHTTP.maySendSecret(to: value) else {
      throw credentialFailure(
        "can't use the credential file \(printable(path))",
        cause: "its \(name) is not https, and a secret would be sent there",
        hint: "use the file unchanged, as Google's console or gcloud created it")
    }
    return value
  }
}
