import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess
import WriterLogic

/// Fetches the facts that a comparison of the source with the newest history needs.
struct Comparer {
  let repository: Repository
  let source: any Source
  /// Who compares.
  let owner: Ownership
  /// The history in the repository was followed up to now, so expired keys were logged.
  let isWatched: Bool
  /// Objects of the repository that are known to be damaged: they count as missing.
  let damaged: Set<ObjectPath>
  /// Called repeatedly while it reads, to show that it makes progress.
  let moves: @Sendable () -> Void

  func run(_ view: CaptureView) async throws -> (comparison: Comparison, history: History) {
    try await repository.withHistory(passesClaims: true) { whole in
      var history = try whole.without(damaged)
      while true {
        // What can't be read counts as missing for a writer, as a claim does: anyone who may create objects
        // can create one. What it would have held is uploaded again, and `verify` reports it. Each turn
        // leaves out at least one more object.
        do {
          return try await run(view, history)
        } catch let found as UnusableLog {
          history = try history.disregarding(try await unusableLog(from: found, in: history))
        } catch let error as LifeboatError where error.isDamage {
          let snapshots = try await damagedSnapshots(of: history)
          guard !snapshots.isEmpty else { throw error }
          history = try history.without(snapshots)
        }
      }
    }
  }

  /// How many more objects are read when one can't be used.
  private static let unusableReadsMax = 64

  /// One object of a log can't be used. Reads the next ones of the same log, too, since a comparison for each
  /// of them would take long.
  private func unusableLog(from first: UnusableLog, in history: History) async throws
    -> [ObjectPath: String]
  {
    var found = [first.name: first.reason]
    guard case .log(let timeline, let ordinal, let span) = first.name else { return found }
    let reader = HistoryReader(repository: repository, history: history)
    let spans = history.catalogue.timelines[timeline]?.log[ordinal] ?? []
    let next = spans.filter { $0.from >= span.from && $0 != span }
    for other in next.sorted(by: { $0.from < $1.from }).prefix(Comparer.unusableReadsMax) {
      moves()
      let name = ObjectPath.log(timeline, ordinal: ordinal, other)
      if case .unusable(let error) = try await reader.log(name, timeline, other) {
        found[name] = error.reason
      }
    }
    return found
  }

  private func damagedSnapshots(of history: History) async throws -> Set<ObjectPath> {
    let reader = HistoryReader(repository: repository, history: history)
    var found: Set<ObjectPath> = []
    for number in history.claims.keys {
      moves()
      found.formUnion(
        try await reader.readableSnapshots(of: number).damaged.keys.map {
          .snapshot(number, sequence: $0)
        })
    }
    return found
  }

  private func run(_ view: CaptureView, _ history: History) async throws -> (
    comparison: Comparison, history: History
  ) {
    let reader = HistoryReader(repository: repository, history: history)
    var evidence = Evidence()
    var snapshots: [SnapshotKey: Snapshot] = [:]
    while true {
      switch compare(view, history, in: repository.id, by: owner, isWatched: isWatched, evidence) {
      case .done(let comparison): return (comparison, history)
      case .needs(let needs):
        for need in needs {
          moves()
          let fact = try await fetch(need, reader, view, snapshots)
          if case .snapshot(let read?) = fact { snapshots[read.key] = read }
          if case .point(let point?) = fact { snapshots[point.snapshot.key] = point.snapshot }
          evidence.add(fact, for: need)
        }
      }
    }
  }

  private func fetch(
    _ need: Need, _ reader: HistoryReader, _ view: CaptureView, _ snapshots: [SnapshotKey: Snapshot]
  ) async throws -> Fact {
    if let known = try source.knows(need, reader.history) { return known }
    switch need {
    case .lastSnapshot(let timeline): return .snapshot(try await reader.lastSnapshot(of: timeline))
    case .snapshot(let timeline, let sequence):
      return .snapshot(try? await reader.snapshot(timeline, sequence))
    case .newestPoint: return .point(try await reader.newestPoint())
    case .firstPoint: return .instant(try await reader.firstPoint())
    case .indexes(let key):
      guard let snapshot = snapshots[key] else { return .indexes([:]) }
      return .indexes(try await indexes(of: snapshot, reader))
    case .pins:
      return .pins(try await repository.activePins(reader.history.catalogue, now: view.at))
    case .receipt: return .receipt(await source.receipt().map { Receipt($0) })
    case .isEmpty: return .answer(try await source.isEmpty())
    case .fingerprint(let pin, let size):
      return .fingerprint(
        try await Fingerprint.of(try held(pin), size: size, frame: repository.frame))
    case .copy(let pin, let size, let kind): return try await copy(try held(pin), size, kind)
    case .agreement(let pin, let size, let range):
      return .offset(try await agreement(try held(pin), size, range, reader.history))
    case .shared(let pin, let size, let range, let span):
      return .offset(try await shared(try held(pin), size, range, span, reader))
    case .boundary(let pin, let from, let to):
      return .offset(try await scan(pin, from, to) { _ in true }.boundary)
    case .command(let pin, let from, let to):
      return .answer(try await scan(pin, from, to) { $0.boundary == from }.boundary > from)
    case .content(let pin, let to):
      return .answer(try await scan(pin, 0, to) { !$0.hasContent }.hasContent)
    case .keys(let pin, let to):
      var scanner = AOFScanner()
      scanner.keys = KeySample()
      scanner = try await scan(pin, 0, to, scanner) { _ in true }
      return .keys(scanner.keys, isWhole: scanner.fault == nil)
    }
  }

