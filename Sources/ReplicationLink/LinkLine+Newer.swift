import BackupTypes
import RedisFormats
import Synchronization
import SystemIO
import WriterLogic

/// A newer full copy, which the server sends beside its stream.
extension LinkLine {
  /// How much of the stream came since the full copy, and how large that is.
  var sinceBase: (log: UInt64, base: UInt64) {
    state.withLock { ($0.shown - ($0.parts.first?.start ?? $0.shown), $0.base.size) }
  }
  static let lateBy: Int64 = 50
  var isHoldingBack: Bool { state.withLock { $0.late != nil } }
  var isAwaited: Bool { state.withLock { $0.isAwaited } }
  var hasNext: Bool { state.withLock { $0.next != nil } }

  /// From now on what comes is shown a little later.
  func holdBack() { state.withLock { $0.late = $0.late ?? [] } }
  func showAll(at now: Now) {
    state.withLock { state in
      state.late = nil
      state.show(now)
    }
  }
  /// Shows what is old enough. Returns whether there is more to see.
  func showLate(at now: Now) -> Bool {
    state.withLock { state in
      let shown = state.shown
      state.show(now)
      return state.shown > shown
    }
  }

  /// The server sends a copy of its state after `offset` of the history `id`: what follows becomes a part of its
  /// own. Returns false if that is not possible: something after it was shown already.
  func split(at offset: UInt64, id: String, _ base: LinkBase, _ part: Part) -> Bool {
    state.withLock { state in
      guard state.id == id, offset >= state.shown, state.next == nil, !state.isCut,
        let last = state.parts.indices.last, offset > state.parts[last].start
      else { return false }
      state.parts[last].end = offset
      state.parts.append(part)
      state.next = (base, part.pin)
      return true
    }
  }

  var isFollowed: Bool { state.withLock { $0.isFollowed } }

  /// Nobody takes the newer copy any more: the older one stays.
  func abandonNext() {
    state.withLock { state -> LinkBase? in
      defer { (state.next, state.isNextShown, state.isFollowed) = (nil, false, false) }
      return state.next?.base
    }?.fail(LifeboatError(.failure, "the full copy is not needed any more", isRetryable: true))
  }
}

extension LinkLine.State {
  /// Somebody waits for what is shown. What is held back is not shown yet.
  var isAwaited: Bool { durable.map { $0 < min(askedAt, shown) } ?? false }

  /// Shows what may be seen.
  mutating func show(_ now: Now) {
    if let frozenFrom, now.monotonic >= frozenFrom { return }
    var end = streamStart + stream.dataEnd
    if window.end - shown > LinkLine.Limits.shownAnyway { end = window.end }
    if var late {
      if end > (late.last?.offset ?? shown), late.count < 4096 { late.append((end, now.monotonic)) }
      let due = late.lastIndex { now.monotonic - $0.at >= LinkLine.lateBy }
      guard let due else {
        self.late = late
        return
      }
      end = late[due].offset
      late.removeFirst(due + 1)
      self.late = late
    }
    if end > shown { (shown, receivedAt) = (end, now.wall) }
  }
}
