/// What the az command line and Microsoft's libraries take from the environment and from the files it names.
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

  /// The parts of `AZURE_STORAGE_CONNECTION_STRING`; nil when it is not set.
  ///
  /// - Throws: `.storeUnavailable` for a text that is no connection string.
  package func connectionString() throws -> AzureConnectionString? {
    try self[AzureConnectionString.variable].map { try AzureConnectionString($0) }
  }
}
