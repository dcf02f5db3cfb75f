import BackupFormat
import BackupLogic
import BackupTypes

/// Compares the full copies of a timeline up to a point, by their records.
struct CopyComparison {
  /// So many of the last copies of each kind are looked at: a record each is read.
  private static let copiesMax = 32

  let reader: HistoryReader
  let point: RestorePoint

  func drops(known: [Instant]) async throws -> [CopyDrops.Drop] {
    var drops: [CopyDrops.Drop] = []
    let snapshots = try await reader.snapshots(of: point.timeline)
    let finder = PointFinder(
      history: reader.history, timeline: point.timeline, snapshots: snapshots)
    for primary in [Snapshot.Primary.aof, .rdb] {
      // The first point of each copy.
      var seen: Set<GenerationID> = []
      var found: [(GenerationID, RestorePoint)] = []
      for (sequence, snapshot) in snapshots.sorted(by: { $0.key < $1.key })
      where sequence <= point.snapshot.sequence && snapshot.primary == primary {
        let id = primary == .aof ? snapshot.chain?.base?.generation : snapshot.dump?.generation
        let first = primary == .aof ? finder.start(of: snapshot) : finder.newest(of: snapshot)
        guard let id, let first, seen.insert(id).inserted else { continue }
        found.append((id, first))
      }
      var copies: [CopyDrops.Copy] = []
      for (id, first) in found.suffix(CopyComparison.copiesMax) {
        guard !reader.history.catalogue.quarantined.contains(id),
          let index = try? await reader.repository.index(id), let dataset = index.dataset
        else { continue }
        copies.append(CopyDrops.Copy(at: index.contentAt, dataset: dataset, point: first.id))
      }
      drops += CopyDrops.find(copies, known: known)
    }
    return drops
  }
}
