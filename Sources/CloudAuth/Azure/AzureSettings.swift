/// The settings that the az command line and Microsoft's libraries read from the environment, and from the
/// files that it names.
package struct AzureSettings: VendorSettings {
  package let environment: [String: String]
  package let readFile: @Sendable (String) throws -> [UInt8]?

  package init(
    environment: [String: String],
    readFile: @escaping @Sendable (String) throws -> [UInt8]? = AzureSettings.read
  ) {
    self.environment = environment
    self.readFile = readFile
  }

  /// The storage account that `AZURE_STORAGE_ACCOUNT` names.
  package var account: String? { self["AZURE_STORAGE_ACCOUNT"]?.trimmingWhitespace() }

  /// The parts of `AZURE_STORAGE_CONNECTION_STRING`; nil if it is not set.
  ///
  /// - Throws: `.storeUnavailable` if the text is not a connection string.
  package func connectionString() throws -> AzureConnectionString? {
    try self[AzureConnectionString.variable].map { try AzureConnectionString($0) }
  }
}
