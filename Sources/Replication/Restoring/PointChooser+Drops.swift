import BackupFormat
import BackupLogic

/// What the log of a chain has.
extension PointChooser {
  /// What removed data before `point`, by the log: of its own chain, else of the newest before it that
  /// shows something, a few at most.
  /// - Parameter own: what the point's own chain has, if it has one.
  func drops(before point: RestorePoint, own: LogSearch?) async throws -> [Found] {
    var drops: [Found] = []
    var chains = 0
    try await search(
      .drops, from: point.snapshot, followsAncestry: true, known: own
    ) { found, _ in
      drops = found + drops
      chains += 1
      return drops.isEmpty && chains < PointChooser.chainsMax
    }
    return drops
  }

  /// A week of hourly rewrites has 168 chains, of which nobody waits to see all read.
  static let chainsMax = 8

  /// What one chain has.
  func search(_ question: LogSearch.Question, _ snapshot: Snapshot) async throws
    -> (found: [Found], leftOut: Int)
  {
    let base = snapshot.chain?.base?.generation
    var index: GenerationIndex?
    if let base { index = try? await reader.repository.index(base) }
    let reading = ChainReading(LogSearch(question, copy: index?.dataset), cut: nil)
    var walk = LogWalk(reader: reader, snapshot: snapshot)
    let counter = ProgressCounter(total: walk.bytes, report: progress)
    walk.progress = { counter.add($0) }
    return found(by: try await reading.run(walk).search, snapshot)
  }

  func found(by search: LogSearch, _ snapshot: Snapshot) -> (found: [Found], leftOut: Int) {
    let found = search.occurrences.map { occurrence in
      Found(
        occurrence: occurrence,
        point: RestorePoint(
          snapshot: snapshot, primary: .aof, cut: occurrence.before, instant: occurrence.at))
    }
    return (found, search.leftOut)
  }
}
