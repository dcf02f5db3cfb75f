import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import Synchronization

/// Sends requests, each with the current token. A refused token is replaced once. The retry layer above
/// handles everything else.
struct GCSExchange: Sendable {
  /// Scheme, authority and, if needed, a path. No "/" at the end.
  let endpoint: String
  let store: StoreClient<GoogleAccessToken>
  let session: GCSSession
  let now: @Sendable () -> Instant
  var client: HTTPClient { store.http }

  /// - Parameter accepting: the statuses that count as an answer. Any other status is an error.
  /// - Throws: `GCSRefusal` for any other status.
  func send(_ request: StoreRequest, accepting: Set<Int>) async throws -> HTTPResponse {
    var isReplaced = false
    while true {
      try await session.holdOff.wait()
      let (reply, token) = try await store.send(request.operation) { http(request, $0) }
      learnClock(reply)
      if accepting.contains(reply.status) { return reply }
      let fault = GCSFault(reply)
      if fault.isRetryable { session.holdOff.note(reply.retryAfter) }
      if fault.status == 401, !isReplaced,
        try await store.replaces(token, during: request.operation)
      {
        isReplaced = true
        continue
      }
      throw GCSRefusal(
        fault: fault, error: fault.error(request.action, request.object, identity: token?.identity))
    }
  }

  private func http(_ request: StoreRequest, _ token: GoogleAccessToken?) -> HTTPRequest {
    var http = HTTPRequest(
      request.method,
      endpoint + request.path
        + (request.query.isEmpty ? "" : "?" + URIEncoding.form(request.query)),
      headers: HTTPHeaders(request.headers), body: request.body,
      responseBytesMax: request.responseBytesMax)
    if let token {
      http.headers.append("Authorization", "Bearer " + token.token.reveal())
      if let project = token.quotaProject { http.headers.append("x-goog-user-project", project) }
    }
    return http
  }

  private func learnClock(_ reply: HTTPResponse) {
    guard let date = reply.date else { return }
    let offset = date.since(now())
    session.observedOffset.withLock { $0 = offset }
  }
}

/// A refusal and the fault it was made from, for callers that handle some faults themselves.
struct GCSRefusal: Error {
  let fault: GCSFault
  let error: LifeboatError
}
