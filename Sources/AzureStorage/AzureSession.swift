import HTTPTransport
import Synchronization

/// What the store's replies have shown so far. All requests share it.
final class AzureSession: Sendable {
  struct State: Sendable {
    /// Milliseconds to add to this machine's clock when signing. 0 until the store refuses a date.
    var signingOffset: Int64 = 0
    /// The store's clock minus this machine's clock, in milliseconds, from the last reply with a `Date`.
    var observedOffset: Int64?
    /// Whether the most recently created object got a version id; nil before the first.
    var keepsVersions: Bool?
  }

  let holdOff = HoldOff()
  let state = Mutex(State())
}
