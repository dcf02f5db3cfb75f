import BackupFormat
package import BackupTypes
package import HistoryLogic
import RedisFormats

/// Compares the data directory with the newest history of the repository, so that a claim adds only what is
/// new.
///
/// It decides from facts alone, and asks for one fact at a time. When the fact has been fetched, it is called
/// again with all facts, and gets further. Nothing else is read: of a log only the part that the repository
/// has, of log objects only those that differ.
/// - Parameters:
///   - repository: the id of the repository.
///   - owner: who compares.
///   - isWatched: the history in the repository was followed up to now, so expired keys were logged.
package func compare(
  _ view: CaptureView, _ history: History, in repository: Nonce, by owner: Ownership,
  isWatched: Bool, _ evidence: Evidence
) -> Step<Comparison> {
  let comparing = Comparing(
    view: view, history: history, repository: repository, owner: owner, isWatched: isWatched,
    facts: evidence)
  do throws(Evidence.Missing) {
    return .done(try comparing.result())
  } catch {
    return .needs([error.need])
  }
}

struct Comparing {
  let view: CaptureView
  let history: History
  let repository: Nonce
  let owner: Ownership
  let isWatched: Bool
  let facts: Evidence

  fileprivate func result() throws(Evidence.Missing) -> Comparison {
    let basis = try basis()
    let point = try facts.newestPoint()
    let indexes = if let basis { try facts.indexes(of: basis) } else { [:] as Indexes }
    var comparison = Comparison(hasNews: false, hasPoint: point != nil)
    comparison.parent = history.newestClaim?.timeline
    comparison.end = comparison.parent.map { history.contiguousEnd(of: $0, starts: [:]) }
    comparison.unfinished = history.unfinishedWriters
    comparison.lastMark = point?.instant
    comparison.before = point.map { ($0.timeline, $0.snapshot.sequence, $0.cut) }
    for id in indexes.keys { comparison.reusable[id.fingerprint] = id }
    comparison.quarantined = history.catalogue.quarantined
    let pins = try facts.pins()
    comparison.pins = PinsInForce(pins)
    comparison.question = history.newestClaim.flatMap {
      history.openSuspicion(of: $0.timeline, pins: pins)?.pin.id
    }
    comparison.bases = indexes.mapValues { KeyBounds($0) }

    let matched = try match(basis)
    comparison.chain = matched?.chain ?? view.aof.set.map { Chain(fresh: $0) }
    comparison.fork = matched?.fork
    try matchDump(basis, indexes, isProved: matched != nil, &comparison)
    let receipt = try facts.receipt()
    comparison.isHeir = isHeir(receipt, comparison)
    var isNamed = false
    if comparison.isHeir, let receipt, receipt.isDeliberate {
      isNamed = try holds(receipt, comparison)
    }
    comparison.hasNews = try hasNews(comparison, newest: point, isMatched: matched != nil)
    if isNamed, try isBack(comparison) { comparison.hasNews = true }
    if comparison.hasNews, let point, !isNamed, comparison.question == nil {
      let match: Match = matched.map { $0.isReadable ? .proved : .detached } ?? .nothing
      comparison.suspicion = try suspect(comparison, newest: point, indexes, match)
      if let suspicion = comparison.suspicion, suspicion.reason != .older {
        beginAnew(&comparison)
      }
    }
    comparison.relation = relation(comparison, isNamed: isNamed)
    if comparison.hasNews { try seed(&comparison) }
    let last = basis.flatMap { $0.timeline == comparison.parent ? $0 : nil }
    comparison.isClean = last?.isClean ?? false
    comparison.isEnded = last?.cause == .end
    comparison.losses = LossFinder.losses(of: basis.map { [$0] } ?? [], in: history).filter {
      !isOnDisk($0, matched?.chain)
    }
    comparison.recoverableFrom = point == nil ? nil : try facts.firstPoint()
    return comparison
  }

  typealias Indexes = [GenerationID: GenerationIndex]

  private func relation(_ comparison: Comparison, isNamed: Bool) -> Comparison.Relation {
    guard comparison.hasNews else { return .nothingNew }
    guard let fork = comparison.fork else { return .unrelated }
    guard let newest = comparison.before?.position, fork < newest else {
      return .continues(from: fork)
    }
    return .wentBack(to: fork, isNamed: isNamed)
  }

  /// Whether the chain on disk has the log from the loss on. It is then shipped again.
  private func isOnDisk(_ loss: LogLoss, _ chain: Chain?) -> Bool {
    chain?.files.contains { file in
      file.name == loss.file && file.start <= loss.from && loss.to <= file.size
    } ?? false
  }

  /// The snapshot with which the disk is compared: the last one of the highest timeline that has any.
  private func basis() throws(Evidence.Missing) -> Snapshot? {
    for timeline in history.claims.keys.sorted(by: >) {
      if let snapshot = try facts.snapshot(.lastSnapshot(timeline)) { return snapshot }
    }
    return nil
  }

