import BackupFormat
import BackupTypes
import Codec
package import Shipping
import Synchronization
import SystemIO
import WriterLogic

/// The state that the parts of a link share: the history that is followed, and the listener for changes.
package final class LinkState: Sendable {
  private struct State {
    var line: LinkLine?
    weak var receiver: LinkReceiver?
    var upstream: LinkAddress?
    var figures = ShipStatus.LinkFigures()
    var copies = CopyRequests()
    var pins = 0
    var number: Int64 = 0
    var onChange: (@Sendable () -> Void)?
    /// What the listener is notified of: nothing, only questions of the server, or any change.
    var isArmed = false
    var isArmedForData = false
    /// Whether there was a change that the listener was not notified of.
    var hasNews = false
    var hasQuestion = false
  }
  private let state = Mutex(State())
  private let show: @Sendable (ShipStatus.LinkFigures) -> Void

  /// - Parameter show: is called with the figures when they change, and must not use this object.
  package init(show: @escaping @Sendable (ShipStatus.LinkFigures) -> Void = { _ in }) {
    self.show = show
    show(state.withLock { $0.figures })
  }

  var line: LinkLine? { state.withLock { $0.line } }
  func set(line: LinkLine?) { state.withLock { $0.line = line } }

  func set(receiver: LinkReceiver?) { state.withLock { $0.receiver = receiver } }
  /// The server has another history than the one that is received.
  func noteForeign() { state.withLock { $0.receiver }?.noteForeign() }

  func note(upstream: LinkAddress) { state.withLock { $0.upstream = upstream } }
  func note(isUp: Bool) { change { $0.isUp = isUp } }
  /// - Parameter isRead: false if the server sends the copy without being asked, so that nobody reads it.
  func noteCopy(isRead: Bool, now: Int64) {
    change { $0.neededCopies += 1 }
    if isRead { state.withLock { $0.copies.requested(now: now) } }
  }
  /// A restore of the repository gives the full copy now.
  func noteRestorable(now: Int64) {
    state.withLock { $0.copies.ended(isRestorable: true, now: now) }
  }
  /// Why a full copy that is needed may not be requested yet; nil if it may be. If one was requested before and
  /// is not restorable, it has failed.
  func copyDelay(now: Int64) -> (failures: Int, wait: Int64)? {
    state.withLock { state in
      state.copies.ended(isRestorable: false, now: now)
      return state.copies.wait(now: now).map { (state.copies.failures, $0) }
    }
  }
  func noteNewerCopy() { change { $0.newerCopies += 1 } }

  private func change(_ body: (inout ShipStatus.LinkFigures) -> Void) {
    // Within the lock, so that an older value is never shown after a newer one.
    state.withLock { state in
      body(&state.figures)
      show(state.figures)
    }
  }

  /// The facts that our responder reports about us.
  /// - Parameter runID: of this process.
  package func responderFacts(runID: String) -> ResponderFacts {
    let (line, upstream, isUp) = state.withLock { ($0.line, $0.upstream, $0.figures.isUp) }
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

  /// An identity for something that is not a file. No file system can have the same one.
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

  /// Notifies the listener of the next change, or at once if there was one that it was not notified of.
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
