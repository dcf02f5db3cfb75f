import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats

/// Decides whether the state on disk may be the result of an accident, and whether a restore made it.
extension Comparing {
  func isHeir(_ receipt: Receipt?, _ comparison: Comparison) -> Bool {
    guard let receipt, receipt.repository == repository, let newest = comparison.parent else {
      return false
    }
    return receipt.newest == newest && receipt.end == comparison.end
  }

  /// Whether the directory still has the restore point that a restore put there. The receipt of the restore
  /// alone does not prove that. If a server would load other files instead, or they have replaced the
  /// restored ones, the guard judges them.
  func holds(_ receipt: Receipt, _ comparison: Comparison) throws(Evidence.Missing) -> Bool {
    guard !isOverDump(comparison), let point = receipt.point,
      history.snapshots(of: point.timeline).contains(point.sequence),
      let snapshot = try facts.snapshot(.snapshot(point.timeline, point.sequence))
    else { return false }
    let finder = PointFinder(history: history, timeline: point.timeline, snapshots: [:])
    guard let cut = point.cut ?? finder.newest(of: snapshot)?.cut, let chain = snapshot.chain else {
      // A restored dump exists twice: as the dump, and as a BASE.
      guard let dump = snapshot.dump else { return false }
      for file in [view.dump, view.aof.set?.base?.file].compactMap({ $0 })
      where try facts.isGeneration(dump.generation, file) {
        return true
      }
      return false
    }
    guard let set = view.aof.set else { return false }
    if let base = chain.base {
      guard let file = set.base?.file, try facts.isGeneration(base.generation, file) else {
        return false
      }
    }
    let index = chain.files.firstIndex { file in
      file.segments.contains { $0.timeline == cut.timeline && $0.ordinal == cut.ordinal }
    }
    guard let index, index < set.increments.count else { return false }
    return set.increments[index].file.size >= cut.offset
  }

  /// The AOF no longer grows because of a dump that the repository does not have. The dump becomes the newest
  /// state.
  private func isOverDump(_ comparison: Comparison) -> Bool {
    view.dump != nil && view.aof.set != nil && isQuiet
      && !(comparison.dump?.isRead(from: view.dump) ?? false)
  }

  /// How the state on disk relates to the newest history.
  enum Match {
    case nothing
    /// It continues a log that a snapshot names but that still waits for its BASE.
    case detached
    /// It continues what a restore gives.
    case proved
  }

  func suspect(
    _ comparison: Comparison, newest: RestorePoint, _ indexes: Indexes, _ match: Match
  ) throws(Evidence.Missing) -> ShrinkGuard.Suspicion? {
    if match == .proved {
      if isOverDump(comparison), let dump = view.dump {
        // The log on disk continues the shipped one, so it explains any decrease of keys.
        let log = try keys(view.aof.set, bases: comparison.bases)
        let found = try ShrinkGuard.Loaded(keys: facts.copy(dump, .dump).keys)
        if let verdict = ShrinkGuard.suspicion(known: log, found: found, isWatched: false) {
          return verdict
        }
      }
      return rollback(comparison, newest: newest, indexes)
    }
    let known = try keys(of: newest)
    let disk = try loaded()
    if let verdict = ShrinkGuard.suspicion(
      known: known, found: disk.found, isWatched: isWatched && newest.primary == .aof)
    {
      return verdict
    }
    // The time of a file says when somebody wrote or copied it, not how old its content is.
    let shipped = indexes.values.compactMap(\.savedAt).max()
    if let shipped, let content = disk.contentAt,
      shipped.since(content) > ShrinkGuard.toleratedLoss
    {
      return (.older, "its newest full copy is of \(content), that of the repository of \(shipped)")
    }
    return nil
  }

  /// The disk has an earlier state of the same history, for example from a snapshot of its volume.
  private func rollback(_ comparison: Comparison, newest: RestorePoint, _ indexes: Indexes)
    -> ShrinkGuard.Suspicion?
  {
    guard let fork = comparison.fork, let cut = newest.cut, fork < cut else { return nil }
    let marks = history.chain(of: newest.snapshot).marks
    let at =
      marks.last { $0.position <= fork }?.time
      ?? newest.snapshot.chain?.base.flatMap { indexes[$0.generation]?.savedAt }
      ?? marks.first?.time ?? newest.snapshot.at
    return newest.instant.since(at) > ShrinkGuard.toleratedLoss
      ? (.older, "it ends at \(at), and the repository at \(newest.instant)") : nil
  }

