package import BackupFormat
package import BackupTypes
package import RedisFormats

/// A dump or BASE to be uploaded.
package struct GenerationUpload: Sendable, Equatable {
  package var kind: GenerationIndex.Kind
  package var file: PinnedFile
  package var sequence: Int64
  package var pin: PinID { file.pin }
}

package struct GenerationResult: Sendable, Equatable {
  package var index: GenerationIndex
  /// The number of keys, if it is known more precisely than from the index.
  package var keys: KeyBounds?
  package init(index: GenerationIndex, keys: KeyBounds? = nil) {
    self.index = index
    self.keys = keys
  }
}

extension Writing {
  package enum Action: Sendable, Equatable {
    case putLog(LogShipment)
    case putSnapshot(Snapshot)
    case putGuardRecord(GuardRecord)
    case putFold(FoldGatherer.Fold)
    case uploadGeneration(GenerationUpload)
  }

  /// The actions to begin now, at most one for each lane. The caller reports how each ended.
  package mutating func actions(now: Instant) -> [Action] {
    var actions: [Action] = []
    if records.isIdle, let record = nextRecord(now: now) {
      fail(records.begin(record))
      switch record {
      case .log(let shipment):
        chains.withFile(shipment.pin) { $0.noteSent(shipment) }
        actions.append(.putLog(shipment))
      case .snapshot(let snapshot): actions.append(.putSnapshot(snapshot))
      case .guarding(let record): actions.append(.putGuardRecord(record))
      case .fold(let fold): actions.append(.putFold(fold))
      }
    }
    if copies.isIdle, let upload = nextGeneration(now: now) {
      fail(copies.begin(upload))
      if upload.kind == .dump { dump.begin(now: now) }
      actions.append(.uploadGeneration(upload))
    }
    return actions
  }

  /// When `actions` will next return something new, if nothing else happens.
  package func nextWake(now: Instant) -> Instant? {
    var times: [Instant] = []
    if records.isIdle, nextShipment != nil, let last = log.put {
      times.append(last.advanced(byMilliseconds: interval))
    }
    if copies.isIdle, pendingDump != nil {
      times += [dumpDue(now: now)].compactMap { $0 }
    }
    times += compactor.times
    return times.filter { $0 > now }.min()
  }

  // MARK: The record lane

  private func nextRecord(now: Instant) -> Record? {
    if let record = pins.records.first { return .guarding(record) }
    if let snapshot = closingSnapshot(now: now) { return .snapshot(snapshot) }
    // Snapshots come first: the objects that they name are durable already, and log may wait until a snapshot
    // names it.
    if let snapshot = nextSnapshot(now: now) { return .snapshot(snapshot) }
    if let shipment = nextShipment, isDue(shipment, now: now) { return .log(shipment) }
    return isFlushing ? nil : compactor.next.map(Record.fold)
  }

  private var nextShipment: LogShipment? { chains.nextShipment(named: said.named) }

  /// At most one object in each interval; earlier if an object is full or the file will not grow.
  private func isDue(_ shipment: LogShipment, now: Instant) -> Bool {
    guard !isFlushing, let last = log.put else { return true }
    let isFull = pendingLogBytes >= UInt64(LogPayload.bytesMax)
    return isFull || now.since(last) >= interval || now < last
  }

  private var interval: Int64 {
    view.isAwaited ? min(options.ackInterval, options.shipInterval) : options.shipInterval
  }

  package var pendingLogBytes: UInt64 {
    chains.files.reduce(0) { $0 + ($1.boundary - min($1.boundary, $1.durable)) }
  }

  // MARK: The generation lane

  private func nextGeneration(now: Instant) -> GenerationUpload? {
    // A state that may be the result of an accident is shipped under the next claim.
    guard suspicion == nil else { return nil }
    if let candidate = chains.followed?.candidate, candidate.upload == .wanted {
      return GenerationUpload(kind: .base, file: candidate.file, sequence: candidate.sequence)
    }
    guard let file = pendingDump, isDumpDue(now: now) else { return nil }
    return GenerationUpload(kind: .dump, file: file, sequence: 0)
  }

  /// A dump on disk that is neither durable nor known to be broken.
  var pendingDump: PinnedFile? {
    guard let file = view.dump, versions.isReady(file), dump.isNews(file) else { return nil }
    return file
  }

  private func isDumpDue(now: Instant) -> Bool {
    guard let due = dumpDue(now: now), now < due else { return true }
    return isFlushing && (chains.followed == nil || view.aof.set == nil || !liveness.isLive)
  }

