import BackupFormat
import BackupTypes
import ObjectStorage
import Synchronization
import SystemIO

/// Checks that the repository still has what the store acknowledged.
///
/// While Redis writes, it reads our own claim every minute and, every ten minutes, lists the log of the
/// growing file and checks the digest of one span. While Redis is idle, it makes one listing request an
/// hour, for one object that a restore of the newest state needs, in rotation. For each `sync` it lists
/// the log of the growing file.
extension Auditor {
  /// A listing of the log is followed for at most this many pages.
  private static let pagesMax = 8

  /// Runs until its task is cancelled.
  /// - Parameter onNews: called when something is found to be missing, and when a question is answered.
  package func watchRepository(onNews: @Sendable () -> Void) async {
    var schedule = Schedule()
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
    var claimAt = SystemClock.monotonicMilliseconds()
    var logAt = SystemClock.monotonicMilliseconds()
    var claimCount: UInt64 = 0
    var logCount: UInt64 = 0
    /// The end of the log at the last two looks. Objects from before the older look had been acknowledged
    /// long before.
    var seen: (timeline: TimelineNumber, ordinal: Int, last: UInt64, before: UInt64)?
    var turn = 0
  }

  private func check(_ schedule: inout Schedule) async {
    let (store, frame, lastCall, asked, answered) = repository.withLock {
      ($0.store, $0.frame, $0.lastCall, $0.asked, $0.answered)
    }
    guard let store, let frame else { return }
    let now = SystemClock.monotonicMilliseconds()
    let count = acknowledged.count
    do {
      // An idle Redis causes no requests except the probe.
      let isWriting = now - acknowledged.lastAt < 2 * options.lookInterval
      let isLogDue =
        isWriting && schedule.logCount != count && now - schedule.logAt >= options.logInterval
      if asked > answered {
        let isThere = acknowledged.openLog != nil
        if isThere { try await checkLog(&schedule, store, frame) }
        repository.withLock { $0.answered = asked }
        guard isThere else { return }
      } else if isWriting, let claim = acknowledged.claim, schedule.claimCount != count,
        now - schedule.claimAt >= options.claimInterval,
        // With intervals shorter than a look's, one that always came first would leave no look to the other.
        !isLogDue || schedule.claimAt <= schedule.logAt
      {
        (schedule.claimAt, schedule.claimCount) = (now, count)
        try await checkClaim(claim, store, frame)
      } else if isLogDue {
        (schedule.logAt, schedule.logCount) = (now, count)
        try await checkLog(&schedule, store, frame)
      } else if let interval = options.probeInterval, now - (lastCall() ?? now) >= interval {
        try await probe(&schedule, store, frame)
      } else {
        return
      }
      let wall = SystemClock.now()
      repository.withLock { $0.lastLook = wall }
    } catch {
      // The store itself retries and reports failures. The next look stays on schedule.
    }
  }

  private func checkClaim(_ claim: Claim, _ store: any ObjectStore, _ frame: Frame) async throws {
    let name = ObjectPath.claim(claim.timeline)
    guard let object = try await store.read(name.text) else {
      return ifStill(claim) {
        lost("\(store.location) has lost \(name.text), which was written there")
      }
    }
    let content = try? frame.open(object, kind: .claim, name: name, limit: RecordCoding.sizeMax)
    let found = content.flatMap {
      try? RecordCoding.decode(Claim.self, from: $0.content, name: name.text)
    }
    guard found?.nonce != claim.nonce else { return }
    ifStill(claim) {
      lost(
        "\(name.text) in \(store.location) is not what was written there: another process overwrote it"
      )
    }
  }

  /// Calls `act`, unless the claim was given up during the request.
  private func ifStill(_ claim: Claim, _ act: () -> Void) {
    if acknowledged.claim?.nonce == claim.nonce { act() }
  }

  /// Checks that the log of the growing file has no gap up to what was acknowledged, and that its last
  /// object has the bytes that are on disk.
  private func checkLog(
    _ schedule: inout Schedule, _ store: any ObjectStore, _ frame: Frame
  ) async throws {
    guard let claim = acknowledged.claim, let open = acknowledged.openLog else { return }
    let seen =
      schedule.seen.flatMap {
        $0.timeline == open.timeline && $0.ordinal == open.ordinal ? $0 : nil
      }
    let from = max(open.reach.from, seen?.before ?? 0)
    schedule.seen = (open.timeline, open.ordinal, open.reach.to, seen?.last ?? open.reach.from)
    let spans = try await list(
      open.timeline, open.ordinal, from: from, to: open.reach.last.from, store)
    guard let spans else { return }
    // A small object is removed only after its fold was written, so only the union of both counts.
    var position = from
    for span in spans.sorted(by: { ($0.from, $1.to) < ($1.from, $0.to) }) {
      if span.from <= position { position = max(position, span.to) }
    }
    guard position >= open.reach.to else {
      return ifStill(claim) {
        lost(
          "\(store.location) has lost log of timeline \(open.timeline), file \(open.ordinal): it was "
            + "durable up to offset \(open.reach.to), and ends at \(position)")
      }
    }
    let last = open.reach.last
    guard let identity = open.identity,
      let bytes = read(identity, "", from: last.from, to: last.to), bytes.count == Int(last.count),
      frame.digest(bytes).short != last.digest
    else { return }
    ifStill(claim) {
      lost("the log on disk differs from what was shipped of it, at offset \(last.from)")
    }
  }

  /// The spans of a file's log around [from, to]; nil if the listing is too long to be followed.
  private func list(
    _ timeline: TimelineNumber, _ ordinal: Int, from: UInt64, to: UInt64, _ store: any ObjectStore
  ) async throws -> [LogSpan]? {
    // Names begin with the offset in a fixed width. Listing only the common prefix of both ends skips the
    // log that was checked long ago.
    let digits = (
      decimal(from, width: LogSpan.offsetDigits), decimal(to, width: LogSpan.offsetDigits)
    )
    let common = from == 0 ? "" : String(zip(digits.0, digits.1).prefix { $0 == $1 }.map(\.0))
    var prefix = ObjectPath.log(timeline, ordinal: ordinal) + common
    // The object that contains `from` can begin before it.
    if prefix.last?.isNumber == true { prefix.removeLast() }
    var spans: [LogSpan] = []
    var token: String?
    for _ in 0..<Auditor.pagesMax {
      let page = try await store.list(prefix: prefix, continuing: token)
      for entry in page.entries {
        if case .log(_, _, let span)? = ObjectPath(entry.name) { spans.append(span) }
      }
      guard let next = page.next else { return spans }
      token = next
    }
    return nil
  }

  /// Checks one object that the newest state needs, with one page of a listing.
  private func probe(
    _ schedule: inout Schedule, _ store: any ObjectStore, _ frame: Frame
  ) async throws {
    let (claim, count) = (acknowledged.claim, acknowledged.count)
    let names = acknowledged.essentials.map(\.text)
    schedule.turn = (schedule.turn + 1) % (names.count + 1)
    guard schedule.turn < names.count else {
      if acknowledged.openLog != nil { return try await checkLog(&schedule, store, frame) }
      schedule.turn = 0
      return try await probe(&schedule, store, frame)
    }
    let name = names[schedule.turn]
    let page = try await store.list(prefix: name, continuing: nil)
    guard page.entries.isEmpty, page.next == nil else { return }
    guard acknowledged.count == count, acknowledged.claim?.nonce == claim?.nonce else { return }
    lost("\(store.location) has lost \(name), which a restore of the newest state needs")
  }
}
