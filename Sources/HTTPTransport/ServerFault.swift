/// What to do about a server that answers but does not serve the request.
package enum ServerFault {
  /// Nil for other statuses.
  package static func hint(status: Int) -> String? {
    switch status {
    case 429, 503:
      "the store asks for fewer requests or is down: check its status; `ship` keeps retrying"
    case 500...: "the store has an internal error: check its status and its log"
    default: nil
    }
  }
}
