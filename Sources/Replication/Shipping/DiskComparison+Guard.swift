import BackupFormat
import BackupLogic
import BackupTypes
import RedisFormats
import SystemIO

/// Decides whether the state on disk may be the result of an accident, and whether a restore made it.
extension DiskComparison {
  func isHeir(_ marker: Marker?, _ comparison: Comparison) -> Bool {
    guard let marker, marker.repository == repository.id, let newest = comparison.parent else {
      return false
    }
    return marker.newest == newest && marker.end == comparison.end
  }

  /// Whether the directory still has the restore point that was asked for. The marker alone proves nothing.
  /// If other files beside it would be loaded instead, or have replaced it, the guard judges them.
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
      for file in [view.dump, view.aof.set?.base?.file].compactMap({ $0 })
      where try await isGeneration(dump.generation, file) {
        return true
      }
      return false
    }
    guard let set = view.aof.set else { return false }
    if let base = chain.base {
      guard let file = set.base?.file, try await isGeneration(base.generation, file) else {
        return false
      }
    }
    let index = chain.files.firstIndex { file in
      file.segments.contains { $0.timeline == cut.timeline && $0.ordinal == cut.ordinal }
    }
    guard let index, index < set.increments.count else { return false }
    return set.increments[index].file.size >= cut.offset
  }

  private func isGeneration(_ id: GenerationID, _ pinned: PinnedFile) async throws -> Bool {
    guard let file = source.file(pinned.pin) else { return false }
    return try await Fingerprint.of(file, size: pinned.size, frame: repository.frame)
      == id.fingerprint
  }

  /// A dump that the repository lacks has made the AOF quiet: the dump becomes the newest state.
  private func isOverDump(_ view: CaptureView, _ comparison: Comparison) -> Bool {
    view.dump != nil && view.aof.set != nil && isQuiet(view)
      && !(comparison.dump?.isRead(from: view.dump) ?? false)
  }

  /// How the state on disk relates to the newest history.
  enum Match {
    case nothing
    /// A log that was named and waits for its BASE.
    case detached
    /// It continues what a restore gives.
    case proved
  }

  func suspect(
    _ view: CaptureView, _ comparison: Comparison, newest: RestorePoint, known: KeyBounds,
    _ history: History, _ indexes: [GenerationID: GenerationIndex], _ match: Match
  ) async throws -> ShrinkGuard.Suspicion? {
    if match == .proved, isOverDump(view, comparison), let dump = view.dump {
      // The log on disk continues the shipped one, and explains any decrease.
      let log = try await measure(view.aof.set, bases: comparison.bases)
      if let verdict = ShrinkGuard.suspicion(
        known: log, found: try await measure(dump, .dump).found, isWatched: false)
      {
        return verdict
      }
    }
    if match == .proved {
      guard let fork = comparison.fork, let cut = newest.cut, fork < cut else { return nil }
      let marks = history.chain(of: newest.snapshot).marks
      let at =
        marks.last { $0.position <= fork }?.time
        ?? newest.snapshot.chain?.base.flatMap { indexes[$0.generation]?.contentAt }
        ?? marks.first?.time ?? newest.snapshot.at
      return newest.instant.since(at) > ShrinkGuard.toleratedLoss
        ? (.older, "it ends at \(at), and the repository at \(newest.instant)") : nil
    }
    let disk = try await measure(view)
    if let verdict = ShrinkGuard.suspicion(
      known: known, found: disk.found, isWatched: isWatched && newest.primary == .aof)
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

  /// A suspect state continues nothing. A fork after the state before it would count as an answer, and so
  /// would the fork of the next claim, which continues from there.
  func beginAnew(_ view: CaptureView, _ comparison: inout Comparison) {
    comparison.fork = nil
    comparison.chain = view.aof.set.map { FollowedChain(fresh: $0) }
    if !(comparison.dump?.isRead(from: view.dump) ?? false) { comparison.dump = nil }
  }

  // MARK: What there is

  /// How many keys a restore of `point` gives. If the snapshot does not say, this is known only if its full
  /// copy is the whole state.
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

  /// A log with content has more than SELECT, with which every log begins.
  private static let emptyLogBytes: UInt64 = 64

  private func logBytes(_ snapshot: Snapshot, _ history: History) -> UInt64 {
    (snapshot.chain?.files ?? []).flatMap(\.segments).reduce(0) { sum, segment in
      let log = history.log(
        of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: segment.to)
      return sum.addingSaturated(log.reached - segment.from)
    }
  }

  private struct Measure {
    var found: ShrinkGuard.Loaded
    var contentAt: Instant?
  }

  /// Measures a full copy on disk by walking it.
  private func measure(_ pinned: PinnedFile, _ kind: GenerationIndex.Kind) async throws
    -> Measure
  {
    guard let file = source.file(pinned.pin) else { return Measure(found: .init(keys: .unknown)) }
    var check = GenerationCheck(kind: kind)
    try await file.stream(from: 0, to: pinned.size) {
      check.consume($0)
      moves()
      return true
    }
    let summary = check.finish().summary
    return Measure(
      found: .init(keys: check.keys),
      contentAt: summary?.createdAtSeconds.map { Instant(seconds: $0) })
  }

  /// How many keys a server would load from a set: those of its BASE, changed by the log. A BASE with a
  /// known number is not read.
  private func measure(_ set: AOFSetView?, base: KeyBounds) async throws -> KeyBounds {
    var keys = base
    for entry in set?.increments ?? [] {
      guard let file = source.file(entry.file.pin) else { return .unknown }
      var scanner = AOFScanner()
      scanner.keys = KeySample()
      try await scan(file, upTo: entry.file.size, &scanner)
      keys = scanner.keyBounds(over: keys)
    }
    return keys
  }

  private func measure(_ set: AOFSetView?, bases: [GenerationID: KeyBounds]) async throws
    -> KeyBounds
  {
    guard let base = set?.base else { return try await measure(set, base: .none) }
    for (id, keys) in bases where try await isGeneration(id, base.file) {
      return try await measure(set, base: keys)
    }
    return try await measure(set, base: try await measure(base.file, .base).found.keys)
  }

  private func scan(_ file: any SourceFile, upTo end: UInt64, _ scanner: inout AOFScanner)
    async throws
  {
    try await file.stream(from: 0, to: end) {
      scanner.consume($0)
      moves()
      return scanner.fault == nil
    }
  }

  /// How many keys a server would load from disk: from the AOF if it is live, otherwise from the dump.
  private func measure(_ view: CaptureView) async throws -> Measure {
    var (base, dump): (Measure?, Measure?)
    if let entry = view.aof.set?.base { base = try await measure(entry.file, .base) }
    if let file = view.dump { dump = try await measure(file, .dump) }
    let contentAt = [base?.contentAt, dump?.contentAt].compactMap { $0 }.max()
    if view.aof.set == nil || isQuiet(view), let dump {
      return Measure(found: dump.found, contentAt: contentAt)
    }
    let keys = base?.found.keys ?? .none
    return Measure(
      found: .init(base: keys, keys: try await measure(view.aof.set, base: keys)),
      contentAt: contentAt)
  }

  /// For files that are followed from the middle, reads the part before, so that the sample of names
  /// continues from there.
  func seed(_ comparison: inout Comparison) async throws {
    guard let files = comparison.chain?.files else { return }
    for (index, followed) in files.enumerated()
    where followed.start > 0 && followed.start <= DiskComparison.seedBytesMax {
      guard let file = source.file(followed.pin) else { continue }
      var scanner = AOFScanner()
      scanner.keys = KeySample()
      try await scan(file, upTo: followed.start, &scanner)
      if scanner.fault == nil, let keys = scanner.keys {
        comparison.chain?.files[index].seed(keys)
      }
    }
  }

  /// Of a longer log only the new part is known: reading all of it would delay the first new byte.
  private static let seedBytesMax: UInt64 = 256 << 20
}
