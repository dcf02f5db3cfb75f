import BackupTypes
import RedisFormats
import Synchronization
import SystemIO
import WriterLogic

/// A newer full copy, which the server sends beside its stream.
extension LinkLine {
  /// How many bytes of the stream came since the full copy, and the size of the copy.
  var sinceBase: (log: UInt64, base: UInt64) {
    state.withLock { ($0.shown - ($0.parts.first?.start ?? $0.shown), $0.base.size) }
  }
  static let lateBy: Int64 = 50
  var isHoldingBack: Bool { state.withLock { $0.late != nil } }
  var isAwaited: Bool { state.withLock { $0.isAwaited } }
  var hasNext: Bool { state.withLock { $0.next != nil } }

  /// From now on, new data is shown to the shipper a little later.
  func holdBack() { state.withLock { $0.late = $0.late ?? [] } }
  func showAll(at now: Now) {
    state.withLock { state in
      state.late = nil
      state.show(now)
    }
  }
  /// Shows the data that is old enough. Returns whether there is new data to see.
  func showLate(at now: Now) -> Bool {
    state.withLock { state in
      let shown = state.shown
      state.show(now)
      return state.shown > shown
    }
  }

  /// The server sends a copy of its state after `offset` of the history `id`. The stream after that becomes a
  /// separate part. Returns false if that is not possible, because data after this offset was shown already.
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

  /// Gives up the newer copy, because nobody reads it any more. The older one stays.
  func abandonNext() {
    state.withLock { state -> LinkBase? in
      defer { (state.next, state.isNextShown, state.isFollowed) = (nil, false, false) }
      return state.next?.base
    }?.fail(LifeboatError(.failure, "the full copy is no longer needed", isRetryable: true))
  }
}

extension LinkLine.State {
  /// Whether somebody waits for data that is shown. Data that is held back is not shown yet.
  var isAwaited: Bool { durable.map { $0 < min(askedAt, shown) } ?? false }

  /// Shows the data that may be shown now.
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

  /// Shows all complete commands, also those that change no data.
  mutating func showCommands(_ now: Now) {
    if let frozenFrom, now.monotonic >= frozenFrom { return }
    let end = streamStart + stream.boundary
    if end > shown { (shown, receivedAt) = (end, now.wall) }
  }
}
