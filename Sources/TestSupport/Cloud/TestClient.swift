package import HTTPTransport

extension HTTPLimits {
  /// For requests to a server on loopback.
  package static let forTests = HTTPLimits(
    connect: .seconds(5), firstByte: .seconds(10), bytesPerSecondMin: 100, slowAfter: .seconds(10))
}

extension HTTPClient {
  /// A client that takes nothing from this machine's environment.
  package static func forTests(
    limits: HTTPLimits = .forTests, connections: Int = 8
  ) throws -> HTTPClient {
    try HTTPClient(
      connectionsMax: connections, limits: limits, trust: TrustStore(file: nil, origin: "a test"),
      userAgent: "lifeboat/test")
  }
}
