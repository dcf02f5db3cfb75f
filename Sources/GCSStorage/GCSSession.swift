import HTTPTransport
import Synchronization

/// What was learned about a store from its answers, shared by all requests.
final class GCSSession: Sendable {
  let holdOff = HoldOff()
  /// The store's clock minus this machine's, in milliseconds, from the last answer with a `Date`.
  let observedOffset = Mutex<Int64?>(nil)
}
