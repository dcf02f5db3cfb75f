import BackupFormat
import BackupTypes

/// The log of a replication link to a server older than Redis 7.0.
extension RestorePlanner {
  /// Such a server knows one AOF only, in which the log follows the full copy. Every later one adopts it. Its
  /// full copy is written as the dump, too, for a server that runs without AOF.
  ///
  /// Only a link gives such a BASE: Redis 7.0 was the first server to write BASE files, as RDB version 10. The
  /// snapshot's `link` does not decide it: a snapshot of the chain that was written when the server had begun
  /// another history has none.
  ///
  /// - Returns: false if the chain is not of such a server.
  func layStream(
    _ chain: Snapshot.Chain, _ increments: [CutFile], _ plan: inout RestorePlan
  ) throws(LifeboatError) -> Bool {
    guard let base = chain.base, base.file.hasSuffix(".base.rdb") else { return false }
    let index = try generation(base.generation)
    guard needsLegacyForm(index) else { return false }
    try note(chain, &plan)
    let names = self.names
    plan.files.append(
      .init(
        directory: nil, name: names.dump, role: .dump, content: .generation(index), size: index.size
      ))
    plan.files.append(
      .init(
        directory: nil, name: names.appendFile, role: .legacy,
        content: .stream(over: 0, increments.flatMap(\.parts)),
        size: increments.reduce(index.size) { $0.addingSaturated($1.size) }))
    plan.dataset = index.dataset
    noteVerdict(index, &plan)
    plan.loadsWithNo = index.contentAt
    if options.appendOnly == .unknown {
      plan.warnings.append(
        "a server with `appendonly no` would load only the full copy of \(index.contentAt), without the log "
          + "after it")
    }
    return true
  }
}
