import FoundationEssentials

/// The error body of Google's JSON APIs: `{"error": {"code", "message", "errors": [{"reason"}]}}`.
package struct GoogleAPIError: Sendable {
  package var message: String?
  /// The reason of the first error: `notFound`, `forbidden`, `authError`.
  package var reason: String?

  /// nil if `body` is not such an error.
  package init?(_ body: [UInt8]) {
    struct Reply: Decodable {
      struct Failure: Decodable {
        struct Item: Decodable { var reason: String? }
        var message: String?
        var errors: [Item]?
      }
      var error: Failure
    }
    guard let reply = try? JSONDecoder().decode(Reply.self, from: Data(body)) else { return nil }
    message = reply.error.message
    reason = reply.error.errors?.first?.reason
  }
}
