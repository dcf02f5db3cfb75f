import BackupFormat
import BackupLogic

/// What a chain's log contains.
extension PointChooser {
  /// What removed data before `point`, according to the log: of the point's own chain, otherwise of the
  /// newest earlier chain that shows something, for a few chains at most.
  /// - Parameter own: the result for the point's own chain, if it has one.
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

  /// A week of hourly rewrites has 168 chains. Nobody waits until all are read.
  static let chainsMax = 8

  /// What one chain contains.
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
