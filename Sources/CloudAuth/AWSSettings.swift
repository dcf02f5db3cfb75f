import BackupTypes

/// The settings that AWS's own tools read from the environment, and from the files that it names.
package struct AWSSettings: VendorSettings {
  package let environment: [String: String]
  package let readFile: @Sendable (String) throws -> [UInt8]?

  package init(
    environment: [String: String],
    readFile: @escaping @Sendable (String) throws -> [UInt8]? = AWSSettings.read
  ) {
    self.environment = environment
    self.readFile = readFile
  }

  var profileName: String { first("AWS_PROFILE", "AWS_DEFAULT_PROFILE") ?? "default" }
  var isProfileNamed: Bool { first("AWS_PROFILE", "AWS_DEFAULT_PROFILE") != nil }

  /// The current content of both files.
  func sharedConfiguration() throws -> SharedConfiguration {
    let configuration = try text(of: self["AWS_CONFIG_FILE"] ?? "~/.aws/config") ?? ""
    let credentials =
      try text(of: self["AWS_SHARED_CREDENTIALS_FILE"] ?? "~/.aws/credentials") ?? ""
    return SharedConfiguration(configuration: configuration, credentials: credentials)
  }

  /// A file that a variable names but that does not exist, in words. A mount or a sidecar may still create
  /// it.
  func absentFile() throws -> String? {
    for variable in ["AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"] {
      if let path = self[variable], try text(of: path) == nil {
        return "\(printable(path)), named by \(variable), does not exist"
      }
    }
    return nil
  }

  /// The address that the profile configures for a service: in its `services` section, else the one for all
  /// services.
  package func configuredEndpoint(of service: String) throws -> String? {
    guard let profile = try sharedConfiguration().profile(profileName) else { return nil }
    return profile.services[service]?["endpoint_url"] ?? profile["endpoint_url"]
  }
}