  /// A suspect state gets a history without a fork. A fork after the state before it would count as the
  /// answer of a person, and so would the fork of the next claim, which continues from there.
  func beginAnew(_ comparison: inout Comparison) {
    comparison.fork = nil
    comparison.chain = view.aof.set.map { Chain(fresh: $0) }
    if !(comparison.dump?.isRead(from: view.dump) ?? false) { comparison.dump = nil }
  }

  // MARK: How many keys

  /// How many keys a restore of `point` gives. If the snapshot does not say that, it is known only if the
  /// full copy is the whole state.
  private func keys(of point: RestorePoint) throws(Evidence.Missing) -> KeyBounds {
    if let estimate = point.snapshot.estimate { return KeyBounds(estimate) }
    let isLogEmpty = logBytes(point.snapshot) <= Comparing.emptyLogBytes
    guard point.primary == .rdb || isLogEmpty else { return .unknown }
    let indexes = try facts.indexes(of: point.snapshot)
    let id =
      point.primary == .rdb
      ? point.snapshot.dump?.generation : point.snapshot.chain?.base?.generation
    return id.flatMap { indexes[$0] }.map { KeyBounds($0) } ?? .unknown
  }

  /// Every log begins with SELECT. A log with content has more than that.
  private static let emptyLogBytes: UInt64 = 64

  private func logBytes(_ snapshot: Snapshot) -> UInt64 {
    (snapshot.chain?.files ?? []).flatMap(\.segments).reduce(0) { sum, segment in
      let log = history.log(
        of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: segment.to)
      return sum.addingSaturated(log.reached - segment.from)
    }
  }

  /// How many keys a server would load from disk: from the AOF if it is live, otherwise from the dump.
  private func loaded() throws(Evidence.Missing) -> (
    found: ShrinkGuard.Loaded, contentAt: Instant?
  ) {
    let base =
      if let entry = view.aof.set?.base { try facts.copy(entry.file, .base) } else { nil as Copy? }
    let dump = if let file = view.dump { try facts.copy(file, .dump) } else { nil as Copy? }
    let contentAt = [base?.contentAt, dump?.contentAt].compactMap { $0 }.max()
    if view.aof.set == nil || isQuiet, let dump { return (.init(keys: dump.keys), contentAt) }
    let beneath = base?.keys ?? .none
    return (.init(base: beneath, keys: try keys(view.aof.set, over: beneath)), contentAt)
  }
  private typealias Copy = (keys: KeyBounds, contentAt: Instant?)

  /// How many keys a server would load from a set: those of its BASE, changed by the log. A BASE with a
  /// known number is not read.
  private func keys(_ set: AOFSetView?, bases: [GenerationID: KeyBounds]) throws(Evidence.Missing)
    -> KeyBounds
  {
    guard let base = set?.base else { return try keys(set, over: .none) }
    for (id, known) in bases where try facts.isGeneration(id, base.file) {
      return try keys(set, over: known)
    }
    return try keys(set, over: try facts.copy(base.file, .base).keys)
  }

  private func keys(_ set: AOFSetView?, over base: KeyBounds) throws(Evidence.Missing) -> KeyBounds
  {
    var keys = base
    for entry in set?.increments ?? [] {
      let sample = try facts.keys(entry.file.pin, to: entry.file.size).sample
      keys = sample?.bounds(over: keys) ?? .unknown
    }
    return keys
  }

  /// For files that are followed from the middle, reads the part before, so that the sample of names
  /// continues from there.
  func seed(_ comparison: inout Comparison) throws(Evidence.Missing) {
    for (index, file) in (comparison.chain?.files ?? []).enumerated()
    where file.start > 0 && (file.start <= Comparing.seedBytesMax || view.link != nil) {
      let (sample, isWhole) = try facts.keys(file.pin, to: file.start)
      if isWhole, let sample { comparison.chain?.files[index].seed(sample) }
    }
  }

  /// For a longer log only the new part is read: reading all of it would delay the upload of the first new
  /// byte.
  private static let seedBytesMax: UInt64 = 256 << 20
}
