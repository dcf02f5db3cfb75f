package import HTTPTransport

/// What a request does. Messages name it, and each vendor needs a permission for it.
package enum StoreAction: String, Sendable {
  case create = "write"
  case read
  case list
  case delete
}

/// One request to a store, before the endpoint and the authorization are added.
package struct StoreRequest: Sendable {
  package var action: StoreAction
  package var method: HTTPRequest.Method
  /// The percent-encoded path, beginning with "/". It follows the path of the endpoint.
  package var path: String
  /// The query items before encoding.
  package var query: [(String, String)]
  package var headers: [(String, String)] = []
  package var body: [UInt8] = []
  /// The object as messages show it; printable.
  package var object: String
  package var responseBytesMax = 1 << 20

  package init(
    action: StoreAction, method: HTTPRequest.Method, path: String, query: [(String, String)] = [],
    object: String
  ) {
    self.action = action
    self.method = method
    self.path = path
    self.query = query
    self.object = object
  }

  /// For messages: `read gs://bucket/name`.
  package var operation: String { "\(action.rawValue) \(object)" }
}
