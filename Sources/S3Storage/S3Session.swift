import HTTPTransport
import Synchronization

/// What was learned about a store from its answers, shared by all requests.
final class S3Session: Sendable {
  struct State: Sendable {
    /// The region requests are signed for and sent to; nil until one is known.
    var region: String?
    /// Milliseconds to add to this machine's clock when signing; 0 until the store complained.
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