  // MARK: The chain

  private struct Matched {
    var chain: Chain
    var fork: LogPosition?
    /// It continues something that can be restored, not only files that were named and wait for their BASE.
    var isReadable = true
  }

  private func match(_ basis: Snapshot?) throws(Evidence.Missing) -> Matched? {
    guard let set = view.aof.set, let basis else { return nil }
    let isSameDirectory = history.claims[basis.timeline].map(owner.isSameDirectory) ?? false
    if let chain = basis.chain,
      let matched = try match(
        set, chain.form, base: chain.base, chain.files, isSameDirectory: isSameDirectory,
        isReadable: true)
    {
      return matched
    }
    if let matched = try matchDumpAsBase(set, basis) { return matched }
    guard let detached = basis.detached else { return nil }
    return try match(
      set, detached.form, base: nil, detached.files, isSameDirectory: isSameDirectory,
      isReadable: false)
  }

  /// Matches a set whose BASE is the dump of the last snapshot, as a restore of a dump makes it. It begins
  /// a chain of its own, which is readable at once.
  private func matchDumpAsBase(_ set: AOFSetView, _ basis: Snapshot) throws(Evidence.Missing)
    -> Matched?
  {
    guard let base = set.base, let dump = basis.dump,
      !history.catalogue.quarantined.contains(dump.generation),
      history.catalogue.generations[dump.generation]?.hasIndex == true,
      try facts.isGeneration(dump.generation, base.file)
    else { return nil }
    var files = set.increments.map { fresh($0) }
    for index in files.indices.dropLast() { files[index].makeFinal() }
    let record = Snapshot.Base(
      generation: dump.generation, file: base.file.name, sequence: base.sequence)
    let chain = Chain(
      form: set.form, files: files,
      anchor: .init(kind: .base(record), first: 0, pin: base.file.pin), candidate: nil)
    return Matched(chain: chain, fork: nil)
  }

  private func match(
    _ set: AOFSetView, _ form: AOFForm, base: Snapshot.Base?, _ files: [Snapshot.LogFile],
    isSameDirectory: Bool, isReadable: Bool
  ) throws(Evidence.Missing) -> Matched? {
    guard set.form == form else { return nil }
    let isSameBase = try baseMatches(set.base, base)
    guard let first = firstMatch(set, files, isSameBase: isSameBase, isSameDirectory) else {
      return nil
    }
    let isProvedByFile = !isSameBase
    var followed: [FollowedFile] = []
    var fork: LogPosition?
    var hasDiverged = false
    for (position, entry) in set.increments.enumerated() {
      let index = first + position
      guard !hasDiverged, index < files.count, files[index].file == entry.file.name,
        files[index].sequence == entry.sequence
      else {
        hasDiverged = true
        followed.append(fresh(entry))
        continue
      }
      let common = try common(entry.file, files[index])
      // If no BASE proves where a chain begins, its first bytes have to prove it.
      var provesNothing = common.offset == 0
      if !provesNothing, base == nil, !common.isWhole {
        provesNothing = try !facts.answer(.content(entry.file.pin, to: common.offset))
      }
      if position == 0, provesNothing, base == nil || isProvedByFile,
        !(isProvedByFile && isSameDirectory && common.isWhole && isReadable)
      {
        return nil
      }
      fork = common.position ?? fork
      followed.append(
        FollowedFile(
          file: entry.file, sequence: entry.sequence, inherited: common.segments,
          start: common.offset, hasContentBefore: true, isLegacy: set.form == .legacy))
      let isLastKnown = index == files.count - 1
      if !common.isWhole {
        hasDiverged = true
      } else if !isLastKnown, common.offset != entry.file.size {
        // An incomplete annotation may stand there.
        hasDiverged = try facts.answer(
          .command(entry.file.pin, from: common.offset, to: entry.file.size))
      }
    }
    for index in followed.indices.dropLast() { followed[index].makeFinal() }
    return Matched(
      chain: chain(
        set, form, base: base, files: followed, prefix: Array(files[..<first]),
        isSameBase: isSameBase && !isQuarantined(base), isReadable: isReadable),
      fork: fork, isReadable: isReadable)
  }

  /// A BASE that was found damaged or missing in the repository still proves where the chain begins. It is
  /// sent again.
  private func isQuarantined(_ base: Snapshot.Base?) -> Bool {
    base.map {
      history.catalogue.quarantined.contains($0.generation)
        || history.catalogue.generations[$0.generation]?.hasIndex != true
    } ?? false
  }

  private func chain(
    _ set: AOFSetView, _ form: AOFForm, base: Snapshot.Base?, files: [FollowedFile],
    prefix: [Snapshot.LogFile], isSameBase: Bool, isReadable: Bool
  ) -> Chain {
    let candidate = set.base.map {
      Chain.Candidate(file: $0.file, sequence: $0.sequence, first: 0)
    }
    guard isReadable else {
      return Chain(form: form, files: files, anchor: nil, candidate: candidate)
    }
    let kind: Chain.Anchor.Kind = base.map { .base($0) } ?? .nothing
    let pin = isSameBase ? set.base?.file.pin : nil
    return Chain(
      form: form, files: files, anchor: .init(kind: kind, first: 0, pin: pin, prefix: prefix),
      candidate: isSameBase ? nil : candidate)
  }

