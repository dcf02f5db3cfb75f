import BackupFormat
package import BackupTypes
package import HistoryLogic

/// Reads the facts that an answer needs, and asks again until there is one.
extension HistoryReader {
  package typealias Progress = @Sendable (_ done: UInt64, _ of: UInt64) -> Void

  /// - Parameter progress: for the log of each chain that is searched.
  package func answer(
    _ question: Question, now: Instant, progress: @escaping Progress = { _, _ in }
  ) async throws -> Answer {
    try await ask(now: now, progress: progress) { try $0.answer(question) }
  }

  /// The restore point; nil if the repository has none.
  /// - Parameter url: the value of `--repo`, for commands that are printed.
  package func point(
    _ question: Question, now: Instant, url: String? = nil,
    progress: @escaping Progress = { _, _ in }
  ) async throws -> RestorePoint? {
    try await answer(question, now: now, progress: progress)
      .point { repository.command(url).unpin($0) }
  }

  /// - Parameter known: facts that were read before.
  package func ask<Result>(
    now: Instant = Instant(milliseconds: 0), known: Answering.Evidence = .init(),
    progress: @escaping Progress = { _, _ in }, _ question: (Answering) throws -> Result
  ) async throws -> Result {
    var evidence = known
    let budget = SpanBudget()
    while true {
      do {
        return try question(Answering(history, evidence, now: now))
      } catch let unknown as Answering.Unknown {
        for need in unknown.needs { try await read(need, into: &evidence, budget, now, progress) }
      }
    }
  }

  private func read(
    _ need: Answering.Need, into evidence: inout Answering.Evidence, _ budget: SpanBudget,
    _ now: Instant, _ progress: @escaping Progress
  ) async throws {
    switch need {
    case .snapshots(let timeline):
      let (read, damaged) = try await readableSnapshots(of: timeline, within: budget)
      evidence.snapshots[timeline] = .init(read: read, damaged: damaged)
    case .snapshot(let key):
      evidence.single[key] = try await fact { try await own(key.timeline, key.sequence) }
    case .index(let id):
      evidence.indexes[id] = try await fact(
        isAbsent: history.catalogue.generations[id]?.hasIndex != true
      ) { try await repository.index(id) }
    case .marks(let name):
      evidence.marks[name] = try await marks(of: name)
    case .pins:
      let reading = try await repository.pinsInForce(history.catalogue, now: now)
      evidence.pins = reading.withNames
      evidence.unreadablePins = reading.unreadable
    case .second(let question):
      let snapshot = try await snapshot(question.snapshot, evidence)
      evidence.seconds[question] = try await fact {
        var reading = SecondReading(question, snapshot)
        let walk = LogWalk(reader: self, snapshot: snapshot)
        let end = try await walk.run(from: question.from, margin: question.margin) {
          reading.take($0.event, at: $0.place, seenAt: $0.seenAt, isCut: $0.isCut)
        }
        reading.finish(end)
        return reading
      }
    case .boundary(let key, let position):
      let snapshot = try await snapshot(key, evidence)
      let seenAt = try await fact {
        var found: Instant?
        try await LogWalk(reader: self, snapshot: snapshot).run(from: position) { step in
          if step.place == position, step.isCut { found = step.seenAt }
          return step.place < position
        }
        return found
      }
      evidence.boundaries[key, default: [:]][position] = .some((try? seenAt.get()) ?? nil)
    case .search(let question, let key):
      let snapshot = try await snapshot(key, evidence)
      let base = snapshot.chain?.base?.generation
      let index = if let base { try? await repository.index(base) } else { GenerationIndex?.none }
      var walk = LogWalk(reader: self, snapshot: snapshot)
      let counter = ProgressCounter(total: walk.bytes, report: progress)
      walk.progress = { counter.add($0) }
      let reading = ChainReading(LogSearch(question, copy: index?.dataset), cut: nil)
      evidence.searches[key] = try await reading.run(walk).search
    }
  }

  /// A decision asks only for snapshots that were read.
  private func snapshot(_ key: SnapshotKey, _ evidence: Answering.Evidence) async throws -> Snapshot
  {
    if let known = try? evidence.snapshot(key) { return known }
    return try await snapshot(key.timeline, key.sequence)
  }

  /// Damage is a fact, too. But if an object was deleted since it was listed, the repository is listed again.
  /// - Parameter isAbsent: whether it is missing from the listing.
  private func fact<Value>(isAbsent: Bool = false, _ read: () async throws -> Value) async throws
    -> Answering.Evidence.Fact<Value>
  {
    do {
      return .success(try await read())
    } catch let error as LifeboatError
      where error.isDamage || error.code == .versionMismatch
      || (isAbsent && error.missingObject != nil)
    {
      return .failure(error)
    }
  }
}
