import BackupFormat
import BackupTypes
import Codec
import Synchronization
import SystemIO
import WriterLogic

/// What the parts of a link share: the history that is followed, and who wants to know of news.
package final class LinkState: Sendable {
  private struct State {
    var line: LinkLine?
    weak var receiver: LinkReceiver?
    var upstream: LinkAddress?
    var isUp = false
    var pins = 0
    var number: Int64 = 0
    var onChange: (@Sendable () -> Void)?
    /// What the listener is to be told of: nothing, questions, or any news.
    var isArmed = false
    var isArmedForData = false
    /// News that nobody was told of.
    var hasNews = false
    var hasQuestion = false
  }
  private let state = Mutex(State())

  package init() {}

  var line: LinkLine? { state.withLock { $0.line } }
  func set(line: LinkLine?) { state.withLock { $0.line = line } }

  func set(receiver: LinkReceiver?) { state.withLock { $0.receiver = receiver } }
  /// The server has another history than the one that is received.
  func noteForeign() { state.withLock { $0.receiver }?.noteForeign() }

  func note(upstream: LinkAddress) { state.withLock { $0.upstream = upstream } }
  func note(isUp: Bool) { state.withLock { $0.isUp = isUp } }

  /// What our responder says of us.
  /// - Parameter runID: of this process.
  package func responderFacts(runID: String) -> ResponderFacts {
    let (line, upstream, isUp) = state.withLock { ($0.line, $0.upstream, $0.isUp) }
    return ResponderFacts(
      upstream: upstream, isLinkUp: isUp, offset: line?.acknowledged ?? 0, runID: runID)
  }

  /// A Sentinel says that another server is the primary now.
  package func noteOtherPrimary() { noteForeign() }

  func nextPin() -> PinID {
    state.withLock { state in
      state.pins += 1
      return PinID(state.pins)
    }
  }
  func nextNumber() -> Int64 {
    state.withLock { state in
      state.number += 1
      return state.number
    }
  }
  func use(number: Int64) { state.withLock { $0.number = max($0.number, number) } }

  /// Of something that is no file: no file system will ever confuse it.
  func nextIdentity() -> FileIdentity {
    let bytes = secureRandomBytes(8)
    let inode = bytes.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return FileIdentity(inode: inode >> 1, bornSeconds: nil, bornNanoseconds: nil)
  }
  /// Stands for a fingerprint: a copy that arrives over a link is named before its bytes are known.
  func nextName() -> ShortDigest { SHA256Hasher.digest(of: secureRandomBytes(32)).short }
  func placeName(_ text: String) -> String {
    SHA256Hasher.digest(of: Array(text.utf8)).short.hexadecimal
  }

  // MARK: News

  func listen(_ onChange: (@Sendable () -> Void)?) { state.withLock { $0.onChange = onChange } }

  /// Tells of the next news, or at once of what nobody was told of yet.
  func arm(isForData: Bool) {
    state.withLock { state -> (@Sendable () -> Void)? in
      state.isArmed = true
      state.isArmedForData = isForData
      return LinkState.due(&state)
    }?()
  }

  func tell(isQuestion: Bool) {
    state.withLock { state -> (@Sendable () -> Void)? in
      state.hasNews = true
      if isQuestion { state.hasQuestion = true }
      return LinkState.due(&state)
    }?()
  }

  private static func due(_ state: inout State) -> (@Sendable () -> Void)? {
    guard state.isArmed, state.hasQuestion || (state.hasNews && state.isArmedForData) else {
      return nil
    }
    (state.isArmed, state.hasNews, state.hasQuestion) = (false, false, false)
    return state.onChange
  }
}
