package import BackupFormat
package import BackupTypes
import RedisFormats

extension ShipPlan {
  /// The snapshot that is due: when what it would say differs from the last one, or a destructive
  /// command passed.
  func nextSnapshot(now: Instant) -> Snapshot? {
    var body = snapshotBody()
    guard body.primary != nil || body.detached != nil else { return nil }
    let estimate = keyBounds(of: body)?.estimate
    if let destructive = destructiveDue.first {
      body.destructive = destructive
    } else if let last = lastBody, last == body, !isEstimateDue(estimate, now: now) {
      return nil
    }
    body.cause = cause(of: body)
    body.reached = reached(by: body)
    body.estimate = estimate
    body.sequence = nextSequence
    body.at = max(now, lastSnapshot?.at ?? now)
    return body
  }

  /// The closing snapshot: it says whether everything on disk is durable. Nil when the last one says it
  /// already, or when there is nothing to say.
  func closingSnapshot(now: Instant) -> Snapshot? {
    guard isClosing, !isClosed else { return nil }
    var body = snapshotBody()
    guard body.primary != nil || body.detached != nil else { return nil }
    body.isClean = isProved && isLogSettled && isNewestStateReadable
    body.cause = .end
    body.reached = reached(by: body)
    body.estimate = keyBounds(of: body)?.estimate
    body.sequence = nextSequence
    body.at = max(now, lastSnapshot?.at ?? now)
    return body
  }

  private func reached(by body: Snapshot) -> UInt64? {
    guard let open = body.chain?.openSegment, open.timeline == claim.timeline else { return nil }
    return allFiles.first { $0.ordinal == open.ordinal }?.durable
  }

  /// Whether the last snapshot closes the timeline and still says what there is.
  package var isClosed: Bool {
    guard recordInFlight == nil else { return false }
    guard let last = lastSnapshot, last.cause == .end else {
      return snapshotBody().primary == nil && snapshotBody().detached == nil
    }
    return lastBody == snapshotBody()
      && (last.isClean || !(isProved && isLogSettled && isNewestStateReadable))
  }

  /// What a snapshot written now would say. Everything in it is durable.
  func snapshotBody() -> Snapshot {
    var body = Snapshot(
      timeline: claim.timeline, sequence: 0, nonce: claim.nonce, at: Instant(milliseconds: 0),
      cause: .claim, primary: nil, chain: nil, dump: dump?.record, detached: nil, isClean: false,
      destructive: nil)
    let isOldFirst = isDrainingReadable
    if let chain {
      if let anchor = chain.anchor, !isOldFirst, !guarded.isUnjudged {
        body.chain = chainRecord(chain, anchor: anchor)
        if isFollowingAnew, let pin = dump?.file?.pin, let position = coveringPositions[pin] {
          body.dump?.pinnedAt = position
        }
      } else {
        body.chain = readableOld?.record
        body.detached = Snapshot.Detached(
          form: chain.form, awaitedBase: chain.awaitedBase,
          files: chain.listable.map(fileRecord),
          isBaseEmpty: chain.candidate?.file.size == 0 ? true : nil)
      }
    } else {
      body.chain = readableOld?.record
    }
    body.primary = primary(of: body)
    return body
  }

  private func primary(of body: Snapshot) -> Snapshot.Primary? {
    guard let dump else { return body.chain == nil ? nil : .aof }
    guard body.chain != nil else {
      // Beside a live AOF that is not readable yet, an old dump is no state to go back to: the history
      // before this timeline ended with a newer one.
      let isOlder = historyEnd.map { dump.record.contentAt.since($0) <= -1000 } ?? false
      return chain != nil && liveness == .live && isOlder ? nil : .rdb
    }
    if isChainReadable, !isDrainingReadable {
      // A live AOF has everything. A quiet one gives way to the dump that made it quiet, once that is
      // durable and the AOF has been still for long enough not to be between two writes.
      // A newer dump that is not durable yet changes nothing: the log is no better for it.
      let isYounger = chain?.files.last.map { dump.heldAt > $0.lastWrite } ?? false
      guard liveness == .quiet, isYounger || dump.isRead(from: view.dump),
        let since = quietSince, isFlushing || view.at.since(since) >= options.quietAfter
      else {
        // A BASE can be durable long before its log: until that holds what the dump does, the newest
        // state is the dump's.
        return isDumpNewest && !hasCaughtUp ? .rdb : .aof
      }
      return .rdb
    }
    if isDumpNewest, isDrainingReadable { return .rdb }
    return dump.heldAt >= (readableOld?.until ?? dump.heldAt) ? .rdb : .aof
  }

  func chainRecord(_ chain: FollowedChain, anchor: FollowedChain.Anchor) -> Snapshot.Chain {
    var base: Snapshot.Base?
    if case .base(let record) = anchor.kind { base = record }
    return Snapshot.Chain(
      form: chain.form, base: base, files: chain.prefix + chain.listable.map(fileRecord))
  }

  /// A file as spans of log: what earlier timelines hold of it, then ours, open while it grows.
  private func fileRecord(_ file: FollowedFile) -> Snapshot.LogFile {
    var segments = file.inherited
    if let ordinal = file.ordinal {
      let isClosed = file.isComplete && file.durable == file.size
      let end = isClosed ? file.size : nil
      if end != file.start || file.start == 0 {
        segments.append(
          .init(timeline: claim.timeline, ordinal: ordinal, from: file.start, to: end))
      }
    }
    return Snapshot.LogFile(
      file: file.name, sequence: file.sequence, segments: segments, identity: file.identity)
  }

  /// The readable chain that is not followed any more: the oldest that is still drained, else the
  /// newest. In the order of the history: only a snapshot that names a file lets its log be sent.
  private var readableOld: ClosedChain? {
    if let (old, until) = readableDraining, let anchor = old.anchor {
      return ClosedChain(record: chainRecord(old, anchor: anchor), until: until)
    }
    return closed
  }
  var readableDraining: (chain: FollowedChain, until: Instant)? {
    draining.first { $0.chain.isReadableAndPending } ?? draining.last { $0.chain.anchor != nil }
  }

  /// A chain that was left has log that is not durable: it comes before the next one, whose BASE may be
  /// durable long before. Not at the end: then the newest state is what counts.
  var isDrainingReadable: Bool {
    !isClosing && draining.contains { $0.chain.isReadableAndPending }
  }

  private func cause(of body: Snapshot) -> Snapshot.Cause {
    guard let last = lastBody else { return .claim }
    if body.destructive != nil { return .destructive }
    if body.chain?.base != last.chain?.base || body.dump != last.dump { return .generation }
    if body.chain != last.chain { return .chain }
    if body.detached != last.detached { return .detached }
    // Else the log has changed how much there is.
    return body.primary == last.primary ? .chain : .primary
  }
}

/// A chain that nothing is appended to any more, and the last instant seen in it.
package struct ClosedChain: Sendable, Equatable {
  package var record: Snapshot.Chain
  package var until: Instant
  package init(record: Snapshot.Chain, until: Instant) {
    self.record = record
    self.until = until
  }
}

extension Snapshot {
  /// What a snapshot says, without when and why: a new one is due when this changes.
  var body: Snapshot {
    var copy = self
    copy.sequence = 0
    copy.at = Instant(milliseconds: 0)
    copy.cause = .claim
    copy.destructive = nil
    copy.isClean = false
    copy.reached = nil
    copy.estimate = nil
    return copy
  }
  var ownOrdinals: [Int] {
    ((chain?.files ?? []) + (detached?.files ?? [])).flatMap(\.segments)
      .filter { $0.timeline == timeline }.map(\.ordinal)
  }
}