  /// When the dump on disk may be shipped; nil: at once.
  ///
  /// The chain of a live AOF has all data. A dump beside it is only for servers that run without AOF, and one
  /// in each interval is enough. Without a live AOF the dump is the newest state. It then waits only if the
  /// caller gave an interval, and the first dump that replaces a log does not wait even then.
  private func dumpDue(now: Instant) -> Instant? {
    let isBeside = chains.followed != nil && view.aof.set != nil
    if isBeside, liveness.isLive {
      return dump.begun?.advanced(byMilliseconds: options.dumpInterval)
    }
    var times: [Instant] = []
    if isBeside, let since = liveness.since {
      times.append(since.advanced(byMilliseconds: options.quietAfter))
    }
    // The dump's time is in the future, because the clock was set back.
    if said.isDumpNewest, options.dumpIntervalAlone > 0, let last = dump.begun, last <= now {
      times.append(last.advanced(byMilliseconds: options.dumpIntervalAlone))
    }
    return times.max()
  }

  // MARK: Ending

  /// Releases pinned files without a name until they hold at most `limit` bytes. Files whose upload has not
  /// begun go first, the oldest first. An unshipped INCR goes last, and ends the timeline.
  package mutating func shed(unlinked: [PinID: UInt64], limit: UInt64) -> Shed {
    var total = unlinked.values.reduce(0, +)
    var dropped: [String] = []
    if let candidate = chains.followed?.candidate, uploadingPin != candidate.file.pin,
      let bytes = unlinked[candidate.file.pin], total > limit
    {
      // A durable dump is not held open any more.
      total -= bytes
      if candidate.upload == .wanted {
        fail(chains.followed?.refuseCandidate())
        dropped.append(candidate.file.name)
      }
    }
    guard total > limit else { return dropped.isEmpty ? .nothing : .dropped(dropped) }
    // An upload that has begun is finished, even if it exceeds the bound by itself.
    let uploading = copies.work.flatMap { unlinked[$0.pin] } ?? 0
    guard total - uploading > limit,
      let file = chains.files.first(where: { unlinked[$0.pin] != nil })
    else { return dropped.isEmpty ? .nothing : .dropped(dropped) }
    return .endsTimeline(file.name)
  }

  package enum Shed: Sendable, Equatable {
    case nothing
    case dropped([String])
    case endsTimeline(String)
  }

  /// Whether nothing is left to do for the files that looks found. `--once` waits for this.
  package func isSettled(now: Instant) -> Bool {
    records.isIdle && copies.isIdle && isLogSettled
      && nextGeneration(now: now) == nil
  }

  /// Whether the log is durable to its last boundary, and the last snapshot is up to date.
  package var isLogSettled: Bool {
    pins.isEmpty && unscanned.isEmpty
      && chains.files.allSatisfy(\.isDurable) && isBodySaid
  }

  /// Whether the last snapshot is up to date, or there is nothing to record, for example because everything
  /// is damaged.
  private var isBodySaid: Bool {
    let body = snapshotBody()
    return said.last?.body == body || (body.primary == nil && body.detached == nil)
  }

  /// The last instant that a restore can give, as far as this plan wrote it.
  package var lastDurableMark: Instant? {
    guard let last = said.last, last.primary != nil else { return nil }
    if last.primary == .rdb { return dump.durable?.record.contentAt }
    return log.shipped ?? last.at
  }

  /// Whether a restore of what is durable gives the newest state of the directory.
  package var isNewestStateReadable: Bool {
    if chains.followed?.origin == .unjudged { return false }
    if let chain = chains.followed, view.aof.set != nil {
      if chain.anchor != nil { return true }
      if !chain.files.allSatisfy(\.isEmpty) { return false }
    }
    return view.dump.map { !dump.isNews($0) } ?? true
  }

  /// The bytes that are on disk and not durable. This is computed from the disk, not from the results of the
  /// lanes.
  package var unshipped: Unshipped {
    var result = Unshipped()
    result.bytes = chains.files.reduce(0) { $0 + $1.pendingBytes }
    result.logSince = chains.files.compactMap(\.pendingSince).min()
    var generations: [PinnedFile] = []
    if chains.followed == nil || !liveness.isLive, let file = pendingDump {
      generations.append(file)
    }
    if let chain = chains.followed, chain.anchor == nil, let candidate = chain.candidate {
      generations.append(candidate.file)
    }
    result.bytes += generations.reduce(0) { $0 + $1.size }
    result.generationSince = generations.map(\.modified.instant).min()
    return result
  }
}

/// Bytes on disk that are not durable, and since when: the lag.
package struct Unshipped: Sendable, Equatable {
  package var bytes: UInt64 = 0
  package var logSince: Instant?
  package var generationSince: Instant?
  package var since: Instant? { [logSince, generationSince].compactMap { $0 }.min() }
}
