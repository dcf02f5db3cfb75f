import BackupFormat
import BackupTypes
import RedisFormats

extension Writing {
  /// The snapshot that is due: if its content differs from the last one, or a destructive command was seen.
  func nextSnapshot(now: Instant) -> Snapshot? {
    var body = snapshotBody()
    guard body.primary != nil || body.detached != nil else { return nil }
    let estimate = keyBounds(of: body)?.estimate
    if let destructive = pins.commands.first {
      body.destructive = destructive
    } else if said.last?.body == body, !isEstimateDue(estimate, now: now) {
      return nil
    }
    body.cause = cause(of: body)
    body.reached = reached(by: body)
    body.estimate = estimate
    body.sequence = said.nextSequence
    body.at = max(now, said.last?.at ?? now)
    return body
  }

  /// The closing snapshot, which says whether everything on disk is durable. Nil if the last snapshot says so
  /// already, or if there is nothing to record.
  func closingSnapshot(now: Instant) -> Snapshot? {
    guard isClosing, !isClosed else { return nil }
    var body = snapshotBody()
    guard body.primary != nil || body.detached != nil else { return nil }
    body.isClean = isProvedClean
    body.cause = .end
    body.reached = reached(by: body)
    body.estimate = keyBounds(of: body)?.estimate
    body.sequence = said.nextSequence
    body.at = max(now, said.last?.at ?? now)
    return body
  }

  private func reached(by body: Snapshot) -> UInt64? {
    guard let open = body.chain?.openSegment, open.timeline == claim.timeline else { return nil }
    return chains.files.first { $0.ordinal == open.ordinal }?.durable
  }

  /// Whether the last snapshot closes the timeline and is still up to date.
  package var isClosed: Bool {
    guard records.isIdle else { return false }
    guard let last = said.last, last.cause == .end else {
      return snapshotBody().primary == nil && snapshotBody().detached == nil
    }
    return last.body == snapshotBody()
      && (last.isClean || !isProvedClean)
  }

  /// The content of a snapshot written now. Everything it names is durable.
  func snapshotBody() -> Snapshot {
    var body = Snapshot(
      timeline: claim.timeline, sequence: 0, nonce: claim.nonce, at: Instant(milliseconds: 0),
      cause: .claim, primary: nil, chain: nil, dump: dump.durable?.record, detached: nil,
      isClean: false,
      destructive: nil)
    let old = chains.readableOld(claim.timeline)
    if let chain = chains.followed {
      if let anchor = chain.readableAnchor, !isDrainingReadable {
        body.chain = chain.record(from: anchor, claim.timeline)
        body.link = view.link?.position(of: body.chain?.files.last?.file)
        // If a chain does not continue another one, its BASE can be older than a dump that was pinned before
        // its log.
        if chain.origin != .compared, let position = dump.covered {
          body.dump?.pinnedAt = position
        }
      } else {
        body.chain = old?.record
        body.detached = Snapshot.Detached(
          form: chain.form, awaitedBase: chain.awaitedBase, files: chain.listed(claim.timeline),
          isBaseEmpty: chain.candidate?.file.size == 0 ? true : nil)
      }
    } else {
      body.chain = old?.record
    }
    body.primary = primary(of: body, old)
    // The snapshots before this one name the chain that the dump replaced. Retention keeps it for as long as
    // the policy says, and not for as long as the server runs without AOF.
    if body.primary == .rdb, chains.followed == nil, chains.draining.isEmpty { body.chain = nil }
    return body
  }

  private func primary(of body: Snapshot, _ old: ClosedChain?) -> Snapshot.Primary? {
    let isDumpNewest = said.isDumpNewest
    guard let dump = dump.durable else { return body.chain == nil ? nil : .aof }
    let heldAt = isLogCopied ? dump.record.contentAt : dump.heldAt
    guard body.chain != nil else {
      // If a live AOF is not readable yet, an old dump beside it must not become the newest state: the
      // history before this timeline ended with a newer state.
      let isOlder = said.historyEnd.map { dump.record.contentAt.since($0) <= -1000 } ?? false
      return chains.followed != nil && liveness.isLive && isOlder ? nil : .rdb
    }
    if chains.isReadable, !isDrainingReadable {
      // A live AOF has all data. An AOF that is no longer written is replaced by a newer dump, once that dump
      // is durable and the AOF has not changed for so long that this is not just a pause between two writes.
      // A newer dump that is not durable yet changes nothing. A dump that is the newest state stays it until the
      // AOF is written again.
      let isYounger = chains.followed?.files.last.map { heldAt > $0.lastWrite } ?? false
      guard case .quiet(let since) = liveness, isYounger || dump.isRead(from: view.dump),
        isFlushing || isDumpNewest || view.at.since(since) >= options.quietAfter
      else {
        // A BASE can be durable long before its log. Until the durable log has the data of the dump, the dump
        // is the newest state.
        return isDumpNewest && !hasCaughtUp ? .rdb : .aof
      }
      return .rdb
    }
    if isDumpNewest, isDrainingReadable { return .rdb }
    return heldAt >= (old?.until ?? heldAt) ? .rdb : .aof
  }

  /// Whether an old chain still has log that is not durable. A snapshot lists it before the next chain, whose
  /// BASE may be durable much earlier. At the end of the timeline only the newest state counts.
  var isDrainingReadable: Bool {
    !isClosing && chains.draining.contains { $0.chain.isReadableAndPending }
  }

  private func cause(of body: Snapshot) -> Snapshot.Cause {
    guard let last = said.last else { return .claim }
    if body.destructive != nil { return .destructive }
    if body.chain?.base != last.chain?.base || body.dump != last.dump { return .generation }
    if body.chain != last.chain { return .chain }
    if body.detached != last.detached { return .detached }
    // If nothing else differs, the log has changed the number of keys.
    return body.primary == last.primary ? .chain : .primary
  }
}

extension Snapshot {
  /// The content of a snapshot, without its time and cause. A new snapshot is due when this changes.
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
