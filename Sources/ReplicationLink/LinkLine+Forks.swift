import BackupFormat
import BackupTypes
import RedisFormats
import Synchronization
import SystemIO
import WriterLogic

/// How the history goes on after a failover.
extension LinkLine {
  /// The server continues the history, perhaps under another id.
  ///
  /// With another id, its backlog may begin here. So what was received is shown to its end, with PINGs: after
  /// a restart of this process, the repository has to have everything up to there.
  func continued(id: String?, at now: Now) {
    guard let id else { return }
    state.withLock { state -> LinkBase? in
      guard id != state.id else { return nil }
      state.id = id
      var unread: LinkBase?
      // The other history may have no end of a command where a newer copy of the old one was to begin.
      while let last = state.parts.last, last.start > state.window.end, state.parts.count > 1 {
        state.parts.removeLast()
        state.parts[state.parts.count - 1].end = nil
        unread = state.next?.base
        (state.next, state.isNextShown) = (nil, false)
      }
      state.showCommands(now)
      return unread
    }?.fail(LifeboatError(.failure, "the full copy is of another history", isRetryable: true))
  }

  /// The bytes after `offset` are not the server's history. Drops them.
  ///
  /// What follows is another file to the shipper, which may have read the dropped bytes already, and to the
  /// audit: what was durable of the dropped bytes is not what is in their place.
  /// - Parameters:
  ///   - pin: that of this file.
  ///   - identity: the same.
  func cut(to offset: UInt64, as pin: PinID, _ identity: FileIdentity) {
    state.withLock { state in
      state.window.cut(to: offset)
      state.parts.removeAll { $0.start > offset }
      if let last = state.parts.popLast() {
        state.parts.append(
          Part(
            pin: pin, name: last.name, sequence: last.sequence, identity: identity,
            start: last.start))
      }
      state.fork = (offset, state.timelines)
      state.isBroken = state.isSeen
      state.shown = min(state.shown, offset)
      state.durable = state.durable.map { min($0, offset) }
      state.askedAt = min(state.askedAt, offset)
      state.isCut = true
      // The bytes after the last boundary are the beginning of a command that the server does not have.
      (state.stream, state.streamStart) = (ReplicationStream(), offset)
    }
  }

  /// Whether the log of a timeline is the server's up to this offset of a part, and no further.
  func isForked(_ part: Part, in timeline: TimelineNumber, at offset: UInt64) -> Bool {
    state.withLock { state in
      guard let fork = state.fork, fork.timelines.contains(timeline) else { return false }
      return part.start + offset == fork.offset
    }
  }

  /// Whether the history was cut since the last look. What was read of it may not be the server's any more.
  func takeBreak() -> Bool {
    state.withLock { state in
      defer { state.isBroken = false }
      return state.isBroken
    }
  }
}
