import HTTPTransport
import Synchronization

/// What the store's replies have shown so far. All requests share it.
final class GCSSession: Sendable {
  let holdOff = HoldOff()
  /// The store's clock minus this machine's, in milliseconds, from the last answer with a `Date`.
  let observedOffset = Mutex<Int64?>(nil)
}
