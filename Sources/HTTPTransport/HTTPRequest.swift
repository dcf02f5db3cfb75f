/// One request, complete with its body.
package struct HTTPRequest: Sendable {
  package enum Method: String, Sendable {
    case get = "GET", put = "PUT", post = "POST",
      head = "HEAD", delete = "DELETE"
  }

  package enum Route: Sendable {
    /// As `HTTPS_PROXY`, `HTTP_PROXY` (lower case only, as libcurl has it) and `NO_PROXY` say.
    case environment
    /// Never through a proxy: metadata services, which only this machine can reach.
    case direct
  }

  package var method: Method
  /// Absolute and percent-encoded; sent as it is, `..` segments included.
  package var url: String
  package var headers: HTTPHeaders
  package var body: [UInt8]
  package var route: Route
  /// nil: those of the client.
  package var limits: HTTPLimits?
  /// Bytes of the reply's body, and apart from it of its headers, beyond which it is refused.
  package var responseBytesMax: Int

  package init(
    _ method: Method, _ url: String, headers: HTTPHeaders = HTTPHeaders(), body: [UInt8] = [],
    route: Route = .environment, limits: HTTPLimits? = nil, responseBytesMax: Int = 1 << 20
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.route = route
    self.limits = limits
    self.responseBytesMax = responseBytesMax
  }
}

/// A complete reply, of any status.
package struct HTTPResponse: Sendable {
  package var status: Int
  package var headers: HTTPHeaders
  package var body: [UInt8]
  /// Whether the reply said where its body ends (Content-Length, chunks, or HTTP/2 frames). One
  /// that ends with the connection may have lost its tail, and nobody can tell.
  package var isDelimited: Bool

  package init(status: Int, headers: HTTPHeaders, body: [UInt8], isDelimited: Bool = true) {
    self.status = status
    self.headers = headers
    self.body = body
    self.isDelimited = isDelimited
  }
}

/// How long a request may take, by what it waits for. There is no limit of the whole: a large body
/// over a slow line is well as long as it moves.
package struct HTTPLimits: Sendable, Hashable {
  /// Name resolution, TCP, TLS and proxy handshakes together.
  package var connect: Duration
  /// From the last byte of the request to the first of the reply.
  package var firstByte: Duration
  /// In each window of `slowAfter` while a body moves, at least this many bytes a second must.
  package var bytesPerSecondMin: Int
  package var slowAfter: Duration

  package init(
    connect: Duration = .seconds(10), firstByte: Duration = .seconds(30),
    bytesPerSecondMin: Int = 1024, slowAfter: Duration = .seconds(30)
  ) {
    self.connect = connect
    self.firstByte = firstByte
    self.bytesPerSecondMin = bytesPerSecondMin
    self.slowAfter = slowAfter
  }
}
