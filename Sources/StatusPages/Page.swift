/// A request for a page: body, query, and all but two headers are ignored.
package struct PageRequest: Sendable, Hashable {
  package var method: String
  /// Without the query.
  package var path: String
  /// The name by which the client knows this server; nil if it gave none.
  package var host: String?
  /// The site whose page made a browser send the request (`Origin`); nil if none did.
  package var origin: String?

  package init(method: String, path: String, host: String? = nil, origin: String? = nil) {
    self.method = method
    self.path = path
    self.host = host
    self.origin = origin
  }

  /// Whether a page of another site sent the request. A browser sends a POST before it knows whether that
  /// is allowed.
  package var isOfAnotherSite: Bool {
    guard let origin = origin?.lowercased() else { return false }
    // A sidecar that is used from another machine may have a proxy in front, with or without TLS.
    return !["http://", "https://"].contains { origin == $0 + (host ?? "").lowercased() }
  }
}

/// One answer, complete.
package struct Page: Sendable, Hashable {
  package var status: Int
  package var contentType: String
  package var body: [UInt8]

  package init(_ status: Int, contentType: String, body: [UInt8]) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  package static func text(_ status: Int, _ text: String) -> Page {
    Page(status, contentType: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
  }
  package static func html(_ body: [UInt8]) -> Page {
    Page(200, contentType: "text/html; charset=utf-8", body: body)
  }
  package static func json(_ status: Int, _ body: [UInt8]) -> Page {
    Page(status, contentType: "application/json", body: body)
  }
}
