import BackupFormat
import BackupTypes
import ObjectStorage
import Synchronization
import SystemIO

/// Checks that the repository still has what the store acknowledged.
///
/// While Redis writes, it reads our own claim every minute and, every ten minutes, lists the log of the
/// growing file and reads its last object back. Once an hour, also while Redis is idle, it reads back one
/// object that a restore of the newest state needs, in rotation. For each `sync` it looks at the log of the
/// growing file.
extension Auditor {
  /// Runs until its task is cancelled.
  /// - Parameter onNews: called when something is found to be missing, and when a question is answered.
  package func watchRepository(onNews: @Sendable () -> Void) async {
    var schedule = Schedule(begun: time.monotonic)
    for await _ in ticks.stream {
      let before = (loss != nil, answered)
      await check(&schedule)
      if (loss != nil, answered) != before { onNews() }
    }
  }

  /// Asks the repository, without waiting for the next look, whether it has the log that was acknowledged by
  /// now: an acknowledgement can be wrong. Returns the number of the question.
  package func askForLog() -> UInt64 {
    let question = repository.withLock { state in
      state.asked += 1
      return state.asked
    }
    ticks.continuation.yield()
    return question
  }

  /// Whether that question was answered. When the answer was no, the verdict is `lost`.
  package func isAnswered(_ question: UInt64) -> Bool { answered >= question }
  private var answered: UInt64 { repository.withLock { $0.answered } }

  struct Schedule {
    var claimAt: Int64
    var logAt: Int64
    var probedAt: Int64
    var claimCount: UInt64 = 0
    var logCount: UInt64 = 0
    /// The end of the log at the last two looks. Objects from before the older look had been acknowledged
    /// long before.
    var seen: (timeline: TimelineNumber, ordinal: Int, last: UInt64, before: UInt64)?
    var turn = 0

    init(begun: Int64) {
      claimAt = begun
      logAt = begun
      probedAt = begun
    }
  }

  private enum Turn { case claim(Claim), log, probe }

  private func check(_ schedule: inout Schedule) async {
    let (store, frame, asked, answered) = repository.withLock {
      ($0.store, $0.frame, $0.asked, $0.answered)
    }
    guard let store, let frame else { return }
    do {
      if asked > answered {
        let isThere = acknowledged.openLog != nil
        if isThere { try await checkLog(.recent, &schedule, store, frame) }
        repository.withLock { $0.answered = asked }
        guard isThere else { return }
      } else {
        let now = time.monotonic
        switch due(schedule, now) {
        case nil: return
        case .claim(let claim):
          (schedule.claimAt, schedule.claimCount) = (now, acknowledged.count)
          try await checkClaim(claim, store, frame)
        case .log:
          (schedule.logAt, schedule.logCount) = (now, acknowledged.count)
          try await checkLog(.sinceLast, &schedule, store, frame)
        case .probe:
          schedule.probedAt = now
          try await probe(&schedule, store, frame)
        }
      }
      let wall = time.wall
      repository.withLock { $0.lastLook = wall }
    } catch {
      // The store itself retries and reports failures. The next look stays on schedule.
    }
  }

  /// What is due. If more than one is, the one that waited longest: with intervals shorter than a look's, one
  /// that always came first would leave no look to the others.
  private func due(_ schedule: Schedule, _ now: Int64) -> Turn? {
    let count = acknowledged.count
    // An idle Redis causes no requests except the probe, and one more look at the claims.
    let isWriting = now - acknowledged.lastAt < 2 * options.lookInterval
    var due: [(since: Int64, turn: Turn)] = []
    // Also after the last write: another shipper may have cut it off.
    if schedule.claimCount != count, let claim = acknowledged.claim,
      now - schedule.claimAt >= options.claimInterval
    {
      due.append((schedule.claimAt, .claim(claim)))
    }
    if isWriting, schedule.logCount != count, now - schedule.logAt >= options.logInterval {
      due.append((schedule.logAt, .log))
    }
    if let interval = options.probeInterval, now - schedule.probedAt >= interval {
      due.append((schedule.probedAt, .probe))
    }
    return due.min { $0.since < $1.since }?.turn
  }

