import HTTPTransport
import Synchronization

/// What was learned about a store from its answers, shared by all requests.
final class AzureSession: Sendable {
  struct State: Sendable {
    /// Milliseconds to add to this machine's clock when signing; 0 until the store complained.
    var signingOffset: Int64 = 0
    /// The store's clock minus this machine's, in milliseconds, from the last answer with a `Date`.
    var observedOffset: Int64?
    /// Whether the object that was created last got a version of its own; nil before the first.
    var keepsVersions: Bool?
  }

  let holdOff = HoldOff()
  let state = Mutex(State())
}
