import BackupTypes
import CloudAuth
import Codec
package import HTTPTransport
import ObjectStorage
import Synchronization

/// One request to S3 before it is addressed, dated and signed.
struct S3Request: Sendable {
  var action: StoreAction
  var method: HTTPRequest.Method
  /// The full key; nil: the bucket.
  var key: String?
  var query: [(String, String)] = []
  var headers: [(String, String)] = []
  var body: [UInt8] = []
  /// For messages, printable.
  var object: String
  var responseBytesMax = 4 << 20
  var operation: String { "\(action.rawValue) \(object)" }
}

package typealias S3Observation = RequestObservation

/// Sends requests: addresses and signs each attempt. Corrects the region, the clock or the credentials once
/// if a reply shows that they are wrong. The retry layer above handles everything else.
struct S3Exchange: Sendable {
  /// S3 refuses requests whose date is off by more than 15 minutes. If it is off by less, the clock is not
  /// the reason.
  private static let skewMilliseconds: Int64 = 5 * 60_000

  let address: S3Address
  let store: StoreClient<AWSCredentials>
  let session: S3Session
  let now: @Sendable () -> Instant
  var client: HTTPClient { store.http }

  private struct Attempt {
    var reply: HTTPResponse
    var credentials: AWSCredentials?
    var region: String
    var time: Instant
  }

  private enum Correction: Hashable { case region, clock, credentials }

  /// - Parameter accepting: the statuses that count as an answer. Any other status is an error.
  func send(_ request: S3Request, accepting: Set<Int>) async throws -> HTTPResponse {
    try await answer(request, accepting: accepting).reply
  }

  /// The answer, and the access key that signed its request; nil if it was not signed.
  func answer(
    _ request: S3Request, accepting: Set<Int>
  ) async throws -> (reply: HTTPResponse, accessKeyID: String?) {
    var done: Set<Correction> = []
    while true {
      try await session.holdOff.wait()
      let attempt = try await attempt(request)
      learnClock(attempt.reply)
      if accepting.contains(attempt.reply.status) {
        return (attempt.reply, attempt.credentials?.accessKeyID)
      }
      let fault = S3Fault(attempt.reply)
      if fault.isRetryable { session.holdOff.note(attempt.reply.retryAfter) }
      if let correction = try await correct(request, fault, attempt, without: done) {
        done.insert(correction)
        continue
      }
      throw S3Refusal(
        fault: fault,
        error: fault.error(
          request.action, request.object, accessKeyID: attempt.credentials?.accessKeyID))
    }
  }

  private func attempt(_ request: S3Request) async throws -> Attempt {
    var (region, time) = (S3Address.firstRegion, Instant(milliseconds: 0))
    let (reply, used) = try await store.send(request.operation) { credentials in
      let state = session.snapshot
      region = state.region ?? region
      time = now().advanced(byMilliseconds: state.signingOffset)
      return signed(request, credentials: credentials, region: region, time: time)
    }
    return Attempt(reply: reply, credentials: used, region: region, time: time)
  }

  private func signed(
    _ request: S3Request, credentials: AWSCredentials?, region: String, time: Instant
  ) -> HTTPRequest {
    let (origin, path) = address.target(key: request.key, region: region)
    let query = SigV4.canonicalQuery(request.query)
    var http = HTTPRequest(
      request.method, origin + path + (query.isEmpty ? "" : "?" + query),
      headers: HTTPHeaders(request.headers), body: request.body,
      responseBytesMax: request.responseBytesMax)
    if let credentials {
      SignedRequest(
        path: path, query: request.query,
        payloadDigest: SHA256Hasher.digest(of: request.body).hexadecimal,
        scope: SigV4.Scope(time: time, region: region, service: "s3")
      ).sign(&http, with: credentials)
    }
    return http
  }

  // MARK: Learning

  /// Corrects the request as `fault` shows; nil if nothing can be corrected, or was corrected before.
  private func correct(
    _ request: S3Request, _ fault: S3Fault, _ attempt: Attempt, without done: Set<Correction>
  ) async throws -> Correction? {
    if fault.isWrongRegion, !done.contains(.region), let region = fault.region,
      region != attempt.region
    {
      session.state.withLock { $0.region = region }
      return .region
    }
    if !done.contains(.clock), [400, 401, 403].contains(fault.status), let date = fault.date,
      fault.code == "RequestTimeTooSkewed"
        || abs(date.since(attempt.time)) > S3Exchange.skewMilliseconds
    {
      let offset = date.since(now())
      session.state.withLock { $0.signingOffset = offset }
      return .clock
    }
    guard fault.isStaleCredentials, !done.contains(.credentials) else { return nil }
    return try await store.replaces(attempt.credentials, during: request.operation)
      ? .credentials : nil
  }

  private func learnClock(_ reply: HTTPResponse) {
    guard let date = reply.date else { return }
    let offset = date.since(now())
    session.state.withLock { $0.observedOffset = offset }
  }
}

/// A refusal and the fault it was made from, for callers that handle some faults themselves.
struct S3Refusal: Error {
  let fault: S3Fault
  let error: LifeboatError
}
