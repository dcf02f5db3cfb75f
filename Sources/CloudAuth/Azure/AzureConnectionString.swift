import BackupTypes

/// `AccountName=…;AccountKey=…;EndpointSuffix=…`, or `BlobEndpoint=…;SharedAccessSignature=…`. Pure.
package struct AzureConnectionString: Sendable, Equatable {
  static let variable = "AZURE_STORAGE_CONNECTION_STRING"

  package let account: String?
  let key: Redacted?
  let signature: Redacted?
  /// `https://account.blob.core.windows.net`, without "/" at the end; nil if the string names none.
  package let endpoint: String?

  /// - Parameter text: contains the secret, so errors never quote it.
  init(_ text: String) throws {
    var fields: [String: String] = [:]
    for item in text.trimmingWhitespace().split(separator: ";") {
      let pair = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, !pair[0].isEmpty else {
        throw AzureConnectionString.failure("a part of it is not NAME=VALUE")
      }
      fields[pair[0].lowercased()] = String(pair[1])
    }
    func field(_ name: String) -> String? {
      fields[name.lowercased()].flatMap { $0.isEmpty ? nil : $0 }
    }
    guard field("UseDevelopmentStorage") == nil else {
      throw AzureConnectionString.failure(
        "UseDevelopmentStorage is not supported: give AccountName, AccountKey and BlobEndpoint")
    }
    account = field("AccountName")
    key = field("AccountKey").map { Redacted($0) }
    signature = field("SharedAccessSignature").map { Redacted($0) }
    if key != nil, account == nil {
      throw AzureConnectionString.failure("it has an AccountKey and no AccountName")
    }
    if key == nil, signature == nil {
      throw AzureConnectionString.failure("it has neither AccountKey nor SharedAccessSignature")
    }
    if var blob = field("BlobEndpoint") {
      while blob.hasSuffix("/") { blob.removeLast() }
      endpoint = blob
    } else if let account {
      let scheme = field("DefaultEndpointsProtocol") ?? "https"
      endpoint = "\(scheme)://\(account).blob.\(field("EndpointSuffix") ?? "core.windows.net")"
    } else {
      throw AzureConnectionString.failure("it has neither AccountName nor BlobEndpoint")
    }
  }

  private static func failure(_ cause: String) -> LifeboatError {
    credentialFailure(
      "can't use \(variable)", cause: cause,
      hint: "use it unchanged, as the portal or `az storage account show-connection-string` prints"
        + " it")
  }
}