  // MARK: The repository

  /// The existing indexes of the generations that a snapshot names. A full copy without an index was lost and
  /// is sent again.
  private func indexes(of snapshot: Snapshot, _ reader: HistoryReader) async throws
    -> [GenerationID: GenerationIndex]
  {
    let needed =
      snapshot.primary == .rdb ? snapshot.dump?.generation : snapshot.chain?.base?.generation
    let isThere =
      needed.flatMap { reader.history.catalogue.generations[$0] }.map {
        $0.hasIndex && !$0.hasEmptiedPiece
      } ?? (needed == nil)
    guard !isThere else { return try await reader.indexes(of: snapshot) }
    var rest = snapshot
    rest.primary = snapshot.primary == .rdb ? .aof : .rdb
    rest.dump = snapshot.dump?.generation == needed ? nil : snapshot.dump
    rest.chain?.base = snapshot.chain?.base?.generation == needed ? nil : snapshot.chain?.base
    return try await reader.indexes(of: rest)
  }

  // MARK: Files

  /// Every file of the view is held.
  private func held(_ pin: PinID) throws(LifeboatError) -> any SourceFile {
    guard let file = source.file(pin) else {
      throw LifeboatError(.failure, "a file to compare is not open", isRetryable: true)
    }
    return file
  }

  private func agreement(
    _ file: any SourceFile, _ size: UInt64, _ range: LogRange, _ history: History
  ) async throws -> UInt64 {
    let log = history.log(
      of: range.timeline, ordinal: range.ordinal, from: range.from, limit: range.limit)
    var agreed = range.from
    for span in log.spans where span.to <= size {
      moves()
      guard
        try await file.digest(from: span.from, to: span.to, frame: repository.frame).short
          == span.digest
      else { break }
      agreed = span.to
    }
    return agreed
  }

  private func shared(
    _ file: any SourceFile, _ size: UInt64, _ range: LogRange, _ span: LogSpan,
    _ reader: HistoryReader
  ) async throws -> UInt64 {
    let name = ObjectPath.log(range.timeline, ordinal: range.ordinal, span)
    let payload: LogPayload
    switch try await reader.log(name, range.timeline, span) {
    case .payload(let read): payload = read
    case .gone: return span.from
    case .unusable(let error): throw UnusableLog(name: name, reason: error.reason)
    }
    let onDisk = try await file.whole(from: span.from, to: min(span.to, size))
    return span.from + UInt64(zip(onDisk, payload.bytes).prefix { $0 == $1 }.count)
  }

  private func copy(_ file: any SourceFile, _ size: UInt64, _ kind: GenerationIndex.Kind)
    async throws -> Fact
  {
    var check = GenerationCheck(kind: kind)
    try await file.stream(from: 0, to: size) {
      check.consume($0)
      moves()
      return true
    }
    let summary = check.finish().summary
    return .copy(
      keys: check.keys, contentAt: summary?.createdAtSeconds.map { Instant(seconds: $0) })
  }

  /// Reads [from, to) as commands, until there is a fault or `goesOn` returns false.
  private func scan(
    _ pin: PinID, _ from: UInt64, _ to: UInt64, _ begun: AOFScanner? = nil,
    _ goesOn: (AOFScanner) -> Bool
  ) async throws -> AOFScanner {
    var scanner = begun ?? AOFScanner(at: from)
    try await held(pin).stream(from: from, to: to) {
      scanner.consume($0)
      moves()
      return scanner.fault == nil && goesOn(scanner)
    }
    return scanner
  }
}

extension Receipt {
  init(_ marker: Marker) {
    self.init(
      repository: marker.repository,
      point: PointID(marker.point).map {
        Point(timeline: $0.timeline, sequence: $0.sequence, cut: $0.position)
      }, isDeliberate: marker.isDeliberate, newest: marker.newest, end: marker.end)
  }
}
