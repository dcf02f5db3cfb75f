package import BackupFormat
import BackupTypes
package import HistoryLogic

/// Reads what a plan is made from.
extension HistoryReader {
  /// How many snapshots before the point's are searched for a dump that joins its cut.
  private static let dumpSnapshotsMax = 32

  /// - Parameter damaged: dumps that turned out to be damaged when they were downloaded, and why. The plan
  ///   leaves them out.
  package func plan(
    _ point: RestorePoint, _ options: RestorePlan.Options,
    without damaged: [GenerationID: String] = [:]
  ) async throws -> RestorePlan {
    let copies = try await copies(of: point.snapshot)
    var planner = RestorePlanner(
      history: history, point: point, indexes: copies.indexes, options: options)
    planner.damaged = copies.damaged.merging(damaged) { $1 }
    for id in damaged.keys { planner.indexes[id] = nil }
    if planner.lacksDump { try await addEarlierDumps(&planner) }
    return try planner.plan()
  }

  /// The loss directly after a restore point: the log continued there, and is missing.
  package func loss(rightBehind point: RestorePoint) -> LogLoss? {
    let losses = LossFinder(history, snapshots: [point.snapshot])
    return losses.loss(rightBehind: point)
  }

  /// The indexes of the generations that `snapshot` names, without those that are quarantined, and without
  /// a dump next to a chain that is damaged or was deleted by retention: a restore does not need it.
  package func indexes(of snapshot: Snapshot) async throws -> [GenerationID: GenerationIndex] {
    try await copies(of: snapshot).indexes
  }

  private func copies(of snapshot: Snapshot) async throws -> (
    indexes: [GenerationID: GenerationIndex], damaged: [GenerationID: String]
  ) {
    var indexes: [GenerationID: GenerationIndex] = [:]
    var damaged: [GenerationID: String] = [:]
    let needed =
      snapshot.primary == .rdb ? snapshot.dump?.generation : snapshot.chain?.base?.generation
    if let base = snapshot.chain?.base, base.isEmpty,
      history.catalogue.generations[base.generation]?.hasIndex != true
    {
      // Release 0.1.0 does not know an empty BASE, so its retention may have deleted the index. The content
      // is known without it: nothing.
      indexes[base.generation] = GenerationIndex(
        generation: base.generation, kind: .base, file: base.file, size: 0, pieces: [],
        contentAt: snapshot.at, verdict: .good, remark: nil, dataset: nil)
    } else if let needed, !history.catalogue.quarantined.contains(needed) {
      indexes[needed] = try await repository.index(needed)
    }
    for id in [snapshot.chain?.base?.generation, snapshot.dump?.generation].compactMap({ $0 })
    where id != needed && indexes[id] == nil {
      switch try await unneeded(id) {
      case .success(let index): indexes[id] = index
      case .failure(let damage): damaged[id] = damage.reason
      }
    }
    return (indexes, damaged)
  }

  private struct Damage: Error { var reason: String? }

  /// The index of a generation that the state does not need. A damaged one has a reason; one that is
  /// quarantined or missing, as after retention, has none.
  private func unneeded(_ id: GenerationID) async throws -> Result<GenerationIndex, Damage> {
    guard !history.catalogue.quarantined.contains(id),
      history.catalogue.generations[id]?.hasIndex == true
    else { return .failure(Damage(reason: nil)) }
    do {
      let index = try await repository.index(id)
      if history.catalogue.generations[id]?.hasEmptiedPiece == true {
        return .failure(Damage(reason: "a piece of the full copy \(id) has no bytes"))
      }
      return history.catalogue.isWhole(index) ? .success(index) : .failure(Damage(reason: nil))
    } catch let error as LifeboatError where error.isDamage || error.code == .versionMismatch {
      return .failure(Damage(reason: error.message))
    }
  }

  /// Reads back from the restore point's snapshot to the last dump that joins its cut.
  private func addEarlierDumps(_ planner: inout RestorePlanner) async throws {
    let last = planner.point.snapshot
    var seen: Set<GenerationID> = []
    if let own = last.dump { seen.insert(own.generation) }
    let sequences = history.snapshots(of: last.timeline).filter { $0 < last.sequence }
    for sequence in sequences.suffix(HistoryReader.dumpSnapshotsMax).reversed() {
      guard let dump = try await readable(last.timeline, sequence)?.dump,
        seen.insert(dump.generation).inserted, planner.damaged[dump.generation] == nil,
        planner.precedesCut(dump), case .success(let index) = try await unneeded(dump.generation)
      else { continue }
      planner.indexes[dump.generation] = index
      planner.earlierDumps.append(dump)
      if planner.joins(dump) { return }
    }
  }

  /// Nil if the snapshot is foreign or damaged.
  private func readable(_ timeline: TimelineNumber, _ sequence: Int) async throws -> Snapshot? {
    do {
      return try await own(timeline, sequence)
    } catch let error as LifeboatError where error.isDamage { return nil }
  }
}
