import BackupTypes
import FoundationEssentials

/// The account key or the shared access signature in a connection string.
package struct AzureConnectionStringSource: CredentialSource {
  package let name = AzureConnectionString.variable
  private let settings: AzureSettings

  package init(settings: AzureSettings) { self.settings = settings }

  package func load() async throws -> CredentialLookup<AzureCredentials> {
    guard let parts = try settings.connectionString() else {
      return .notConfigured(reason: "it is not set")
    }
    if let key = parts.key, let account = parts.account {
      return .found(try AzureKeySource.credentials(account: account, key: key.reveal(), from: name))
    }
    return .found(try AzureSASSource.credentials(parts.signature?.reveal() ?? "", from: name))
  }
}

/// The key of the storage account: `AZURE_STORAGE_KEY`, as for the az command line.
package struct AzureKeySource: CredentialSource {
  package let name = "AZURE_STORAGE_KEY"
  private let settings: AzureSettings
  private let account: String?

  /// - Parameter account: the account in the repository's URL, if any.
  package init(settings: AzureSettings, account: String?) {
    self.settings = settings
    self.account = account
  }

  package func load() async throws -> CredentialLookup<AzureCredentials> {
    guard let key = settings[name] else { return .notConfigured(reason: "it is not set") }
    guard let account = account ?? settings.account else {
      throw credentialFailure(
        "\(name) is set, but no storage account", cause: "a key belongs to an account",
        hint: "add ?account=NAME to the URL, or set AZURE_STORAGE_ACCOUNT")
    }
    return .found(try AzureKeySource.credentials(account: account, key: key, from: name))
  }

  static func credentials(
    account: String, key: String, from origin: String
  ) throws -> AzureCredentials {
    let key = key.trimmingWhitespace()
    guard let bytes = Data(base64Encoded: key), !bytes.isEmpty else {
      throw credentialFailure(
        "can't use the key of the storage account \(printable(account))",
        cause: "the key in \(origin) is not base64",
        hint: "copy it again from the portal (Access keys); it may be truncated, or base64-encoded"
          + " twice")
    }
    return AzureCredentials(
      .sharedKey(account: account, key: Redacted(key)),
      identity: "the key of the account \(account)")
  }
}

/// A shared access signature: `AZURE_STORAGE_SAS_TOKEN`, as for the az command line.
package struct AzureSASSource: CredentialSource {
  package let name = "AZURE_STORAGE_SAS_TOKEN"
  private let settings: AzureSettings

  package init(settings: AzureSettings) { self.settings = settings }

  package func load() async throws -> CredentialLookup<AzureCredentials> {
    guard let token = settings[name] else { return .notConfigured(reason: "it is not set") }
    return .found(try AzureSASSource.credentials(token, from: name))
  }

  /// - Parameter token: the query, with or without a leading "?". Errors never quote it.
  static func credentials(_ token: String, from origin: String) throws -> AzureCredentials {
    var token = token.trimmingWhitespace()[...]
    if token.hasPrefix("?") { token.removeFirst() }
    let items = token.split(separator: "&").map { $0.split(separator: "=", maxSplits: 1) }
    func value(_ name: String) -> String? {
      items.first { $0.count == 2 && $0[0] == name }.map { String($0[1]) }
    }
    guard value("sig") != nil,
      token.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "#") })
    else {
      throw credentialFailure(
        "can't use the shared access signature in \(origin)",
        cause: "it has no sig=, or contains invalid characters",
        hint: "copy the whole token again: sv=…&se=…&sp=…&sig=…; quote it in a shell")
    }
    let permissions = value("sp").map { " with sp=\(printable($0, limit: 30))" } ?? ""
    // The expiry is only reported. Nothing could replace the signature earlier.
    let end = value("se").flatMap { URIEncoding.decode($0) }
      .map { ", valid until \(printable($0, limit: 30))" }
    return AzureCredentials(
      .signature(Redacted(String(token))),
      identity: "the shared access signature\(permissions)\(end ?? "")")
  }
}
