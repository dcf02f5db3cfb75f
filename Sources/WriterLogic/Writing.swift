package import BackupFormat
import BackupTypes

/// What a writer that holds a claim does next, decided from what it knows.
///
/// A value: looks at the data directory, bytes of the log and results of earlier actions go in; actions
/// come out. There are two lanes. The *record lane* writes log objects and snapshots, one at a time and in
/// order, so the log is durable without a gap. The *generation lane* uploads one dump or BASE at a time and
/// never delays the record lane, so the lag does not depend on generations.
package struct Writing: Sendable {
  package struct Options: Sendable, Equatable {
    package var shipInterval: Int64 = 1000
    /// The same while somebody waits for it (`CaptureView.isAwaited`).
    package var ackInterval: Int64 = 100
    /// Beside a live AOF, at most one dump in this time is shipped.
    package var dumpInterval: Int64 = 3_600_000
    /// The same if the dump is the newest state. Saves within this time are lost if the volume is lost.
    package var dumpIntervalAlone: Int64 = 0
    package var pinFor: Int64 = 30 * 86_400_000
    package var foldGrace: Int64 = 3_600_000
    /// Whether folded objects are deleted; false with append-only credentials.
    package var removesFolded = true
    /// How long the AOF must not have changed before a younger dump counts. Between two writes of a mostly
    /// idle server, the last dump is always the younger file.
    package var quietAfter: Int64 = 3000
    package init() {}
  }

  /// How soon data is shipped.
  package enum Pace: Sendable, Equatable {
    /// Log once in each interval, dumps when they are due.
    case steady
    /// Everything now: a shutdown, `sync`, `--once`.
    case flushing
    /// Everything now, and next the closing snapshot, whatever is still pending. It says whether a look
    /// found everything on disk durable. Nothing comes after that.
    case closing(isProved: Bool)
  }

  enum Record: Sendable, Equatable {
    case log(LogShipment)
    case snapshot(Snapshot)
    case guarding(GuardRecord)
    case fold(FoldGatherer.Fold)
  }

  package let claim: Claim
  package var options: Options
  package private(set) var pace = Pace.steady
  /// A change of state that must never happen, but did.
  package private(set) var fault: IllegalTransition?

  package internal(set) var view: CaptureView
  package internal(set) var liveness = Liveness.live
  package internal(set) var chains: Chains
  package internal(set) var dump: DumpState
  var versions = FileVersions()
  package internal(set) var said: Said
  var records = Lane<Record>.idle
  var copies = Lane<GenerationUpload>.idle
  var log: LogTimes
  var compactor = Compactor()
  var shrink: ShrinkState
  var pins: PinsDue
  package internal(set) var warnings: [String] = []

  /// Begins with what the comparison before the claim found.
  package init(claim: Claim, comparison: Comparison, view: CaptureView, options: Options) {
    self.claim = claim
    self.options = options
    self.view = view
    chains = Chains(followed: comparison.chain, closed: comparison.carried)
    dump = DumpState(comparison.dump)
    said = Said(comparison)
    log = LogTimes(read: comparison.lastMark ?? Instant(milliseconds: 0))
    shrink = ShrinkState(comparison, view, claim)
    pins = PinsDue(comparison.pins)
    judgeLiveness()
    chains.assignOrdinals()
    noteDumpPosition()
  }

  // MARK: Pace

  package mutating func flush() {
    if pace == .steady { pace = .flushing }
  }
  /// A `sync` is done.
  package mutating func slowDown() {
    guard !isClosing else { return fail(IllegalTransition("a timeline that closes goes on")) }
    pace = .steady
  }
  package mutating func close(isProved: Bool) {
    guard !isClosing else { return fail(IllegalTransition("a timeline closes twice")) }
    pace = .closing(isProved: isProved)
  }
  mutating func fail(_ transition: IllegalTransition?) { fault = fault ?? transition }

  var isFlushing: Bool { pace != .steady }
  package var isClosing: Bool { if case .closing = pace { true } else { false } }
  /// The closing snapshot may say that everything on disk is durable.
  var isProvedClean: Bool {
    pace == .closing(isProved: true) && isLogSettled && isNewestStateReadable
  }

  // MARK: What is held, and how far it is

  var uploadingPin: PinID? { copies.work?.pin }
  /// The file whose upload is in progress.
  package var uploading: PinnedFile? { copies.work?.file }
  var logPosition: LogPosition? { chains.logPosition(claim.timeline) }

  /// Generations that are durable. The same file is not sent twice.
  package var knownGenerations: [GenerationID] {
    var ids = [dump.durable?.record.generation].compactMap { $0 }
    if case .base(let base) = chains.followed?.anchor?.kind { ids.append(base.generation) }
    return ids
  }

  /// The pins that are still needed. All others may be released.
  package var neededPins: Set<PinID> {
    var pins = chains.pins.union(compactor.pins)
    if let upload = uploadingPin { pins.insert(upload) }
    if let file = view.dump, dump.isNews(file) { pins.insert(file.pin) }
    return pins
  }

  /// Files with bytes that were not scanned yet, the oldest first.
  package var unscanned: [(pin: PinID, from: UInt64, to: UInt64)] {
    chains.files.filter { !$0.isScanned }.map { ($0.pin, $0.scanned, $0.size) }
  }

  package var isReadable: Bool { snapshotBody().primary != nil }
}

/// Times of the log.
struct LogTimes: Sendable {
  /// The last mark that was read.
  private(set) var read: Instant
  /// The last mark that is durable.
  private(set) var shipped: Instant?
  /// When the last object became durable.
  private(set) var put: Instant?

  init(read: Instant) { self.read = read }

  /// The mark for bytes that are read now: the time of the file's last write, which was measured together
  /// with its size. The clock must not be used. On a busy machine it may be read long after the size, and the
  /// state would then have a later time than some commands that it does not contain.
  mutating func mark(_ file: FollowedFile, at now: Instant) -> Instant {
    read = max(read, min(now, file.writtenBy))
    return read
  }
  mutating func note(_ shipment: LogShipment, now: Instant) {
    put = now
    shipped = shipment.mark ?? shipped
  }
}
