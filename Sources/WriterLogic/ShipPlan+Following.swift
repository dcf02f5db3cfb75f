import BackupFormat
import BackupTypes
import RedisFormats

/// What is followed on disk: chains, whether the AOF is live, ordinals, positions of dumps.
extension ShipPlan {
  mutating func follow(_ set: AOFSetView) {
    chain = FollowedChain(fresh: set)
    coveringPositions = [:]
    isFollowingAnew = true
    guarded.isUnjudged = guarded.hadPoint || lastSnapshot?.primary != nil
  }

  /// Nothing proves that the set on disk follows `followed`. It is drained, and its readable part stays the
  /// newest state until the new chain has its BASE.
  mutating func stopFollowing(_ followed: FollowedChain) {
    var old = followed
    // It could not be restored so far, and never will be.
    if guarded.isUnjudged { old.anchor = nil }
    for index in old.files.indices { old.files[index].makeFinal() }
    let isUploading = copies.work.map { $0.pin == old.candidate?.file.pin } ?? false
    // Unscanned bytes count too: a dump must not win over log that is still to be drained.
    let until = old.files.last?.lastWrite ?? lastMark
    if old.anchor != nil || isUploading { draining.append((old, until)) }
    chain = nil
  }

  /// A file that is not the last but ends inside a command can't be loaded. The chain ends there, and the
  /// files after it wait for the next BASE.
  mutating func closeIfTorn() {
    guard let followed = chain, let torn = followed.tornFile,
      let index = followed.files.firstIndex(where: { $0.pin == torn.pin })
    else { return }
    var old = followed
    old.files.removeLast(old.files.count - index - 1)
    warnings.append(
      "\(torn.name) ends with an unfinished command at offset \(torn.boundary), but newer files follow it. "
        + "They can be backed up after Redis has rewritten its AOF (BGREWRITEAOF)")
    var rest = FollowedChain(
      form: followed.form, files: Array(followed.files[(index + 1)...]), anchor: nil, candidate: nil
    )
    if let made = followed.candidate, made.first > index {
      old.candidate = nil
      rest.candidate = made
      rest.candidate?.first -= index + 1
      rest.moveToCandidate()
    }
    stopFollowing(old)
    chain = rest
  }

  mutating func withFile(_ pin: PinID, _ change: (inout FollowedFile) -> Void) {
    if let index = chain?.files.firstIndex(where: { $0.pin == pin }) {
      change(&chain!.files[index])
      return
    }
    for position in draining.indices {
      if let index = draining[position].chain.files.firstIndex(where: { $0.pin == pin }) {
        change(&draining[position].chain.files[index])
        return
      }
    }
  }

  /// Ordinals number the files of a timeline in the order of their first pinning.
  mutating func assignOrdinals() {
    guard var followed = chain else { return }
    for index in followed.files.indices where followed.files[index].ordinal == nil {
      let file = followed.files[index]
      let isWhole = file.isFinal && file.start == file.size && file.start > 0
      if isWhole { continue }
      followed.files[index].ordinal = nextOrdinal
      nextOrdinal += 1
    }
    chain = followed
  }

  mutating func judgeLiveness() {
    // "Not yet a set" says nothing about a server's AOF.
    if case .unsettled = view.aof { return }
    noteGrowth()
    // Observation comes first: a log that grew after the dump appeared is live, whatever the clock was set
    // to meanwhile.
    let judged =
      hasGrownSinceDump
      ? .live
      : AOFLiveness.judge(
        lastWrite: view.aof.set?.increments.last?.file.modified,
        manifestModified: view.aof.set?.manifestModified,
        dump: view.dump.map {
          .init(born: $0.born, modified: $0.modified, contentAtSeconds: dumpContentSeconds)
        }, now: view.at)
    let since = liveness.since ?? view.at
    switch judged {
    case .live: liveness = .live
    case .quiet: liveness = .quiet(since: since)
    case .unknown:
      if !liveness.isUnknown {
        warnings.append(
          "the dump or the AOF has a modification time in the future: the clock was set back. The AOF "
            + "counts as the newest state; the dump is uploaded as well")
      }
      liveness = .unknown(since: since)
    }
  }

  /// Whether the log grew after the look that first showed the dump.
  private mutating func noteGrowth() {
    let last = view.aof.set?.increments.last?.file
    guard let dump = view.dump else {
      (dumpSeen, hasGrownSinceDump) = (nil, false)
      return
    }
    guard let seen = dumpSeen, seen.version == dump.version else {
      (dumpSeen, hasGrownSinceDump) = ((dump.version, last), false)
      return
    }
    if let last, last.pin != seen.log?.pin || last.size != seen.log?.size {
      hasGrownSinceDump = true
    }
  }

  var dumpContentSeconds: Int64? {
    guard let dump, dump.isRead(from: view.dump) else { return nil }
    return dump.record.contentAt.milliseconds / 1000
  }

  /// Records the position of the log when a dump is first seen. A dump without a position joins no
  /// cut of the log.
  mutating func noteDumpPosition() {
    // A look that found no settled set measured no file, so what is known of the log is outdated.
    if case .unsettled = view.aof { return }
    let dumps = [view.dump?.pin, copies.work?.pin, dump?.file?.pin].compactMap { $0 }
    coveringPositions = coveringPositions.filter { dumps.contains($0.key) }
    for pin in dumps where coveringPositions[pin] == nil { coveringPositions[pin] = logPosition }
    guard let file = view.dump, dumpPositions[file.pin] == nil else { return }
    dumpPositions = dumpPositions.filter { $0.key == copies.work?.pin }
    dumpPositions[file.pin] = logPosition
  }

  /// Whether the durable log of the followed chain holds everything that the dump does.
  var hasCaughtUp: Bool {
    guard let files = chain?.files else { return false }
    guard let pin = dump?.file?.pin, let target = coveringPositions[pin] else {
      return files.allSatisfy(\.isDurable)
    }
    return files.allSatisfy { file in
      guard let ordinal = file.ordinal, !file.isDurable else { return true }
      let durable = LogPosition(timeline: claim.timeline, ordinal: ordinal, offset: file.durable)
      return durable >= target
    }
  }

  /// Where the log was when the dump was pinned. Unknown means somewhere in the growing file: the dump
  /// joins no cut of that file.
  func pinnedPosition(of pin: PinID) -> LogPosition? {
    if let position = dumpPositions[pin] { return position }
    guard var position = logPosition else { return nil }
    position.offset = .max
    return position
  }
}
