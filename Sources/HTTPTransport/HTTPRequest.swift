/// One request, complete with its body.
package struct HTTPRequest: Sendable {
  package enum Method: String, Sendable {
    case get = "GET", put = "PUT", post = "POST",
      head = "HEAD", delete = "DELETE"
  }

  package enum Route: Sendable {
    /// As `HTTPS_PROXY`, `http_proxy` (lower case only, as in libcurl) and `NO_PROXY` say.
    case environment
    /// Never through a proxy: metadata services, which only this machine can reach.
    case direct
  }

  package var method: Method
  /// Absolute and percent-encoded; sent unchanged, including `..` segments.
  package var url: String
  package var headers: HTTPHeaders
  package var body: [UInt8]
  package var route: Route
  /// nil: those of the client.
  package var limits: HTTPLimits?
  /// A reply is refused if its body, or its headers, have more bytes than this.
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
  /// Whether the reply said where its body ends (Content-Length, chunks, or HTTP/2 frames). If the end of the
  /// connection ends the body, a truncated body can't be noticed.
  package var isDelimited: Bool

  package init(status: Int, headers: HTTPHeaders, body: [UInt8], isDelimited: Bool = true) {
    self.status = status
    self.headers = headers
    self.body = body
    self.isDelimited = isDelimited
  }
}

/// How long each phase of a request may take. There is no limit for the whole request: a large body over a
/// slow line is fine as long as it moves.
package struct HTTPLimits: Sendable, Hashable {
  /// Name resolution, TCP, TLS and proxy handshakes together.
  package var connect: Duration
  /// From the last byte of the request to the first of the reply.
  package var firstByte: Duration
  /// The least bytes a second, in each window of `slowAfter`, while a body is transferred.
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
