import BackupFormat
package import BackupTypes
package import HistoryLogic
package import ObjectStorage

/// Reads what the page of a repository needs: a complete listing, every claim and snapshot, and the indexes
/// of the newest generations. No log and no piece is fetched.
package struct ChronicleReader: Sendable {
  package typealias Progress = @Sendable (_ done: UInt64, _ total: UInt64) -> Void
  /// Records read at the same time.
  private static let width = 8
  /// Drills and quarantines shown, each the newest.
  static let operationsMax = 20

  private let reader: HistoryReader
  private let memory: ChronicleMemory?

  init(_ reader: HistoryReader, memory: ChronicleMemory?) {
    self.reader = reader
    self.memory = memory
  }

  /// - Parameters:
  ///   - memory: what was read before; nil if the page is made only once.
  ///   - progress: records read, of how many.
  /// - Throws: `.noBackup` when nothing is there.
  package static func read(
    _ store: any ObjectStore, keys: KeySource = .none, now: Instant,
    memory: ChronicleMemory? = nil, progress: @escaping Progress = { _, _ in }
  ) async throws -> Chronicle {
    guard let repository = try await Repository.open(store, keys: keys) else {
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)", hint: "check the bucket and prefix")
    }
    return try await repository.withHistory(keepsLogTimes: true) { history in
      let reader = HistoryReader(repository: repository, history: history)
      let this = ChronicleReader(reader, memory: memory)
      var builder = ChronicleBuilder(
        history: history, descriptor: repository.descriptor, location: store.location, now: now)
      try await this.readRecords(into: &builder, progress)
      return try await this.finish(
        &builder, newest: try await reader.newestUnlessDamaged(), now: now)
    }
  }

  private func readRecords(into builder: inout ChronicleBuilder, _ progress: @escaping Progress)
    async throws
  {
    let numbers = reader.history.claims.keys.sorted()
    let wanted = builder.generationsWanted
    let snapshots = numbers.reduce(0) { $0 + reader.history.snapshots(of: $1).count }
    let counter = ProgressCounter(total: UInt64(snapshots + wanted.count), report: progress)
    for number in numbers {
      let sequences = reader.history.snapshots(of: number)
      let traces = try await inParallel(sequences) { try await trace(number, $0, counter) }
      builder.add(number, traces.compactMap { try? $0.get() })
      builder.addUnreadable(traces.count { $0 == .failure(.damaged) })
    }
    for index in try await inParallel(wanted, { try await index($0, counter) }) {
      if let index { builder.add(index) } else { builder.addUnreadable(1) }
    }
    counter.finish()
  }

  /// In the order of `items`, a few at a time.
  private func inParallel<Item: Sendable, Result: Sendable>(
    _ items: [Item], _ read: @escaping @Sendable (Item) async throws -> Result
  ) async throws -> [Result] {
    try await withThrowingTaskGroup(of: (Int, Result).self) { group in
      var results = [Result?](repeating: nil, count: items.count)
      for (number, item) in items.enumerated() {
        if number >= ChronicleReader.width, let (done, result) = try await group.next() {
          results[done] = result
        }
        group.addTask { (number, try await read(item)) }
      }
      for try await (done, result) in group { results[done] = result }
      return results.map { $0! }
    }
  }

  private enum Missing: Error {
    /// Written by another writer, so it does not exist for a reader.
    case foreign
    /// Damaged. `verify` reports it; the page is shown without it.
    case damaged
  }

  private func trace(_ number: TimelineNumber, _ sequence: Int, _ counter: ProgressCounter)
    async throws -> Result<SnapshotTrace, Missing>
  {
    defer { counter.add(1) }
    let place = ChronicleMemory.Place(timeline: number, sequence: sequence)
    if let known = memory?.trace(place) { return known.map { .success($0) } ?? .failure(.foreign) }
    let nonce = reader.history.claims[number]!.nonce
    do {
      let trace = try await reader.repository.snapshot(number, sequence, nonce: nonce)
        .map { SnapshotTrace($0) }
      memory?.keep(trace, place)
      return trace.map { .success($0) } ?? .failure(.foreign)
    } catch let error as LifeboatError where error.isDamage {
      return .failure(.damaged)
    }
  }

  /// nil for one that is damaged.
  private func index(_ id: GenerationID, _ counter: ProgressCounter) async throws
    -> GenerationIndex?
  {
    defer { counter.add(1) }
    if let known = memory?.index(id) { return known }
    do {
      let index = try await reader.repository.index(id)
      memory?.keep(index)
      return index
    } catch let error as LifeboatError where error.isDamage {
      return nil
    }
  }

  /// Adds the records of people and other commands, and completes the chronicle.
  func finish(
    _ builder: inout ChronicleBuilder, newest: RestorePoint?, now: Instant,
    operationsMax: Int = ChronicleReader.operationsMax
  ) async throws -> Chronicle {
    let catalogue = reader.history.catalogue
    let repository = reader.repository
    /// The newest records that count, in order. Records that do not count are only counted.
    func last<Record>(_ kind: OperationKind, _ read: (String) async throws -> Record)
      async throws -> [Record]
    {
      var found: [Record] = []
      for id in (catalogue.operations[kind] ?? []).sorted(by: >).prefix(2 * operationsMax)
      where found.count < operationsMax {
        do {
          found.append(try await read(id))
        } catch let error as LifeboatError where error.isUnreadable {
          builder.addUnreadable(1)
        } catch let error as LifeboatError where error.missingObject != nil {}
      }
      return found.reversed()
    }
    for one in try await last(.quarantines, reader.repository.quarantine) { builder.add(one) }
    for one in try await last(.drills, reader.repository.drill) { builder.add(one) }
    let reading = try await repository.pinsInForce(catalogue, now: now)
    for pin in reading.pins { builder.add(pin) }
    builder.addUnreadable(reading.unreadable.count + reader.history.unreadable.count)
    return builder.chronicle(
      newest: newest, pins: reading.pins, unreadablePins: reading.unreadable)
  }
}
