import BackupTypes
import Codec
import FoundationEssentials

/// Signs a request with the key of a storage account ("Authorize with Shared Key"). Pure.
package enum AzureSharedKey {
  /// A request as it is sent. The header `x-ms-date` contains its date.
  package struct Request: Sendable {
    package var method: String
    /// The percent-encoded path from the root of the host. Emulators expect the account as its first
    /// component.
    package var path: String
    /// The query items before encoding.
    package var query: [(String, String)]
    package var headers: [(String, String)]
    package var bodyByteCount: Int

    package init(
      method: String, path: String, query: [(String, String)], headers: [(String, String)],
      bodyByteCount: Int
    ) {
      self.method = method
      self.path = path
      self.query = query
      self.headers = headers
      self.bodyByteCount = bodyByteCount
    }
  }

  /// These headers are signed by position, between the method and the `x-ms-` headers. `Date` is always
  /// empty, since `x-ms-date` is sent. Microsoft's own library never signs `Range`, so ranges are sent as
  /// `x-ms-range`.
  private static let signedHeaders = [
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
  ]

  package static func stringToSign(_ request: Request, account: String) -> String {
    var headers: [String: String] = [:]
    for (name, value) in request.headers { headers[name.lowercased()] = value }
    headers["content-length"] = request.bodyByteCount == 0 ? nil : "\(request.bodyByteCount)"
    var lines = [request.method] + signedHeaders.map { headers[$0] ?? "" }
    // For our headers, byte order is the same as the service's order.
    lines += headers.filter { $0.key.hasPrefix("x-ms-") }.map { "\($0.key):\($0.value)" }.sorted {
      $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
    lines.append("/\(account)\(request.path)")
    lines += request.query.map { "\($0.0.lowercased()):\($0.1)" }.sorted {
      $0.utf8.lexicographicallyPrecedes($1.utf8)
    }
    return lines.joined(separator: "\n")
  }

  /// The value of the `Authorization` header; nil if the key is not base64.
  package static func authorization(_ request: Request, account: String, key: String) -> String? {
    guard let secret = Data(base64Encoded: key) else { return nil }
    let code = hmacSHA256(key: Array(secret), Array(stringToSign(request, account: account).utf8))
    return "SharedKey \(account):\(Data(code.bytes).base64EncodedString())"
  }
}
