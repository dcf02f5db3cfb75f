import BackupTypes
import CloudAuth
import HTTPTransport
import ObjectStorage
import Synchronization

/// Sends requests. Each one gets a new signature or the current token. Refused credentials are replaced once,
/// and a clock that the store rejects is corrected once. The retry layer above handles everything else.
struct AzureExchange: Sendable {
  /// Other clients also send 2023-11-03. Microsoft supports every version indefinitely.
  static let version = "2023-11-03"
  /// If the store refuses a date, the clock is corrected if it is off by more than this. The store allows 15
  /// minutes.
  private static let skewMilliseconds: Int64 = 60_000

  /// Scheme, authority and, if needed, a path. No "/" at the end.
  let endpoint: String
  let store: StoreClient<AzureCredentials>
  let session: AzureSession
  let now: @Sendable () -> Instant
  var client: HTTPClient { store.http }

  /// - Parameter accepting: the statuses that count as an answer. Any other status is an error.
  /// - Throws: `AzureRefusal` for any other status.
  func send(_ request: StoreRequest, accepting: Set<Int>) async throws -> HTTPResponse {
    var (isReplaced, isCorrected) = (false, false)
    while true {
      try await session.holdOff.wait()
      let (reply, used) = try await store.send(request.operation) { try http(request, $0) }
      learnClock(reply)
      // Every reply of the service has this header. A reply of a proxy or a captive portal does not.
      if accepting.contains(reply.status), reply.headers["x-ms-request-id"] != nil { return reply }
      let fault = AzureFault(reply, isAnswer: accepting.contains(reply.status))
      if fault.isRetryable { session.holdOff.note(reply.retryAfter) }
      if fault.isClock, !isCorrected, correctClock(reply) {
        isCorrected = true
        continue
      }
      if fault.isAuthentication, !isReplaced,
        try await store.replaces(used, during: request.operation)
      {
        isReplaced = true
        continue
      }
      throw AzureRefusal(
        fault: fault, error: fault.error(request.action, request.object, identity: used?.identity))
    }
  }

  private func http(
    _ request: StoreRequest, _ credentials: AzureCredentials?
  ) throws -> HTTPRequest {
    let time = now().advanced(byMilliseconds: session.state.withLock { $0.signingOffset })
    var query = URIEncoding.form(request.query)
    var headers = request.headers
    headers.append(("x-ms-version", AzureExchange.version))
    headers.append(("x-ms-date", time.httpDate))
    switch credentials?.proof {
    case .sharedKey(let account, let key):
      let signed = AzureSharedKey.Request(
        method: request.method.rawValue, path: endpointPath + request.path, query: request.query,
        headers: headers, bodyByteCount: request.body.count)
      if let value = AzureSharedKey.authorization(signed, account: account, key: key.reveal()) {
        headers.append(("Authorization", value))
      }
    case .signature(let signature):
      try checkSecrecy()
      query += (query.isEmpty ? "" : "&") + signature.reveal()
    case .token(let token):
      try checkSecrecy()
      headers.append(("Authorization", "Bearer " + token.reveal()))
    case nil: break
    }
    return HTTPRequest(
      request.method, endpoint + request.path + (query.isEmpty ? "" : "?" + query),
      headers: HTTPHeaders(headers), body: request.body, responseBytesMax: request.responseBytesMax)
  }

  private func checkSecrecy() throws {
    guard PlainHTTP.maySendSecret(to: endpoint) else {
      throw LifeboatError(
        .usage, "a token or a shared access signature is not sent to \(printable(endpoint))",
        cause: "plain http is not encrypted", hint: "use an https:// endpoint")
    }
  }

  /// The path of the endpoint. It is signed, too.
  private var endpointPath: String {
    guard let scheme = endpoint.firstRange(of: "://") else { return "" }
    return String(endpoint[scheme.upperBound...].drop { $0 != "/" })
  }

  private func learnClock(_ reply: HTTPResponse) {
    guard let date = reply.date else { return }
    let offset = date.since(now())
    session.state.withLock { $0.observedOffset = offset }
  }

  /// Whether the clock was corrected.
  private func correctClock(_ reply: HTTPResponse) -> Bool {
    guard let date = reply.date else { return false }
    let offset = date.since(now())
    return session.state.withLock { state in
      guard abs(offset - state.signingOffset) > AzureExchange.skewMilliseconds else { return false }
      state.signingOffset = offset
      return true
    }
  }
}

/// A refusal and the fault it was made from, for callers that handle some faults themselves.
struct AzureRefusal: Error {
  let fault: AzureFault
  let error: LifeboatError
}
