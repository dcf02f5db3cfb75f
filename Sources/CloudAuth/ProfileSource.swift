package import BackupTypes
package import HTTPTransport

/// A profile of the shared configuration: keys, a role assumed through another profile or source
/// (chains of any length), a role assumed with a web identity token, or an external process.
///
/// If a profile has several of them, the order is that of AWS's SDK for Go: a role, then keys, then a
/// process.
package struct ProfileSource: CredentialSource {
  package let name = "profile"
  private let settings: AWSSettings
  private let service: SecurityTokenService
  private let container: ContainerSource
  private let instance: InstanceMetadataSource

  package init(
    settings: AWSSettings, client: HTTPClient, now: @escaping @Sendable () -> Instant
  ) {
    self.settings = settings
    service = SecurityTokenService(settings: settings, client: client, now: now)
    container = ContainerSource(settings: settings, client: client)
    instance = InstanceMetadataSource(settings: settings, client: client)
  }

  package func load() async throws -> CredentialLookup<AWSCredentials> {
    let configuration = try settings.sharedConfiguration()
    let name = settings.profileName
    guard configuration.profile(name) != nil else {
      let absent = try settings.absentFile()
      guard settings.isProfileNamed else {
        return .notConfigured(
          reason: absent ?? "there is no profile \"default\"", mayAppear: absent != nil)
      }
      throw credentialFailure(
        "there is no profile \"\(printable(name))\"", cause: absent ?? "AWS_PROFILE names it",
        hint: "check AWS_PROFILE, AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE",
        isRetryable: absent != nil)
    }
    return try await load(name, of: configuration, visited: [])
  }

  private func load(
    _ name: String, of configuration: SharedConfiguration, visited: [String]
  ) async throws -> CredentialLookup<AWSCredentials> {
    guard let profile = configuration.profile(name) else {
      throw credentialFailure(
        "there is no profile \"\(printable(name))\"",
        cause: "source_profile of \"\(printable(visited.last ?? ""))\" names it")
    }
    // A profile may name itself as its source; this means its own keys.
    let isSelf = visited.last == name
    if let role = try role(of: profile, name), !isSelf {
      guard !visited.contains(name) else {
        throw credentialFailure(
          "the profile \"\(printable(name))\" is its own source",
          cause: (visited + [name]).map { printable($0) }.joined(separator: " → "))
      }
      return try await assume(role, profile, name, of: configuration, visited: visited + [name])
    }
    if let keys = try keys(of: profile, name) { return .found(keys) }
    if let command = profile["credential_process"] {
      return .found(try await CredentialProcess(settings: settings).run(command))
    }
    if profile["sso_session"] != nil || profile["sso_start_url"] != nil {
      throw credentialFailure(
        "the profile \"\(printable(name))\" signs in through a browser (SSO)",
        hint: "an unattended backup needs a role: use the role of the instance or the pod, or"
          + " credential_process = aws configure export-credentials --profile NAME")
    }
    return .notConfigured(reason: "the profile \"\(printable(name))\" holds no credentials")
  }

  private func role(
    of profile: SharedConfiguration.Profile, _ name: String
  ) throws -> SecurityTokenService.Role? {
    guard let arn = profile["role_arn"] else { return nil }
    guard profile["mfa_serial"] == nil else {
      throw credentialFailure(
        "the profile \"\(printable(name))\" requires a one-time code (mfa_serial)",
        hint: "an unattended backup can't enter one: use a role without MFA")
    }
    return SecurityTokenService.Role(
      arn: arn, sessionName: profile["role_session_name"] ?? defaultSessionName,
      externalID: profile["external_id"],
      durationSeconds: profile["duration_seconds"].flatMap { Int($0) })
  }

  private func assume(
    _ role: SecurityTokenService.Role, _ profile: SharedConfiguration.Profile, _ name: String,
    of configuration: SharedConfiguration, visited: [String]
  ) async throws -> CredentialLookup<AWSCredentials> {
    if let file = profile["web_identity_token_file"] {
      let token = try settings.token(of: file, namedBy: "the profile \(printable(name))")
      return .found(try await service.assume(role, webIdentityToken: token))
    }
    let lookup: CredentialLookup<AWSCredentials>
    if let source = profile["source_profile"] {
      lookup = try await load(source, of: configuration, visited: visited)
    } else if let source = profile["credential_source"] {
      switch source {
      case "Environment": lookup = try await EnvironmentSource(settings: settings).load()
      case "EcsContainer": lookup = try await container.load()
      case "Ec2InstanceMetadata": lookup = try await instance.load()
      default:
        throw credentialFailure(
          "credential_source of the profile \"\(printable(name))\" is unknown",
          cause: printable(source),
          hint: "it must be Environment, EcsContainer or Ec2InstanceMetadata")
      }
    } else {
      throw credentialFailure(
        "the profile \"\(printable(name))\" has a role_arn but no credentials to assume it with",
        hint: "add source_profile, credential_source or web_identity_token_file")
    }
    switch lookup {
    case .found(let credentials): return .found(try await service.assume(role, with: credentials))
    case .anonymous: return .anonymous
    case .notConfigured(let reason, let mayAppear):
      throw credentialFailure(
        "the source of the profile \"\(printable(name))\" provides no credentials", cause: reason,
        isRetryable: mayAppear)
    }
  }

  private func keys(
    of profile: SharedConfiguration.Profile, _ name: String
  ) throws -> AWSCredentials? {
    guard let key = profile["aws_access_key_id"], let secret = profile["aws_secret_access_key"]
    else {
      guard profile["aws_access_key_id"] == nil, profile["aws_secret_access_key"] == nil else {
        throw credentialFailure(
          "the profile \"\(printable(name))\" has only half of the credentials",
          hint: "set both aws_access_key_id and aws_secret_access_key")
      }
      return nil
    }
    return AWSCredentials(
      accessKeyID: key, secretAccessKey: secret, sessionToken: profile["aws_session_token"])
  }
}
