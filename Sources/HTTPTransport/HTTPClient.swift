package import BackupTypes
import CCurl
import Synchronization
package import SystemIO

/// Sends requests with libcurl, on its own threads.
///
/// - Connections are kept alive and used again; HTTP/2 is used if a server offers it over TLS.
/// - There are at most as many requests in flight, and open handles, as threads; other requests wait.
///   Redirects are not followed and nothing is retried, with one exception: libcurl sends a request again if
///   a kept-alive connection was closed before any reply.
/// - A cancelled task's request ends at once and throws `CancellationError`.
///
/// Errors are `LifeboatError`s; those of the network are `.storeUnavailable` and say whether trying
/// again makes sense. A reply of any status is a reply, not an error.
package final class HTTPClient: Sendable {
  /// Runs this client's blocking work, and that of others that must not block the cooperative pool, such as
  /// the sources of credentials.
  package let pool: BlockingPool

  private let limits: HTTPLimits
  private let trust: TrustStore
  private let userAgent: String
  /// Not in use. Never more than there are threads.
  private let idle = Mutex<[EasyHandle]>([])

  /// - Parameters:
  ///   - connectionsMax: the most requests in flight, at least 1; each takes a thread.
  ///   - userAgent: `lifeboat/1.0`.
  package init(
    connectionsMax: Int, limits: HTTPLimits, trust: TrustStore, userAgent: String
  ) throws(LifeboatError) {
    pool = try BlockingPool(name: "http", threads: connectionsMax)
    self.limits = limits
    self.trust = trust
    self.userAgent = userAgent
  }

  package func send(_ request: HTTPRequest) async throws -> HTTPResponse {
    try check(request)
    let cancellation = Cancellation()
    return try await withTaskCancellationHandler {
      try await withTaskExecutorPreference(pool) {
        try await perform(request, cancellation)
      }
    } onCancel: {
      cancellation.cancel()
    }
  }

  /// Runs `work`, which may block, on a thread of this client.
  package func blocking<Value>(_ work: () async throws -> Value) async throws -> Value {
    try await withTaskExecutorPreference(pool) { try await work() }
  }

  // `async` so that it runs on the pool, which a synchronous function would not.
  private func perform(
    _ request: HTTPRequest, _ cancellation: Cancellation
  ) async throws -> HTTPResponse {
    let handle = try idle.withLock { $0.popLast() } ?? EasyHandle()
    defer { idle.withLock { $0.append(handle) } }
    guard cancellation.attach(handle.sockets) else { throw CancellationError() }
    defer { cancellation.detach() }
    let limits = request.limits ?? limits
    let transfer = Transfer(request, limits: limits, cancellation: cancellation)
    let outcome = handle.perform(
      request, limits: limits, trust: trust, userAgent: userAgent, transfer: transfer)
    guard outcome.code == CCURLE_OK, transfer.abort == nil else {
      if transfer.abort == .cancelled || cancellation.isCancelled { throw CancellationError() }
      throw TransportFailure(
        request: request, limits: limits, trust: trust, outcome: outcome, transfer: transfer
      ).error
    }
    return HTTPResponse(
      status: outcome.status, headers: transfer.headers, body: transfer.body,
      isDelimited: isDelimited(request, outcome, transfer))
  }

  private func isDelimited(
    _ request: HTTPRequest, _ outcome: EasyHandle.Outcome, _ transfer: Transfer
  ) -> Bool {
    // RFC 9112, 6.3: these have no body.
    if request.method == .head || [204, 304].contains(outcome.status) { return true }
    return !transfer.isHTTP1 || transfer.headers["Content-Length"] != nil
      || transfer.headers["Transfer-Encoding"] != nil
  }

  private func check(_ request: HTTPRequest) throws(LifeboatError) {
    let isTLS = request.url.lowercased().hasPrefix("https://")
    if isTLS, trust.file == nil { throw TrustStore.none }
    // Bytes that would end a line: an attacker could add a header field or a request.
    let texts = [request.url] + request.headers.fields.flatMap { [$0.name, $0.value] }
    guard texts.allSatisfy({ !$0.utf8.contains { $0 == 0 || $0 == 10 || $0 == 13 } }) else {
      throw LifeboatError(
        .usage, "a request can't contain line breaks or NUL bytes",
        cause: "in its URL or in a header field",
        hint: "look for a stray line break in the endpoint, the keys or the token")
    }
  }
}
