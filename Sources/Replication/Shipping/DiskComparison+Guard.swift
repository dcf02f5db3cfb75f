import BackupFormat
import BackupLogic
import BackupTypes
import RedisFormats
import SystemIO

/// Whether what is on disk may be an accident, and whether a restore made it.
extension DiskComparison {
  func isHeir(_ marker: Marker?, _ comparison: Comparison) -> Bool {
    guard let marker, marker.repository == repository.id, let newest = comparison.parent else {
      return false
    }
    return marker.newest == newest && marker.end == comparison.end
  }

  /// Whether the directory still has the point that was asked for: a marker proves nothing by itself. What
  /// lies beside it and would be loaded in its place, or took its place, is for the guard to judge.
  func holds(
    _ marker: Marker, _ view: CaptureView, _ comparison: Comparison, _ reader: HistoryReader
  ) async throws -> Bool {
    guard !isOverDump(view, comparison), let id = PointID(marker.point),
      reader.history.snapshots(of: id.timeline).contains(id.sequence),
      let snapshot = try? await reader.snapshot(id.timeline, id.sequence)
    else { return false }
    guard
      let cut = id.position
        ?? PointFinder(
          history: reader.history, timeline: id.timeline, snapshots: [:]
        ).newest(of: snapshot)?.cut, let chain = snapshot.chain
    else {
      // A dump, which stands as BASE, too.
      guard let dump = snapshot.dump else { return false }
      return try [view.dump, view.aof.set?.base?.file].compactMap { $0 }.contains {
        try isGeneration(dump.generation, $0)
      }
    }
    guard let set = view.aof.set else { return false }
    if let base = chain.base {
      guard let file = set.base?.file, try isGeneration(base.generation, file) else { return false }
    }
    let index = chain.files.firstIndex { file in
      file.segments.contains { $0.timeline == cut.timeline && $0.ordinal == cut.ordinal }
    }
    guard let index, index < set.increments.count else { return false }
    return set.increments[index].file.size >= cut.offset
  }

  private func isGeneration(_ id: GenerationID, _ pinned: PinnedFile) throws -> Bool {
    guard let file = capture.file(pinned.pin) else { return false }
    return try Fingerprint.of(file, size: pinned.size, frame: repository.frame) == id.fingerprint
  }

  /// A dump that the repository lacks has made the AOF quiet: it becomes the newest state.
  private func isOverDump(_ view: CaptureView, _ comparison: Comparison) -> Bool {
    view.dump != nil && view.aof.set != nil && isQuiet(view)
      && !(comparison.dump?.isRead(from: view.dump) ?? false)
  }

  /// How what is on disk hangs together with the newest history.
  enum Match {
    case nothing
    /// A log that was named and waits for its BASE.
    case detached
    /// It goes on from what a restore gives.
    case proved
  }

  func suspect(
    _ view: CaptureView, _ comparison: Comparison, newest: RestorePoint, known: KeyBounds,
    _ history: History, _ indexes: [GenerationID: GenerationIndex], _ match: Match
  ) throws -> ShrinkGuard.Suspicion? {
    if match == .proved, isOverDump(view, comparison), let dump = view.dump {
      // The log on disk goes on from the one that was shipped, and says what became less.
      let log = try measure(view.aof.set, bases: comparison.bases)
      if let verdict = ShrinkGuard.suspicion(
        known: log, found: try measure(dump, .dump).keys, isExpiryKnown: false)
      {
        return verdict
      }
    }
    if match == .proved {
      guard let fork = comparison.fork, let cut = newest.cut, fork < cut else { return nil }
      let marks = PointFinder(history: history, timeline: newest.timeline, snapshots: [:])
        .marks(of: newest.snapshot)
      let at =
        marks.last { $0.position <= fork }?.time
        ?? newest.snapshot.chain?.base.flatMap { indexes[$0.generation]?.contentAt }
        ?? marks.first?.time ?? newest.snapshot.at
      return newest.instant.since(at) > ShrinkGuard.toleratedLoss
        ? (.older, "it ends at \(at), and the repository at \(newest.instant)") : nil
    }
    let disk = try measure(view)
    if let verdict = ShrinkGuard.suspicion(
      known: known, found: disk.keys, isExpiryKnown: isWatched && newest.primary == .aof)
    {
      return verdict
    }
    let shipped = indexes.values.map(\.contentAt).max()
    if let shipped, let content = disk.contentAt,
      shipped.since(content) > ShrinkGuard.toleratedLoss
    {
      return (.older, "its newest full copy is of \(content), the repository's of \(shipped)")
    }
    return nil
  }

