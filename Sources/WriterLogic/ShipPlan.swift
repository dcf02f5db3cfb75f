package import BackupFormat
package import BackupTypes
import RedisFormats

/// Decides what a shipper that holds a claim does next.
///
/// A value: looks at the data directory, bytes of the log and results of earlier actions go in; actions
/// come out. There are two lanes. The *record lane* writes log objects and snapshots, one at a time and in
/// order, so the log is durable without a gap. The *generation lane* uploads one dump or BASE at a time and
/// never delays the record lane, so the lag does not depend on generations.
package struct ShipPlan: Sendable {
  package struct Options: Sendable, Equatable {
    package var shipInterval: Int64 = 1000
    /// Beside a live AOF, at most one dump in this time.
    package var dumpInterval: Int64 = 3_600_000
    /// The same where the dump is the newest state. What is saved meanwhile is lost with the volume.
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

  /// A dump that is durable.
  package struct DurableDump: Sendable, Equatable {
    package var record: Snapshot.Dump
    package var dataset: DatasetRecord?
    /// The file on disk it was read from, if known.
    package var file: PinnedFile?
    package init(record: Snapshot.Dump, dataset: DatasetRecord?, file: PinnedFile?) {
      self.record = record
      self.dataset = dataset
      self.file = file
    }
    /// The time of its content, as `AOFLiveness` uses it. An RDB's own time is in whole seconds, so a log
    /// that was last written earlier in that second would seem to hold more.
    var heldAt: Instant {
      guard let file, let born = file.born, born <= file.modified else { return record.contentAt }
      return max(record.contentAt, born.instant)
    }
    /// Whether `other` is the file this was read from. Size and time are compared in addition to the inode:
    /// without birth times, a newer dump can get the inode number of the one it replaced.
    package func isRead(from other: PinnedFile?) -> Bool {
      guard let file, let other else { return false }
      return file.identity == other.identity && file.size == other.size
        && file.modified == other.modified
    }
  }

  package let claim: Claim
  package var options: Options
  /// How soon the plan ships what there is.
  package enum Pace: Sendable, Equatable {
    /// Log once in each interval, dumps when they are due.
    case steady
    /// Everything now: a shutdown, `sync`, `--once`.
    case flushing
    /// Everything now, and next the closing snapshot, whatever is still pending. It says whether a look
    /// found everything on disk durable. Nothing comes after that.
    case closing(isProved: Bool)
  }
  package private(set) var pace = Pace.steady
  /// What must not have happened.
  package private(set) var fault: IllegalTransition?

  package internal(set) var chain: FollowedChain?
  /// The newest chain that is readable but no longer followed.
  package internal(set) var closed: ClosedChain?
  /// Chains that are no longer continued but not yet read to their end. They are drained before they are
  /// dropped. `until` is when each was last written.
  package internal(set) var draining: [(chain: FollowedChain, until: Instant)] = []
  package internal(set) var dump: DurableDump?
  package internal(set) var view: CaptureView
  package internal(set) var liveness = Liveness.live

  var nextOrdinal = 1
  var nextSequence = 1
  /// Ordinals that a durable snapshot names. Log of other ordinals is never sent.
  var namedOrdinals: Set<Int> = []
  var lastBody: Snapshot?
  package internal(set) var lastSnapshot: Snapshot?

  var records = Lane<Record>.idle
  var copies = Lane<GenerationUpload>.idle
  var lastLogPut: Instant?
  var lastShippedMark: Instant?
  var lastDumpBegun: Instant?
  /// Versions of files that failed their checks. The same bytes are not read again.
  var refused: Set<FileVersion> = []
  /// Versions that the last two looks found. A file that still changes is being copied into place.
  var steady: Set<FileVersion> = []
  /// The dump that was first seen most recently, and the state of the log then.
  var dumpSeen: (version: FileVersion, log: PinnedFile?)?
  var hasGrownSinceDump = false
  /// The position of the log when each dump was first seen.
  var dumpPositions: [PinID: LogPosition] = [:]
  /// How far the followed log must be durable to hold what each dump does: its position when both were
  /// first seen.
  var coveringPositions: [PinID: LogPosition] = [:]
  /// The followed chain continues no earlier chain. Its BASE can be older than a dump that was pinned
  /// before its log.
  var isFollowingAnew = false
  /// The last mark of the history before this timeline, if that ended with a log.
  var historyEnd: Instant?
  /// The newest restore point is the dump.
  var isDumpNewest = false
  var destructiveDue: [Snapshot.Destructive] = []
  var operationsDue: [Operation] = []
  var compactor = Compactor()
  package var pins: PinsInForce
  var lastMark: Instant
  var guarded = Guarded()
  package internal(set) var warnings: [String] = []

  enum Record: Sendable, Equatable {
    case log(LogShipment)
    case snapshot(Snapshot)
    case operation(Operation)
    case fold(FoldGatherer.Fold)
  }

  /// Records that the guard writes below `ops/`.
  package enum Operation: Sendable, Equatable {
    case pin(Pin)
    case release(Release)
  }

  /// Begins with what the comparison before the claim found.
  package init(claim: Claim, comparison: Comparison, view: CaptureView, options: Options) {
    self.claim = claim
    self.options = options
    self.view = view
    closed = comparison.carried
    pins = comparison.pins
    dump = comparison.dump
    // Beside a live AOF one dump in each interval is enough, also across a restart.
    lastDumpBegun = comparison.dump?.record.contentAt
    guarded.bases = comparison.bases
    guarded.question = claim.suspicion?.pin ?? comparison.question
    guarded.hadPoint = comparison.hasPoint
    guarded.judgedDump = view.dump?.version
    lastMark = comparison.lastMark ?? Instant(milliseconds: 0)
    chain = comparison.chain
    chain?.anchorLegacyIfReady()
    if comparison.before?.position != nil { historyEnd = comparison.lastMark }
    isDumpNewest = comparison.before.map { $0.position == nil } ?? false
    judgeLiveness()
    assignOrdinals()
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
  mutating func fail(_ transition: IllegalTransition) { fault = fault ?? transition }

  var isFlushing: Bool { pace != .steady }
  package var isClosing: Bool { if case .closing = pace { true } else { false } }
  /// The closing snapshot may say that everything on disk is durable.
  var isProvedClean: Bool {
    pace == .closing(isProved: true) && isLogSettled && isNewestStateReadable
  }

  // MARK: Events

  /// Takes a new look at the data directory.
  package mutating func observe(_ newView: CaptureView) {
    steady = Set(newView.files.map(\.version)).intersection(view.files.map(\.version))
    view = newView
    retryRefused()
    if newView.aof.set == nil { chain?.measure(newView.held) }
    if let set = newView.aof.set {
      if var followed = chain, followed.continuity(with: set) == .continues {
        followed.extend(with: set)
        chain = followed
        closeIfTorn()
        foldComplete()
      } else {
        if let followed = chain { stopFollowing(followed) }
        follow(set)
        settleDraining()
      }
    }
    judgeLiveness()
    // A dump next to a live AOF that was deleted from the disk goes by the policy, too.
    if newView.dump == nil, isChainReadable, snapshotBody().primary == .aof { dump = nil }
    assignOrdinals()
    noteDumpPosition()
    judgeChain()
  }

  /// Takes the bytes of a followed file that begin where its scan ended.
  ///
  /// Their mark has the time at which the file was last written, as it was measured together with its size.
  /// The clock alone would not do: a busy machine may read it long after the size, and commands that came
  /// between would be missing from a state that has their time.
  package mutating func consume(_ bytes: UnsafeRawBufferPointer, of pin: PinID) {
    guard let file = allFiles.first(where: { $0.pin == pin }) else { return }
    let time = max(lastMark, min(view.at, file.writtenBy))
    lastMark = time
    withFile(pin) { $0.consume(bytes, seenAt: time) }
    closeIfTorn()
    judgeChain()
  }

  /// `span` names what was written, for a log object.
  package mutating func recordDurable(span: LogSpan?, now: Instant) {
    let record: Record
    switch records.end() {
    case .success(let ended): record = ended
    case .failure(let illegal): return fail(illegal)
    }
    switch record {
    case .log(let shipment):
      if let span { compactor.gather(shipment, span) }
      logDurable(shipment, now: now)
    case .snapshot(let snapshot):
      lastSnapshot = snapshot
      lastBody = snapshot.body
      nextSequence = snapshot.sequence + 1
      namedOrdinals.formUnion(snapshot.ownOrdinals)
      if let primary = snapshot.primary { isDumpNewest = primary == .rdb }
      if snapshot.destructive != nil {
        destructiveDue.removeFirst()
        pinBeforeDrop(snapshot)
      }
    case .operation: operationsDue.removeFirst()
    case .fold(let fold):
      let names = fold.parts.map {
        ObjectPath.log(claim.timeline, ordinal: fold.ordinal, $0).text
      }
      compactor.end(
        removal: options.removesFolded
          ? (now.advanced(byMilliseconds: options.foldGrace), names) : nil)
    }
  }

  /// Folds what was gathered of a complete file, while the file is still held.
  private mutating func foldComplete() {
    let files = allFiles
    compactor.finish { ordinal in
      files.first { $0.ordinal == ordinal }.map { $0.isComplete && $0.durable == $0.size } ?? false
    }
  }

  private mutating func logDurable(_ shipment: LogShipment, now: Instant) {
    lastLogPut = now
    lastShippedMark = shipment.mark ?? lastShippedMark
    withFile(shipment.pin) { $0.acknowledge(upTo: shipment.to) }
    foldComplete()
    noteDrops(of: shipment)
    chain?.anchorLegacyIfReady()
    chain?.moveToCandidate()
    settleDraining()
  }

  /// Drops chains that were read to their end. Their readable part stays recorded.
  private mutating func settleDraining() {
    letGoOfUnnamed()
    for (old, until) in draining where old.files.allSatisfy(\.isDurable) {
      if let anchor = old.anchor, !isChainReadable {
        closed = ClosedChain(record: chainRecord(old, anchor: anchor), until: until)
        guarded.closed = keyBounds(of: old)
      }
    }
    draining.removeAll { old in
      // A chain without a BASE whose upload is over can't be read, so nothing of it is needed.
      if old.chain.anchor == nil { return copies.work?.pin != old.chain.candidate?.file.pin }
      return old.chain.files.allSatisfy(\.isDurable)
    }
    if isChainReadable { closed = nil }
    judgeChain()
  }

  /// Of the drained chains a snapshot lists only the newest, and none once the followed chain is readable.
  /// A file of another chain that no snapshot names by then never will be, and its log can't be sent.
  private mutating func letGoOfUnnamed() {
    let listed = isChainReadable ? nil : draining.lastIndex { $0.chain.anchor != nil }
    for position in draining.indices where position != listed {
      let old = draining[position].chain
      guard old.anchor != nil || copies.work?.pin != old.candidate?.file.pin,
        let cut = old.files.firstIndex(where: {
          !$0.isDurable && !($0.ordinal.map(namedOrdinals.contains) ?? false)
        })
      else { continue }
      draining[position].chain.files.removeSubrange(cut...)
    }
  }

  /// The folded objects whose grace period has passed.
  package mutating func takeRemovals(now: Instant) -> [String] {
    compactor.takeRemovals(now: now)
  }

  /// The record in flight could not be written. A failed fold is dropped: the objects it would have
  /// replaced all exist. Returns whether the plan can continue without the record.
  package mutating func recordFailed() -> Bool {
    switch records.end() {
    case .success(.fold):
      compactor.end(removal: nil)
      return true
    case .success: return false
    case .failure(let illegal):
      fail(illegal)
      return false
    }
  }

  /// A generation and its index are durable.
  package mutating func generationDurable(_ result: GenerationResult) {
    let upload: GenerationUpload
    switch copies.end() {
    case .success(let ended): upload = ended
    case .failure(let illegal): return fail(illegal)
    }
    let index = result.index
    switch upload.kind {
    case .dump:
      let record = Snapshot.Dump(
        generation: index.generation, file: upload.file.name, contentAt: index.contentAt,
        pinnedAt: pinnedPosition(of: upload.pin))
      if isSuspect(index, upload.file) { break }
      dump = DurableDump(record: record, dataset: index.dataset, file: upload.file)
      // Its own time is known now.
      judgeLiveness()
    case .base:
      noteBase(result)
      let base = Snapshot.Base(index, file: upload.file.name, sequence: upload.sequence)
      if let illegal = chain?.anchor(on: base, pin: upload.pin) { fail(illegal) }
      for position in draining.indices {
        if let illegal = draining[position].chain.anchor(on: base, pin: upload.pin) {
          fail(illegal)
        }
      }
    }
    settleDraining()
  }

  /// The generation in flight failed its checks and can never become a restore point. Returns its name.
  package mutating func generationBroken() -> String {
    let upload: GenerationUpload
    switch copies.end() {
    case .success(let ended): upload = ended
    case .failure(let illegal):
      fail(illegal)
      return "a file"
    }
    defer { settleDraining() }
    refused.insert(upload.file.version)
    // Nothing was shipped, so the next dump need not wait.
    if upload.kind == .dump, isDumpNewest { lastDumpBegun = dump?.record.contentAt }
    if chain?.candidate?.file.pin == upload.pin { refuseCandidate() }
    return upload.file.name
  }

  private mutating func refuseCandidate() {
    if let illegal = chain?.candidate?.refuse() { fail(illegal) }
  }

  /// A refused file was perhaps still being copied into place. Another version of it is read once it no
  /// longer changes.
  private mutating func retryRefused() {
    let identities = Set(view.files.map(\.identity))
    refused = refused.filter { identities.contains($0.identity) }
    if let base = view.aof.set?.base?.file, isReady(base) { chain?.retryBase(base) }
  }

  /// Whether this version of a file is worth reading.
  func isReady(_ file: PinnedFile) -> Bool {
    guard !refused.contains(file.version) else { return false }
    return steady.contains(file.version) || !refused.contains { $0.identity == file.identity }
  }

  /// The file whose upload is in progress.
  package var uploading: PinnedFile? { copies.work?.file }

  /// The dump on disk was compared: it has the bytes of the durable one, whatever its times are.
  package mutating func dumpMatches(_ file: PinnedFile) { dump?.file = file }
  /// The dump on disk has other bytes, although its size and modification time are the same.
  package mutating func dumpDiffers() { dump?.file = nil }

  /// Generations that this plan made durable, or found durable. The same file is not sent twice.
  package var knownGenerations: [GenerationID] {
    var ids = [dump?.record.generation].compactMap { $0 }
    if case .base(let base) = chain?.anchor?.kind { ids.append(base.generation) }
    return ids
  }

  // MARK: What is held, and how far we are

  /// How far the followed log is known to reach. A dump is opened before the log is measured, so a dump
  /// that is first seen now holds nothing from after this position.
  var logPosition: LogPosition? {
    guard let file = chain?.files.last else { return nil }
    if let ordinal = file.ordinal {
      return LogPosition(timeline: claim.timeline, ordinal: ordinal, offset: file.size)
    }
    return file.inherited.last.map {
      LogPosition(timeline: $0.timeline, ordinal: $0.ordinal, offset: file.size)
    }
  }

  /// The pins that are still needed. All others may be released.
  package var neededPins: Set<PinID> {
    var pins = chain?.pins ?? []
    for old in draining { pins.formUnion(old.chain.files.map(\.pin)) }
    if let upload = copies.work { pins.insert(upload.pin) }
    pins.formUnion(compactor.pins)
    if let file = view.dump, !(dump?.isRead(from: file) ?? false) { pins.insert(file.pin) }
    return pins
  }

  /// Files with bytes that were not scanned yet, the oldest first.
  package var unscanned: [(pin: PinID, from: UInt64, to: UInt64)] {
    allFiles.filter { !$0.isScanned }.map { ($0.pin, $0.scanned, $0.size) }
  }
  package var allFiles: [FollowedFile] {
    draining.flatMap(\.chain.files) + (chain?.files ?? [])
  }

  package var isReadable: Bool { snapshotBody().primary != nil }
}
