import BackupFormat
import BackupTypes
import HistoryLogic
import RepositoryAccess

/// Compares the full copies before a point by their records: those of its timeline, and those of its
/// ancestors up to the forks.
struct CopyComparison {
  /// How many of the last copies of each kind are compared: one record each is read.
  static let copiesMax = 32
  /// How many timelines back it goes. Each start of a shipper can make one.
  private static let timelinesMax = 16

  let reader: HistoryReader
  let point: RestorePoint

  private struct Found {
    var generation: GenerationID
    /// The first point that has just this copy.
    var point: RestorePoint
  }

  func drops(known: [Instant]) async throws -> [CopyDrops.Drop] {
    var found: [Snapshot.Primary: [Found]] = [:]
    for snapshot in try await snapshots() {
      guard let primary = snapshot.primary, let one = first(of: snapshot, primary) else { continue }
      var copies = found[primary] ?? []
      guard !copies.contains(where: { $0.generation == one.generation }) else { continue }
      copies.append(one)
      found[primary] = copies.suffix(CopyComparison.copiesMax)
    }
    var drops: [CopyDrops.Drop] = []
    for primary in [Snapshot.Primary.aof, .rdb] {
      var copies: [CopyDrops.Copy] = []
      for one in found[primary] ?? [] {
        // Records that can't be read are left out, and nothing is concluded from them.
        guard !reader.history.catalogue.quarantined.contains(one.generation),
          let index = try? await reader.repository.index(one.generation),
          let dataset = index.dataset
        else { continue }
        copies.append(CopyDrops.Copy(at: index.contentAt, dataset: dataset, point: one.point.id))
      }
      drops += CopyDrops.find(copies, known: known)
    }
    return drops
  }

  /// The snapshots before the point that its state comes from, the oldest first.
  private func snapshots() async throws -> [Snapshot] {
    var found: [Snapshot] = []
    var forks: [LogPosition] = []
    var timeline: TimelineNumber? = point.timeline
    for _ in 0..<CopyComparison.timelinesMax {
      guard let number = timeline, let claim = reader.history.claims[number] else { break }
      let those = try await reader.snapshots(of: number).values.filter { snapshot in
        if number == point.timeline { return snapshot.sequence <= point.snapshot.sequence }
        // Snapshots after a fork belong to an abandoned branch.
        guard let start = snapshot.chain?.files.first?.segments.first else { return true }
        let position = LogPosition(
          timeline: start.timeline, ordinal: start.ordinal, offset: start.from)
        return forks.allSatisfy { position <= $0 }
      }
      found = those.sorted { $0.sequence < $1.sequence } + found
      if let fork = claim.fork { forks.append(fork) }
      timeline = claim.parent
    }
    return found
  }

  private func first(of snapshot: Snapshot, _ primary: Snapshot.Primary) -> Found? {
    let finder = PointFinder(
      history: reader.history, timeline: snapshot.timeline, snapshots: [snapshot.sequence: snapshot]
    )
    switch primary {
    case .aof:
      guard let base = snapshot.chain?.base, let start = finder.start(of: snapshot) else {
        return nil
      }
      return Found(generation: base.generation, point: start)
    case .rdb:
      guard let dump = snapshot.dump, let newest = finder.newest(of: snapshot) else { return nil }
      return Found(generation: dump.generation, point: newest)
    }
  }
}