  private func checkClaim(_ claim: Claim, _ store: any ObjectStore, _ frame: Frame) async throws {
    let name = ObjectPath.claim(claim.timeline)
    let object: [UInt8]?
    do {
      object = try await store.read(name.text, limit: ObjectKind.claim.objectBytesMax)
    } catch let error as LifeboatError where error.code == .corrupt {
      object = []
    }
    guard let object else {
      return ifStill(claim) {
        lost("\(name.text) is missing from \(store.location), although it was uploaded")
      }
    }
    let content = try? frame.open(object, kind: .claim, name: name, limit: RecordCoding.sizeMax)
    let found = content.flatMap {
      try? RecordCoding.decode(Claim.self, from: $0.content, name: name.text)
    }
    guard found?.nonce == claim.nonce else {
      return ifStill(claim) {
        lost(
          "\(name.text) in \(store.location) is not what was uploaded: another process overwrote it"
        )
      }
    }
    // The shipper looks for it only with an upload, and there may be no other one.
    guard let next = claim.timeline.next,
      try await store.has(
        ObjectPath.claim(next).text, limit: ObjectKind.claim.objectBytesMax)
    else { return }
    ifStill(claim) {
      lost(
        "another shipper claimed timeline \(next): uploads to timeline \(claim.timeline) no longer count"
      )
    }
  }

  /// Calls `act`, unless the claim was given up during the request.
  private func ifStill(_ claim: Claim, _ act: () -> Void) {
    if acknowledged.claim?.nonce == claim.nonce { act() }
  }

  /// How much of the log of the growing file is listed.
  private enum Extent {
    case whole
    /// From the look before the last one on: what came before was listed then. Does not count as a look itself.
    case recent
    /// The same, and it counts as one.
    case sinceLast
  }

  /// Checks that the log of the growing file has no gap up to what was acknowledged, and that its last
  /// object has the bytes that are on disk.
  private func checkLog(
    _ extent: Extent, _ schedule: inout Schedule, _ store: any ObjectStore, _ frame: Frame
  ) async throws {
    guard let claim = acknowledged.claim, let open = acknowledged.openLog else { return }
    let seen =
      schedule.seen.flatMap {
        $0.timeline == open.timeline && $0.ordinal == open.ordinal ? $0 : nil
      }
    let from = extent == .whole ? open.reach.from : max(open.reach.from, seen?.before ?? 0)
    if extent == .sinceLast {
      schedule.seen = (open.timeline, open.ordinal, open.reach.to, seen?.last ?? open.reach.from)
    }
    let listed = try await list(
      open.timeline, open.ordinal, from: from, to: open.reach.last.from, store)
    guard let (spans, stubs) = listed else { return }
    let position = Auditor.end(of: spans, from: from)
    guard position >= open.reach.to else {
      return ifStill(claim) {
        lost(
          "log is missing from \(store.location): timeline \(open.timeline), file \(open.ordinal) was "
            + "uploaded up to offset \(open.reach.to), but now ends at \(position)", damaged: stubs)
      }
    }
    let last = open.reach.last
    let name = ObjectPath.log(open.timeline, ordinal: open.ordinal, last)
    // One that is not there was folded: the listing has what it held.
    if case .damaged(let cause) = try await readBack(name, store, frame) {
      return ifStill(claim) {
        lost("\(name.text) in \(store.location) is damaged: \(cause)", damaged: [name])
      }
    }
    guard let identity = open.identity,
      let bytes = read(identity, "", from: last.from, to: last.to), bytes.count == Int(last.count),
      frame.digest(bytes).short != last.digest
    else { return }
    ifStill(claim) {
      lost("the log on disk differs from the uploaded log, at offset \(last.from)")
    }
  }

