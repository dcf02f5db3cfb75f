package import BackupFormat
package import BackupTypes
import RedisFormats

/// Decides whether everything on disk is durable, from looks at the data directory and from what the store
/// acknowledged. A value without I/O or clock.
///
/// Each look is a *sample*. A sample is covered if a restore of what the store acknowledged gives the state
/// that the sample saw (`Coverage`). The lag is the age of the first sample after the last covered one, so
/// a proof that is not renewed turns into lag. A sample is never covered if no server could load it, or if
/// it shows that a server writes elsewhere.
///
/// Example: Redis writes to `incr.1`, and someone deletes the AOF's manifest. From the next look on no
/// sample is covered. For 10 s the cause may be a rewrite in progress. After that the verdict is `blind`,
/// since the last covered sample, until a look finds a set that is covered.
package struct Audit: Sendable {
  package struct Options: Sendable, Equatable {
    /// A server that is never idle writes elsewhere if it wrote nothing for this time, in milliseconds;
    /// nil: the server may be idle.
    package var expectWrites: Int64?
    /// An unfinished command at the end of the log is not waited for: what a server loads is enough.
    package var ignoresTornTail = false
    package init(expectWrites: Int64? = nil) { self.expectWrites = expectWrites }
  }

  /// A state that lasts for less than this is not reported, since a rewrite may be in progress.
  /// Milliseconds.
  package static let grace: Int64 = 10_000
  /// If there was no look for this time, nothing can be told.
  package static let lookAge: Int64 = 15_000
  /// How many samples wait to be covered. More are thinned out, which only delays a proof.
  static let samplesMax = 64

  private let options: Options
  private let data: String
  /// Samples that are not covered yet, the oldest first.
  private var waiting: [SourceSample] = []
  private var last: SourceSample?
  private var lastLook: Int64
  private var failure: (since: Int64, reason: String)?
  /// The last sample that was covered.
  private var covered: SourceSample?
  /// The last sample with an AOF set that a server could load and that holds a byte.
  private var lastLog: SourceSample?
  private var problem: (since: Int64, reason: String)?
  private var loss: (since: Int64, reason: String)?
  private var explained: (file: FileIdentity, durable: UInt64, reason: String)?
  private var tails: [FileIdentity: IgnoredTail] = [:]
  private static let tailsMax = 64
  /// When what is on disk last changed.
  private var changed: Int64
  /// The file with missing log: since when no more of it became durable, and since when it has this size.
  private var unclear: Unclear?
  private struct Unclear: Sendable {
    var file: FileIdentity
    var durable: UInt64
    var since: Int64
    var size: UInt64
    var still: Int64
  }
  /// The dump that was seen for the first time most recently, and the state of the log at that time.
  private var dumpSeen: (version: FileVersion, log: [FileVersion])?
  private var hasGrownSinceDump = false
  /// A sample with data was covered.
  private var hadData = false

  /// - Parameter data: the directory, for messages.
  package init(data: String, options: Options = Options(), now: Int64) {
    self.data = data
    self.options = options
    lastLook = now
    changed = now
  }

  // MARK: Facts in

  package mutating func saw(_ sample: SourceSample, _ confirmed: Confirmed?) {
    lastLook = sample.at
    failure = nil
    if let last, !last.hasSameFiles(as: sample) { changed = sample.at }
    noteDump(sample)
    last = sample
    waiting.append(sample)
    judge(confirmed)
    if sample.line.log.map({ !$0.isVacant }) ?? false { lastLog = sample }
    if waiting.count > Audit.samplesMax { thin() }
    noteProblem(sample)
  }

  /// The data directory could not be read.
  package mutating func failed(at now: Int64, _ reason: String) {
    failure = failure ?? (now, reason)
  }

  /// Judges the waiting samples again: the store may have acknowledged more.
  package mutating func judge(_ confirmed: Confirmed?) {
    guard let index = waiting.lastIndex(where: { isCovered($0, confirmed) }) else { return }
    covered = waiting[index]
    if covered?.isVacant == false { hadData = true }
    waiting.removeFirst(index + 1)
    if waiting.isEmpty { problem = nil }
    // The current set is covered. What stood there before is history.
    if covered?.line.log?.hasContent != true { lastLog = nil }
  }

  package mutating func lost(at now: Int64, _ reason: String) { loss = loss ?? (now, reason) }
  /// The repository was compared again, so its content is known again.
  package mutating func recovered() { loss = nil }

  /// Explains why some bytes of a file that no longer changes are not shipped.
  package mutating func explained(_ file: FileIdentity, from durable: UInt64, _ reason: String) {
    explained = (file, durable, reason)
  }

  /// A server does not load the end of this file from `durable` on.
  package mutating func ignores(_ file: SourceSample.File, from durable: UInt64) {
    if tails.count >= Audit.tailsMax { tails = [:] }
    tails[file.version.identity] = IgnoredTail(start: durable, end: file.version.size)
  }

  // MARK: Verdict out

  /// The wall-clock time of the last covered look.
  package var coveredAt: Instant? { covered?.wall }
  /// Whether the last look found anything that a server would load; nil before the first.
  package var holdsData: Bool? { last.map { !$0.isVacant } }

  /// Whether a look that began at `mark` or later is covered.
  package func isCovered(since mark: Int64, now: Int64) -> Bool {
    guard loss == nil, !isTooQuiet(now) else { return false }
    return covered.map { $0.at >= mark && ($0.holdsFiles || hadData) } ?? false
  }

  /// A server that is never idle wrote nothing for too long.
  private func isTooQuiet(_ now: Int64) -> Bool {
    options.expectWrites.map { now - changed >= $0 } ?? false
  }

  /// Whether no data was ever seen.
  private func isNothing(_ sample: SourceSample) -> Bool { sample.isVacant && !hadData }

  package func verdict(_ confirmed: Confirmed?, now: Int64) -> Verdict {
    if let loss { return .lost(since: loss.since, reason: loss.reason) }
    let since = waiting.first?.at ?? covered?.at ?? lastLook
    if now - lastLook >= Audit.lookAge {
      return .blind(
        since: covered?.at ?? since, bytes: 0,
        reason: failure?.reason ?? "\(data) can't be checked: its file system does not respond"
      )
    }
    guard let last else { return .behind(log: since, copy: nil, bytes: 0, fault: nil) }
    let coverage = Coverage.of(
      last, by: confirmed, needsDump: needsDump(last, confirmed), without: tails)
    if let problem, now - problem.since >= Audit.grace {
      return .blind(since: covered?.at ?? since, bytes: coverage.bytes, reason: problem.reason)
    }
    if let expected = options.expectWrites, isTooQuiet(now) {
      return .blind(
        since: changed, bytes: coverage.bytes,
        reason:
          "nothing was written in \(data) for longer than \(humanDuration(milliseconds: expected)) "
          + "(--expect-writes): check that Redis runs and persists (INFO persistence), and that CONFIG "
          + "GET dir names this directory")
    }
    guard !waiting.isEmpty else {
      if !last.holdsFiles, !hadData { return .nothing }
      return .covered(at: covered?.at ?? last.at)
    }
    let isLog = coverage.lacksLog || !coverage.lacksCopy
    return .behind(
      log: isLog ? since : nil, copy: coverage.lacksCopy ? since : nil, bytes: coverage.bytes,
      fault: now - since >= Audit.grace ? fault(coverage) : nil)
  }

  private func fault(_ coverage: Coverage) -> String? {
    if let reason = coverage.reason { return reason }
    guard let (file, durable) = coverage.lacking, let explained,
      explained.file == file.version.identity, explained.durable == durable
    else { return nil }
    return explained.reason
  }

  /// The file that has had no new durable log for a while and needs an explanation; nil if there is none,
  /// or if it was explained already. `isStill`: the file did not grow meanwhile. `isLast`: no other follows it.
  package mutating func toExplain(_ confirmed: Confirmed?, now: Int64) -> (
    file: SourceSample.File, durable: UInt64, isStill: Bool, isLast: Bool
  )? {
    guard let last else { return nil }
    let coverage = Coverage.of(last, by: confirmed, needsDump: false, without: tails)
    guard let (file, durable) = coverage.lacking else {
      unclear = nil
      return nil
    }
    let (identity, size) = (file.version.identity, file.version.size)
    var one =
      unclear.flatMap { $0.file == identity && $0.durable == durable ? $0 : nil }
      ?? Unclear(file: identity, durable: durable, since: now, size: size, still: now)
    if one.size != size { (one.size, one.still) = (size, now) }
    unclear = one
    let wait = Audit.grace / 2
    guard now - one.since >= wait,
      explained?.file != identity || explained?.durable != durable
    else { return nil }
    let isLast = last.line.log?.files.last?.version.identity == identity
    return (file, durable, now - one.still >= wait, isLast)
  }

  // MARK: Judging samples

  private func isCovered(_ sample: SourceSample, _ confirmed: Confirmed?) -> Bool {
    guard sample.outOfSight == nil, sample.foreign == nil else { return false }
    if case .unusable = sample.line { return false }
    // Nothing is on disk, and nothing ever was.
    if isNothing(sample), lastLog == nil { return true }
    guard sample.holdsFiles else { return false }
    guard !isWithoutItsLog(sample) else { return false }
    return Coverage.of(
      sample, by: confirmed, needsDump: needsDump(sample, confirmed), without: tails
    ).isComplete
  }

  /// There was an AOF set, and now there is none. Only a newer dump shows that the server is meant to run
  /// without AOF.
  private func isWithoutItsLog(_ sample: SourceSample) -> Bool {
    guard let lastLog, sample.line.log?.hasContent != true else { return false }
    return sample.dump == nil || sample.dump?.version == lastLog.dump?.version
  }

  /// Whether the dump may hold more than the AOF.
  private func needsDump(_ sample: SourceSample, _ confirmed: Confirmed?) -> Bool {
    guard let dump = sample.dump else { return false }
    guard let log = sample.line.log, log.hasContent else { return true }
    // A damaged dump next to a loadable AOF: no server writes that by itself.
    if confirmed?.refused[dump.version] != nil { return false }
    if dumpSeen?.version == dump.version, hasGrownSinceDump { return false }
    return AOFLiveness.judge(
      lastWrite: log.files.last?.version.modified, logBorn: log.files.last?.version.identity.born,
      manifestModified: log.manifestModified,
      dump: .init(
        born: sample.dumpBorn, modified: dump.version.modified,
        contentAtSeconds: nil), now: sample.wall) != .live
  }

  private mutating func noteDump(_ sample: SourceSample) {
    let log = sample.line.log.map { $0.files.map(\.version) } ?? []
    guard let dump = sample.dump else {
      dumpSeen = nil
      return
    }
    if dumpSeen?.version != dump.version {
      dumpSeen = (dump.version, log)
      hasGrownSinceDump = false
    } else if !log.isEmpty,
      log.last?.size != dumpSeen?.log.last?.size
        || log.last?.identity != dumpSeen?.log.last?.identity
    {
      hasGrownSinceDump = true
    }
  }

  // MARK: Problems

  private mutating func noteProblem(_ sample: SourceSample) {
    guard let reason = reason(sample) else {
      problem = nil
      return
    }
    problem = (problem?.since ?? sample.at, reason)
  }

  /// Why nothing can cover this sample, whatever the store acknowledges; nil if it can be covered.
  private func reason(_ sample: SourceSample) -> String? {
    guard !waiting.isEmpty else { return nil }
    if let outOfSight = sample.outOfSight { return outOfSight }
    if case .unusable(let reason) = sample.line { return reason }
    if let foreign = sample.foreign { return foreign }
    if let before = covered ?? lastLog, before.root != sample.root, !sample.holdsFiles {
      return
        "\(data) is not the directory that was shipped before, and it is empty: was that one moved or "
        + "unmounted? Restart Redis on the directory it is meant to use, or put the old one back"
    }
    if !sample.holdsFiles, hadData || lastLog != nil {
      return "\(data) is empty: its files were deleted or moved. If Redis is still running, "
        + "BGREWRITEAOF or BGSAVE writes its data to disk again"
    }
    if isWithoutItsLog(sample) {
      return
        "the AOF in \(data) is missing, and there is no newer dump: it was deleted or moved. If Redis runs "
        + "with appendonly yes, run BGREWRITEAOF; if it runs without an AOF, run BGSAVE"
    }
    return nil
  }

  private mutating func thin() {
    // The oldest sample stays, because the lag counts from it.
    var kept = [waiting[0]]
    for index in stride(from: 2, to: waiting.count, by: 2) { kept.append(waiting[index]) }
    if let newest = waiting.last, kept.last != newest { kept.append(newest) }
    waiting = kept
  }
}
