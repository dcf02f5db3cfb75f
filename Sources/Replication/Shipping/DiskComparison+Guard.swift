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

  func suspect(
    _ view: CaptureView, _ comparison: Comparison, newest: RestorePoint, _ history: History,
    _ indexes: [GenerationID: GenerationIndex], isMatched: Bool
  ) throws -> (reason: Claim.Suspicion.Reason, detail: String)? {
    if isOverDump(view, comparison), let dump = view.dump, let found = try measure(dump),
      let verdict = ShrinkGuard.judge(known: comparison.known, found: found)
        ?? ShrinkGuard.judgeDump(behind: logBytes(newest.snapshot, history), found: found)
    {
      return verdict
    }
    if isMatched, let fork = comparison.fork {
      guard let cut = newest.cut, fork < cut else { return nil }
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
    // What a full copy holds that does not say it is not known, and never "less".
    if !disk.isOpaque,
      let verdict = ShrinkGuard.judge(
        known: comparison.known, found: disk.found, added: disk.commands, addedBytes: disk.logBytes)
    {
      return verdict
    }
    if comparison.known.map({ $0.keys == 0 }) ?? true, !disk.isOpaque,
      let verdict = ShrinkGuard.judgeLogs(
        known: logBytes(newest.snapshot, history), found: disk.found, foundBytes: disk.logBytes)
    {
      return verdict
    }
    let known = indexes.values.map(\.contentAt).max()
    if let known, let content = disk.contentAt,
      known.since(content) > ShrinkGuard.toleratedLoss
    {
      return (.older, "its newest full copy is of \(content), the repository's of \(known)")
    }
    return nil
  }

  private func logBytes(_ snapshot: Snapshot, _ history: History) -> UInt64 {
    (snapshot.chain?.files ?? []).flatMap(\.segments).reduce(0) { sum, segment in
      let log = history.log(
        of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: segment.to)
      return sum.addingSaturated(log.reached - segment.from)
    }
  }

  private struct Measure {
    /// A full copy is there that does not say how much it holds: a BASE of commands.
    var isOpaque = false
    var found = ShrinkGuard.Known(keys: 0, elements: 0, bytes: 0)
    var commands: UInt64 = 0
    var logBytes: UInt64 = 0
    var contentAt: Instant?
  }

  /// Nil: it does not say how much it holds.
  private func measure(_ pinned: PinnedFile) throws -> ShrinkGuard.Known? {
    guard let file = capture.file(pinned.pin) else { return nil }
    var check = GenerationCheck(kind: .dump)
    try file.forEachChunk(from: 0, to: pinned.size) {
      check.consume($0)
      moves()
      return true
    }
    return check.finish().summary.flatMap { DatasetRecord($0) }.map {
      ShrinkGuard.Known(dataset: $0, bytes: pinned.size)
    }
  }

  /// What the disk holds, by walking its newest full copies and counting the commands behind them.
  private func measure(_ view: CaptureView) throws -> Measure {
    var measure = Measure()
    for pinned in [view.aof.set?.base?.file, view.dump].compactMap({ $0 }) {
      guard let file = capture.file(pinned.pin) else { continue }
      var check = GenerationCheck(kind: .base)
      try file.forEachChunk(from: 0, to: pinned.size) {
        check.consume($0)
        moves()
        return true
      }
      guard let summary = check.finish().summary, let dataset = DatasetRecord(summary) else {
        measure.isOpaque = true
        continue
      }
      let found = ShrinkGuard.Known(dataset: dataset, bytes: pinned.size)
      if found.elements >= measure.found.elements { measure.found = found }
      if let seconds = summary.createdAtSeconds {
        measure.contentAt = max(
          measure.contentAt ?? Instant(seconds: seconds), Instant(seconds: seconds))
      }
    }
    for entry in view.aof.set?.increments ?? [] {
      guard let file = capture.file(entry.file.pin) else { continue }
      var scanner = AOFScanner()
      try file.forEachChunk(from: 0, to: entry.file.size) {
        scanner.consume($0)
        moves()
        return scanner.fault == nil
      }
      measure.commands &+= scanner.commands &+ (scanner.preamble?.elements ?? 0)
      measure.found.keys &+= scanner.preamble?.keys ?? 0
      measure.logBytes &+= entry.file.size
    }
    return measure
  }
}
