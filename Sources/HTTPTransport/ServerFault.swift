/// What to do about a server that answers and does no work.
package enum ServerFault {
  /// nil for statuses that say something else.
  package static func hint(status: Int) -> String? {
    switch status {
    case 429, 503:
      "the store asks for fewer requests or is down: look at its state; `ship` goes on trying"
    case 500...: "the store has a fault of its own: look at its state and its log"
    default: nil
    }
  }
}