  /// What is suspect goes on from nothing: a fork behind the state before it would be an answer, and so would
  /// that of the next claim, which goes on from there.
  func beginAnew(_ view: CaptureView, _ comparison: inout Comparison) {
    comparison.fork = nil
    comparison.chain = view.aof.set.map { FollowedChain(fresh: $0) }
    if !(comparison.dump?.isRead(from: view.dump) ?? false) { comparison.dump = nil }
  }

  // MARK: What there is

  /// How many keys a restore of `point` gives. Of a snapshot that does not say, only as far as its full copy
  /// is all of it.
  func keyBounds(of point: RestorePoint, _ reader: HistoryReader) async throws -> KeyBounds {
    if let estimate = point.snapshot.estimate { return KeyBounds(estimate) }
    let isLogEmpty = logBytes(point.snapshot, reader.history) <= DiskComparison.emptyLogBytes
    guard point.primary == .rdb || isLogEmpty else { return .unknown }
    let indexes = try await reader.indexes(of: point.snapshot)
    let id =
      point.primary == .rdb
      ? point.snapshot.dump?.generation : point.snapshot.chain?.base?.generation
    return id.flatMap { indexes[$0] }.map { KeyBounds($0) } ?? .unknown
  }

  /// A log has more than SELECT, with which every one begins.
  private static let emptyLogBytes: UInt64 = 64

  private func logBytes(_ snapshot: Snapshot, _ history: History) -> UInt64 {
    (snapshot.chain?.files ?? []).flatMap(\.segments).reduce(0) { sum, segment in
      let log = history.log(
        of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: segment.to)
      return sum.addingSaturated(log.reached - segment.from)
    }
  }

  private struct Measure {
    var keys: KeyBounds
    var contentAt: Instant?
  }

  /// A full copy on disk, by walking it.
  private func measure(_ pinned: PinnedFile, _ kind: GenerationIndex.Kind) throws -> Measure {
    guard let file = capture.file(pinned.pin) else { return Measure(keys: .unknown) }
    var check = GenerationCheck(kind: kind)
    try file.forEachChunk(from: 0, to: pinned.size) {
      check.consume($0)
      moves()
      return true
    }
    let summary = check.finish().summary
    return Measure(
      keys: check.keys, contentAt: summary?.createdAtSeconds.map { Instant(seconds: $0) })
  }

  /// What a server would load of a set: its BASE, and what the log does to that. A BASE that is known is not
  /// read.
  private func measure(_ set: AOFSetView?, base: KeyBounds) throws -> KeyBounds {
    var keys = base
    for entry in set?.increments ?? [] {
      guard let file = capture.file(entry.file.pin) else { return .unknown }
      var scanner = AOFScanner()
      scanner.keys = KeySample()
      try scan(file, upTo: entry.file.size, &scanner)
      keys = scanner.keyBounds(over: keys)
    }
    return keys
  }

  private func measure(_ set: AOFSetView?, bases: [GenerationID: KeyBounds]) throws -> KeyBounds {
    guard let base = set?.base else { return try measure(set, base: .none) }
    if let known = try bases.first(where: { try isGeneration($0.key, base.file) }) {
      return try measure(set, base: known.value)
    }
    return try measure(set, base: try measure(base.file, .base).keys)
  }

  private func scan(_ file: OpenFile, upTo end: UInt64, _ scanner: inout AOFScanner) throws {
    try file.forEachChunk(from: 0, to: end) {
      scanner.consume($0)
      moves()
      return scanner.fault == nil
    }
  }

  /// What a server would load of the disk: of the AOF where that is live, else of the dump.
  private func measure(_ view: CaptureView) throws -> Measure {
    let base = try view.aof.set?.base.map { try measure($0.file, .base) }
    let dump = try view.dump.map { try measure($0, .dump) }
    let contentAt = [base?.contentAt, dump?.contentAt].compactMap { $0 }.max()
    if view.aof.set == nil || isQuiet(view), let dump {
      return Measure(keys: dump.keys, contentAt: contentAt)
    }
    return Measure(
      keys: try measure(view.aof.set, base: base?.keys ?? .none), contentAt: contentAt)
  }

  /// Of files that are followed from their middle, what came before is looked at: the sample of names goes
  /// on from there.
  func seed(_ comparison: inout Comparison) throws {
    guard let files = comparison.chain?.files else { return }
    for (index, followed) in files.enumerated()
    where followed.start > 0 && followed.start <= DiskComparison.seedBytesMax {
      guard let file = capture.file(followed.pin) else { continue }
      var scanner = AOFScanner()
      scanner.keys = KeySample()
      try scan(file, upTo: followed.start, &scanner)
      if scanner.fault == nil, let keys = scanner.keys {
        comparison.chain?.files[index].seed(keys)
      }
    }
  }

  /// Of a longer log nothing is known but what comes: reading it would keep the first new byte waiting.
  private static let seedBytesMax: UInt64 = 256 << 20
}