  private func baseMatches(_ onDisk: AOFSetView.Entry?, _ record: Snapshot.Base?)
    throws(Evidence.Missing) -> Bool
  {
    guard let onDisk else { return record == nil }
    guard let record else { return false }
    return try facts.isGeneration(record.generation, onDisk.file)
  }

  /// The index of the first file on disk in the record. Nil if nothing proves that the file is in the record.
  /// If the BASE is the same, it is the first file. If the BASE is another one (a rewrite removed the old
  /// one), it must be the same file by inode and birth time, in the same directory: unrelated logs can have
  /// the same names, numbers and first bytes.
  private func firstMatch(
    _ set: AOFSetView, _ files: [Snapshot.LogFile], isSameBase: Bool, _ isSameDirectory: Bool
  ) -> Int? {
    if isSameBase { return 0 }
    guard isSameDirectory, let entry = set.increments.first, entry.file.identity.isProof else {
      return nil
    }
    return files.firstIndex {
      $0.file == entry.file.name && $0.sequence == entry.sequence
        && $0.identity == entry.file.identity
    }
  }

  private func fresh(_ entry: AOFSetView.Entry) -> FollowedFile {
    FollowedFile(
      file: entry.file, sequence: entry.sequence, inherited: [], start: 0, hasContentBefore: true)
  }

  // MARK: The dump

  private func matchDump(
    _ basis: Snapshot?, _ indexes: Indexes, isProved: Bool, _ comparison: inout Comparison
  ) throws(Evidence.Missing) {
    // Without an index the dump is damaged, or retention deleted it.
    guard let record = basis?.dump, let index = indexes[record.generation] else { return }
    if let dump = view.dump, dump.size > 0, try facts.isGeneration(record.generation, dump) {
      comparison.dump = .init(record: record, dataset: index.dataset, file: dump)
    } else if isProved, let fork = comparison.fork, record.pinnedAt.map({ $0 <= fork }) ?? false {
      // It is older than the fork, so it is part of our history. A dump from after the fork belongs to the
      // other branch.
      comparison.dump = .init(record: record, dataset: index.dataset, file: nil)
    }
  }

  // MARK: News

  /// Whether the disk holds anything that the repository lacks. Bytes after the last complete command do
  /// not count: a torn tail must not make every restart claim a timeline.
  private func hasNews(
    _ comparison: Comparison, newest point: RestorePoint?, isMatched: Bool
  ) throws(Evidence.Missing) -> Bool {
    var hasNews = false
    if let chain = comparison.chain {
      // Durable log of a single AOF is not a restore point until a snapshot says so. The shipper may have
      // been killed before it wrote that snapshot.
      let isUnnamed = chain.anchor == nil && chain.files.contains { $0.start > 0 }
      hasNews = !isMatched || chain.candidate != nil || isUnnamed
      for file in chain.files where !hasNews && file.size > file.start {
        hasNews = try facts.answer(.command(file.pin, from: file.start, to: file.size))
      }
    }
    let isDumpKnown = comparison.dump?.isRead(from: view.dump) ?? false
    if view.dump != nil, !isDumpKnown, comparison.chain == nil || liveness != .live {
      hasNews = true
    }
    // The newest state may no longer be the dump but the AOF, and a restore point has to say that. This is so
    // if a restore of an earlier state left out the dump, or if a server opened the AOF that a restore made
    // from the dump.
    if point?.primary == .rdb, comparison.chain != nil, liveness == .live { hasNews = true }
    // A directory without data is never news, with one exception: if a dump without keys replaced one with
    // keys while Lifeboat was running, the server is now empty.
    if hasNews, !(isWatched && view.dump != nil), try facts.answer(.isEmpty) { return false }
    return hasNews
  }

  /// Whether someone restored an earlier state of the history on purpose. That is news even before Redis
  /// writes. Otherwise the abandoned state would stay the newest restore point, and a restore into an empty
  /// volume would give it.
  private func isBack(_ comparison: Comparison) throws(Evidence.Missing) -> Bool {
    guard let fork = comparison.fork, let left = comparison.before?.position, fork < left else {
      return false
    }
    return try !facts.answer(.isEmpty)
  }

  var isQuiet: Bool { liveness == .quiet }

  private var liveness: AOFLiveness {
    AOFLiveness.judge(
      lastWrite: view.aof.set?.increments.last?.file.modified,
      logBorn: view.aof.set?.increments.last?.file.born,
      manifestModified: view.aof.set?.manifestModified,
      dump: view.dump.map {
        .init(born: $0.born, modified: $0.modified, contentAtSeconds: nil)
      }, now: view.at)
  }
}
