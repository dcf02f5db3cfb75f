package import BackupFormat
package import BackupLogic
package import BackupTypes
import RedisFormats
import SystemIO

/// Compares the data directory with the newest history of the repository, so that a claim adds only what is
/// new. It reads the disk only as far as it compares. It downloads records, and only those log objects that
/// differ.
package struct DiskComparison {
  let repository: Repository
  let source: any Source
  /// Who compares.
  let owner: Ownership
  /// The history in the repository was followed up to now, so expired keys were logged.
  let isWatched: Bool
  /// Objects of the repository that are known to be damaged: they count as missing.
  let damaged: Set<ObjectPath>
  /// Called again and again while it reads, to show that it is alive.
  let moves: @Sendable () -> Void

  package init(
    repository: Repository, source: any Source, owner: Ownership, isWatched: Bool = false,
    damaged: Set<ObjectPath> = [],
    moves: @escaping @Sendable () -> Void = {}
  ) {
    self.repository = repository
    self.source = source
    self.owner = owner
    self.isWatched = isWatched
    self.damaged = damaged
    self.moves = moves
  }

  package struct Outcome: Sendable {
    package var comparison: Comparison
    package var history: History
    /// The last snapshot of the newest timeline says that its writer ended cleanly.
    package var isClean: Bool
    /// That snapshot was the last thing that its writer did.
    package var isEnded: Bool
    package var isHeir: Bool
    /// What is missing in the log of the newest state, and not on disk either.
    package var losses: [LogLoss]
    /// The first restore point; nil when there is none.
    package var recoverableFrom: Instant?
  }

  package func run(_ view: CaptureView) async throws -> Outcome {
    try await repository.withHistory { history in
      guard !damaged.isEmpty else { return try await compare(view, with: history) }
      let rest = try History(
        catalogue: history.catalogue.without(damaged), claims: history.claims)
      return try await compare(view, with: rest)
    }
  }

  private func compare(_ view: CaptureView, with history: History) async throws -> Outcome {
    let reader = HistoryReader(repository: repository, history: history)
    let basis = try await basis(reader)
    let point = try await reader.newestPoint()
    var indexes: [GenerationID: GenerationIndex] = [:]
    if let basis { indexes = try await self.indexes(of: basis, reader) }
    var comparison = Comparison(hasNews: false, hasPoint: point != nil)
    comparison.parent = history.newestClaim?.timeline
    comparison.end = comparison.parent.map { history.contiguousEnd(of: $0, starts: [:]) }
    comparison.unfinishedNonce = history.newestClaim?.nonce
    comparison.lastMark = point?.instant
    comparison.before = point.map { ($0.timeline, $0.snapshot.sequence, $0.cut) }
    for id in indexes.keys { comparison.reusable[id.fingerprint] = id }
    comparison.quarantined = history.catalogue.quarantined
    let pins = try await repository.activePins(history.catalogue, now: view.at)
    comparison.pins = PinsInForce(pins)
    comparison.question = history.newestClaim.flatMap {
      history.openSuspicion(of: $0.timeline, pins: pins)?.pin.id
    }
    comparison.bases = indexes.mapValues { KeyBounds($0) }

    let isSameDirectory =
      basis.map { history.claims[$0.timeline].map(owner.isSameDirectory) ?? false } ?? false
    let matched = try await match(view, basis, history, isSameDirectory: isSameDirectory)
    comparison.chain = matched?.chain ?? view.aof.set.map { FollowedChain(fresh: $0) }
    comparison.fork = matched?.fork
    try await matchDump(view, basis, indexes, isProved: matched != nil, &comparison)
    let marker = await source.receipt()
    let isHeir = isHeir(marker, comparison)
    var isDeliberate = false
    if isHeir, let marker, marker.isDeliberate {
      isDeliberate = try await holds(marker, view, comparison, reader)
    }
    try await findNews(view, isMatched: matched != nil, &comparison)
    if isDeliberate, try await isBack(comparison) { comparison.hasNews = true }
    if comparison.hasNews, let point, !isDeliberate, comparison.question == nil {
      let known = try await keyBounds(of: point, reader)
      let match: Match = matched.map { $0.isReadable ? .proved : .detached } ?? .nothing
      comparison.suspicion = try await suspect(
        view, comparison, newest: point, known: known, history, indexes, match)
      if let suspicion = comparison.suspicion, suspicion.reason != .older {
        beginAnew(view, &comparison)
      }
    }
    if comparison.hasNews { try await seed(&comparison) }
    let last = basis.flatMap { $0.timeline == comparison.parent ? $0 : nil }
    let isEnded = last?.cause == .end
    return Outcome(
      comparison: comparison, history: history, isClean: last?.isClean ?? false, isEnded: isEnded,
      isHeir: isHeir,
      losses: LossFinder.losses(of: basis.map { [$0] } ?? [], in: history).filter {
        !isOnDisk($0, matched?.chain)
      },
      recoverableFrom: point == nil ? nil : try await reader.firstPoint())
  }

  /// Whether the chain on disk continues the log from the loss on: it is shipped again.
  private func isOnDisk(_ loss: LogLoss, _ chain: FollowedChain?) -> Bool {
    chain?.files.contains { file in
      file.name == loss.file && file.start <= loss.from && loss.to <= file.size
    } ?? false
  }

  /// The existing indexes of what a snapshot names. A full copy without an index was lost and is sent
  /// again.
  private func indexes(of snapshot: Snapshot, _ reader: HistoryReader) async throws
    -> [GenerationID: GenerationIndex]
  {
    let needed =
      snapshot.primary == .rdb ? snapshot.dump?.generation : snapshot.chain?.base?.generation
    let isThere = needed.map { reader.history.catalogue.generations[$0]?.hasIndex == true } ?? true
    guard !isThere else { return try await reader.indexes(of: snapshot) }
    var rest = snapshot
    rest.primary = snapshot.primary == .rdb ? .aof : .rdb
    rest.dump = snapshot.dump?.generation == needed ? nil : snapshot.dump
    rest.chain?.base = snapshot.chain?.base?.generation == needed ? nil : snapshot.chain?.base
    return try await reader.indexes(of: rest)
  }

  /// The snapshot with which the disk is compared: the last one of the highest timeline that has any.
  private func basis(_ reader: HistoryReader) async throws -> Snapshot? {
    for timeline in reader.history.claims.keys.sorted(by: >) {
      if let snapshot = try await reader.lastSnapshot(of: timeline) { return snapshot }
    }
    return nil
  }

  // MARK: The chain

  private struct Matched {
    var chain: FollowedChain
    var fork: LogPosition?
    /// It continues what a restore gives, not just what was named and waits for its BASE.
    var isReadable = true
  }

  private func match(
    _ view: CaptureView, _ basis: Snapshot?, _ history: History, isSameDirectory: Bool
  ) async throws -> Matched? {
    guard let set = view.aof.set, let basis else { return nil }
    if let chain = basis.chain,
      let matched = try await match(
        set, chain.form, base: chain.base, chain.files, history, isSameDirectory: isSameDirectory,
        isReadable: true)
    {
      return matched
    }
    if let matched = try await matchDumpAsBase(set, basis, history) { return matched }
    guard let detached = basis.detached else { return nil }
    return try await match(
      set, detached.form, base: nil, detached.files, history, isSameDirectory: isSameDirectory,
      isReadable: false)
  }

  /// Matches a set whose BASE is the dump of the last snapshot, as a restore of a dump makes it. It begins
  /// a chain of its own, which is readable at once.
  private func matchDumpAsBase(_ set: AOFSetView, _ basis: Snapshot, _ history: History)
    async throws
    -> Matched?
  {
    guard let base = set.base, let dump = basis.dump, let file = source.file(base.file.pin),
      !history.catalogue.quarantined.contains(dump.generation),
      history.catalogue.generations[dump.generation]?.hasIndex == true,
      try await Fingerprint.of(file, size: base.file.size, frame: repository.frame)
        == dump.generation.fingerprint
    else { return nil }
    var files = set.increments.map { fresh($0) }
    for index in files.indices.dropLast() { files[index].makeFinal() }
    let record = Snapshot.Base(
      generation: dump.generation, file: base.file.name, sequence: base.sequence)
    var chain = FollowedChain(
      form: set.form, files: files, anchor: .init(kind: .base(record), first: 0), candidate: nil)
    chain.anchoredPin = base.file.pin
    return Matched(chain: chain, fork: nil)
  }

  private func match(
    _ set: AOFSetView, _ form: AOFForm, base: Snapshot.Base?, _ files: [Snapshot.LogFile],
    _ history: History, isSameDirectory: Bool, isReadable: Bool
  ) async throws -> Matched? {
    guard set.form == form else { return nil }
    let isSameBase = try await baseMatches(set.base, base)
    guard let first = firstMatch(set, files, isSameBase: isSameBase, isSameDirectory) else {
      return nil
    }
    let isProvedByFile = !isSameBase
    var followed: [FollowedFile] = []
    var fork: LogPosition?
    var hasDiverged = false
    let logs = LogComparison(repository: repository, history: history, moves: moves)
    for (position, entry) in set.increments.enumerated() {
      let index = first + position
      guard !hasDiverged, index < files.count, files[index].file == entry.file.name,
        files[index].sequence == entry.sequence, let file = source.file(entry.file.pin)
      else {
        hasDiverged = true
        followed.append(fresh(entry))
        continue
      }
      let common = try await logs.compare(file, size: entry.file.size, with: files[index])
      // If no BASE proves where a chain begins, its first bytes have to.
      var provesNothing = common.offset == 0
      if !provesNothing, base == nil, !common.isWhole {
        provesNothing = !(try await hasContent(file, upTo: common.offset))
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
      if !common.isWhole || (!isLastKnown && common.offset != entry.file.size) {
        hasDiverged = true
      }
    }
    for index in followed.indices.dropLast() { followed[index].makeFinal() }
    return Matched(
      chain: chain(
        set, form, base: base, files: followed, prefix: Array(files[..<first]),
        isSameBase: isSameBase && !isQuarantined(base, history), isReadable: isReadable),
      fork: fork, isReadable: isReadable)
  }

  /// A BASE that was found damaged or missing in the repository proves as much as before, and is sent
  /// again.
  private func isQuarantined(_ base: Snapshot.Base?, _ history: History) -> Bool {
    base.map {
      history.catalogue.quarantined.contains($0.generation)
        || history.catalogue.generations[$0.generation]?.hasIndex != true
    } ?? false
  }

  /// Whether more than SELECT, with which every log begins, is common to both.
  private func hasContent(_ file: any SourceFile, upTo end: UInt64) async throws -> Bool {
    var scanner = AOFScanner()
    try await file.stream(from: 0, to: end) {
      scanner.consume($0)
      moves()
      return !scanner.hasContent && scanner.fault == nil
    }
    return scanner.hasContent
  }

  private func chain(
    _ set: AOFSetView, _ form: AOFForm, base: Snapshot.Base?, files: [FollowedFile],
    prefix: [Snapshot.LogFile], isSameBase: Bool, isReadable: Bool
  ) -> FollowedChain {
    let candidate = set.base.map {
      FollowedChain.Candidate(file: $0.file, sequence: $0.sequence, first: 0)
    }
    guard isReadable else {
      return FollowedChain(form: form, files: files, anchor: nil, candidate: candidate)
    }
    let kind: FollowedChain.Anchor.Kind = base.map { .base($0) } ?? .nothing
    var chain = FollowedChain(
      form: form, files: files, anchor: .init(kind: kind, first: 0),
      candidate: isSameBase ? nil : candidate)
    if isSameBase { chain.anchoredPin = set.base?.file.pin }
    chain.prefix = prefix
    return chain
  }

  private func baseMatches(_ onDisk: AOFSetView.Entry?, _ record: Snapshot.Base?) async throws
    -> Bool
  {
    guard let onDisk else { return record == nil }
    guard let record, let file = source.file(onDisk.file.pin) else { return false }
    return try await Fingerprint.of(file, size: onDisk.file.size, frame: repository.frame)
      == record.generation.fingerprint
  }

  /// The index in the record of the first file on disk; nil if nothing proves that it is one of them. With
  /// the same BASE it is the first. With another BASE (a rewrite removed the old one) it must be the very
  /// same file, by inode and birth time in the same directory, because names, numbers and first bytes are
  /// alike in unrelated logs.
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
    _ view: CaptureView, _ basis: Snapshot?, _ indexes: [GenerationID: GenerationIndex],
    isProved: Bool, _ comparison: inout Comparison
  ) async throws {
    // Without an index the dump is damaged, or retention deleted it.
    guard let record = basis?.dump, indexes[record.generation] != nil else { return }
    let dataset = indexes[record.generation]?.dataset
    if let dump = view.dump, let file = source.file(dump.pin), dump.size > 0,
      try await Fingerprint.of(file, size: dump.size, frame: repository.frame)
        == record.generation.fingerprint
    {
      comparison.dump = .init(record: record, dataset: dataset, file: dump)
    } else if isProved, let fork = comparison.fork, record.pinnedAt.map({ $0 <= fork }) ?? false {
      // It is older than the fork, so it is part of our history. A dump from after the fork belongs to the
      // other branch.
      comparison.dump = .init(record: record, dataset: dataset, file: nil)
    }
  }

  // MARK: News

  /// Whether the disk holds anything that the repository lacks. Bytes after the last complete command do
  /// not count: a torn tail must not make every restart claim a timeline.
  private func findNews(_ view: CaptureView, isMatched: Bool, _ comparison: inout Comparison)
    async throws
  {
    if let chain = comparison.chain, isMatched {
      if let candidate = chain.candidate, !candidate.isBroken { comparison.hasNews = true }
      // All of it may be durable, and no restore point begins with it: the last shipper died just before it
      // wrote one.
      if chain.anchor == nil { comparison.hasNews = true }
      for file in chain.files where !comparison.hasNews {
        comparison.hasNews = try await hasCommand(file)
      }
    }
    let isDumpKnown = comparison.dump?.isRead(from: view.dump) ?? false
    if view.dump != nil, !isDumpKnown, comparison.chain == nil || isQuiet(view) {
      comparison.hasNews = true
    }
    if comparison.chain != nil, !isMatched { comparison.hasNews = true }
    // Never for a directory without data. A dump that replaced one with keys while it was watched is an
    // exception: it shows that the server is now empty.
    if comparison.hasNews, !(isWatched && view.dump != nil), try await source.isEmpty() {
      comparison.hasNews = false
    }
  }

  /// Somebody restored an earlier state of the history on purpose. That is news even before Redis writes.
  /// Otherwise the abandoned state would stay the newest restore point, and an empty volume would be filled
  /// with it.
  private func isBack(_ comparison: Comparison) async throws -> Bool {
    guard let fork = comparison.fork, let left = comparison.before?.position, fork < left else {
      return false
    }
    return try await !source.isEmpty()
  }

  func isQuiet(_ view: CaptureView) -> Bool {
    AOFLiveness.judge(
      lastWrite: view.aof.set?.increments.last?.file.modified,
      manifestModified: view.aof.set?.manifestModified,
      dump: view.dump.map {
        .init(born: $0.born, modified: $0.modified, contentAtSeconds: nil)
      }) == .quiet
  }

  private func hasCommand(_ followed: FollowedFile) async throws -> Bool {
    guard followed.size > followed.start, let file = source.file(followed.pin) else {
      return false
    }
    var scanner = AOFScanner(at: followed.start)
    try await file.stream(from: followed.start, to: followed.size) {
      scanner.consume($0)
      moves()
      return scanner.boundary == followed.start && scanner.fault == nil
    }
    return scanner.boundary > followed.start
  }
}
