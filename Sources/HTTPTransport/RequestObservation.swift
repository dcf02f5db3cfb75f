/// One request, answered or not, to count what costs money.
package struct RequestObservation: Sendable, Hashable {
  /// `PUT`.
  package var method: String
  /// nil when no reply came.
  package var status: Int?
  /// Bytes of the bodies.
  package var sent: Int
  package var received: Int

  package init(_ request: HTTPRequest, _ reply: HTTPResponse?) {
    method = request.method.rawValue
    status = reply?.status
    sent = request.body.count
    received = reply?.body.count ?? 0
  }
}
