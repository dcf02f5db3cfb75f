package import BackupTypes

/// The credentials that authorize requests to Azure Blob Storage.
package struct AzureCredentials: VendorCredentials {
  package enum Proof: Sendable, Hashable {
    /// The key of an account, in base64. It signs each request.
    case sharedKey(account: String, key: Redacted)
    /// A shared access signature: a query that is added to every request.
    case signature(Redacted)
    /// An OAuth 2 bearer token from Microsoft Entra.
    case token(Redacted)
  }

  package var proof: Proof
  /// The owner of the credentials, in words: `the client 8f5…`.
  package var identity: String
  package var expiration: Instant?

  package init(_ proof: Proof, identity: String, expiration: Instant? = nil) {
    self.proof = proof
    self.identity = identity
    self.expiration = expiration
  }
}

extension AzureCredentials: CustomDebugStringConvertible {
  package static let vendor = "Azure"
  package static let missingHint =
    "give the pod a workload identity (label azure.workload.identity/use, client-id annotation) or"
    + " the machine a managed identity, or set AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN or"
    + " AZURE_STORAGE_CONNECTION_STRING"

  package var description: String {
    printable(identity) + (expiration.map { ", until \($0)" } ?? "")
  }
  package var debugDescription: String { description }
}

extension OAuthTokenService.Token {
  func credentials(of identity: String) -> AzureCredentials {
    AzureCredentials(.token(token), identity: identity, expiration: expiration)
  }
}

/// The resource that a token is valid for.
enum AzureScope {
  static let resource = "https://storage.azure.com"
  static let storage = "https://storage.azure.com/.default"
}

/// Removes shared access signatures from a text. They are secrets, and services and proxies quote addresses.
package func withoutSignatures(_ text: String) -> String {
  var result = ""
  var rest = text[...]
  while let found = rest.firstRange(of: /(?i)\bsig(=|%3d)/) {
    result += rest[..<found.upperBound] + "(redacted)"
    rest = rest[found.upperBound...].drop { !"&;,'\"<>)".contains($0) && !$0.isWhitespace }
  }
  return result + rest
}