  /// Checks that the log of a file that no longer grows has no gap. The newest state needs it as long as a
  /// rewrite is under way, and after one that failed.
  private func checkClosedLog(_ segment: Snapshot.Segment, _ store: any ObjectStore) async throws {
    guard let to = segment.to, segment.from < to else { return }
    let listed = try await list(
      segment.timeline, segment.ordinal, from: segment.from, to: to - 1, store)
    guard let (spans, stubs) = listed else { return }
    let end = Auditor.end(of: spans, from: segment.from)
    // During the request a rewrite may have replaced this file, and its log may have been pruned.
    guard end < to, acknowledged.closedLogs.contains(segment) else { return }
    lost(
      "log is missing from \(store.location): timeline \(segment.timeline), file \(segment.ordinal) was "
        + "uploaded up to offset \(to), but now ends at \(end)", damaged: stubs)
  }

  /// Where the log ends that begins at `from`. A small object is removed only after its fold was written, so
  /// only the union of both counts.
  private static func end(of spans: [LogSpan], from: UInt64) -> UInt64 {
    var position = from
    for span in spans.sorted(by: { ($0.from, $1.to) < ($1.from, $0.to) })
    where span.from <= position {
      position = max(position, span.to)
    }
    return position
  }

  /// The spans of a file's log around [from, to], and the objects there that are too small to be one; nil if
  /// the listing is too long to be followed.
  private func list(
    _ timeline: TimelineNumber, _ ordinal: Int, from: UInt64, to: UInt64, _ store: any ObjectStore
  ) async throws -> (spans: [LogSpan], stubs: Set<ObjectPath>)? {
    // Names begin with the offset in a fixed width. Listing only the common prefix of both ends skips the
    // log that was checked long ago.
    let digits = (
      decimal(from, width: LogSpan.offsetDigits), decimal(to, width: LogSpan.offsetDigits)
    )
    let common = from == 0 ? "" : String(zip(digits.0, digits.1).prefix { $0 == $1 }.map(\.0))
    var prefix = ObjectPath.log(timeline, ordinal: ordinal) + common
    // The object that contains `from` can begin before it.
    if prefix.last?.isNumber == true { prefix.removeLast() }
    var (spans, stubs): ([LogSpan], Set<ObjectPath>) = ([], [])
    let isWhole = try await forEach(prefix, store) { entry in
      guard let name = ObjectPath(entry.name), case .log(_, _, let span) = name else { return }
      if Auditor.isStub(entry) { stubs.insert(name) } else { spans.append(span) }
    }
    return isWhole ? (spans, stubs) : nil
  }

  /// Checks one object that the newest state needs: it is read back.
  private func probe(
    _ schedule: inout Schedule, _ store: any ObjectStore, _ frame: Frame
  ) async throws {
    let claim = acknowledged.claim
    let (names, closed) = (acknowledged.essentials, acknowledged.closedLogs)
    schedule.turn = (schedule.turn + 1) % (names.count + closed.count + 1)
    if schedule.turn == names.count + closed.count {
      if acknowledged.openLog != nil {
        return try await checkLog(.whole, &schedule, store, frame)
      }
      schedule.turn = 0
    }
    if schedule.turn >= names.count {
      return try await checkClosedLog(closed[schedule.turn - names.count], store)
    }
    let name = names[schedule.turn]
    let found = try await readBack(name, store, frame)
    // During the request a newer object may have replaced this one, and this one may have been pruned.
    guard acknowledged.claim?.nonce == claim?.nonce, acknowledged.essentials.contains(name) else {
      return
    }
    switch found {
    case .whole, .unclear: return
    case .missing:
      lost(
        "\(name.text) is missing from \(store.location); a restore of the newest state needs it",
        damaged: [name])
    case .damaged(let cause):
      lost(
        "\(name.text) in \(store.location), which a restore of the newest state needs, is damaged: "
          + cause, damaged: [name])
    }
  }
}
