import HTTPTransport
import Synchronization

/// What the store's replies have shown so far. All requests share it.
final class S3Session: Sendable {
  struct State: Sendable {
    /// The region that requests are signed for and sent to; nil until one is known.
    var region: String?
    /// Milliseconds to add to this machine's clock when signing; 0 until the store refuses a date.
    var signingOffset: Int64 = 0
    /// The store's clock minus this machine's, from the last answer that had a `Date`.
    var observedOffset: Int64?
    /// Whether `If-None-Match: *` on a PUT was answered with "not implemented".
    var lacksConditionalCreate = false
    /// Whether the bucket demanded a digest in the request, as one with object lock does.
    var needsContentMD5 = false
    /// Whether batches of deletions are not implemented.
    var lacksBatchDelete = false
  }

  let state: Mutex<State>
  let holdOff = HoldOff()

  init(region: String?) { state = Mutex(State(region: region)) }

  var snapshot: State { state.withLock { $0 } }
}
