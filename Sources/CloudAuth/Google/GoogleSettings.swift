/// The settings that Google's own libraries and gcloud read from the environment, and from the files that it
/// names.
package struct GoogleSettings: VendorSettings {
  package let environment: [String: String]
  package let readFile: @Sendable (String) throws -> [UInt8]?

  package init(
    environment: [String: String],
    readFile: @escaping @Sendable (String) throws -> [UInt8]? = GoogleSettings.read
  ) {
    self.environment = environment
    self.readFile = readFile
  }

  /// Where `gcloud auth application-default login` saves its credentials.
  var wellKnownFile: String {
    (self["CLOUDSDK_CONFIG"] ?? "~/.config/gcloud") + "/application_default_credentials.json"
  }

  /// The project that requests are billed to if the credentials name none.
  var quotaProject: String? { self["GOOGLE_CLOUD_QUOTA_PROJECT"] }
}
