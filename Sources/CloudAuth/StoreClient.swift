import BackupTypes
package import HTTPTransport

/// Sends requests to a store, each with the current credentials. Every error names the operation that failed.
package struct StoreClient<Credentials: VendorCredentials>: Sendable {
  package let http: HTTPClient
  private let credentials: CredentialProvider<Credentials>
  private let observe: @Sendable (RequestObservation) -> Void

  /// - Parameter observe: called for every request, including retries.
  package init(
    _ http: HTTPClient, credentials: CredentialProvider<Credentials>,
    observe: @escaping @Sendable (RequestObservation) -> Void
  ) {
    self.http = http
    self.credentials = credentials
    self.observe = observe
  }

  /// Sends one request.
  /// - Parameters:
  ///   - operation: `read s3://bucket/name`.
  ///   - request: makes the request. Without credentials, it is not authenticated.
  /// - Returns: the reply, and the credentials of its request.
  package func send(
    _ operation: String, _ request: (Credentials?) throws -> HTTPRequest
  ) async throws -> (HTTPResponse, Credentials?) {
    try await naming(operation) {
      let current = try await credentials.current()
      let request = try request(current)
      do {
        let reply = try await http.send(request)
        observe(RequestObservation(request, reply))
        return (reply, current)
      } catch {
        observe(RequestObservation(request, nil))
        throw error
      }
    }
  }

  /// Gets new credentials after the store refused `refused`.
  /// - Returns: false if there are no others, or if the request had none.
  package func replaces(_ refused: Credentials?, during operation: String) async throws -> Bool {
    guard let refused else { return false }
    return try await naming(operation) { try await credentials.replacing(refused) } != refused
  }

  private func naming<Value>(
    _ operation: String, _ body: () async throws -> Value
  ) async throws -> Value {
    do {
      return try await body()
    } catch let error as LifeboatError where error.code != .usage {
      throw error.during(operation)
    }
  }
}
