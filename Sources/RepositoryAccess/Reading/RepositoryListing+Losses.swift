import BackupFormat
import BackupTypes
import HistoryLogic

extension RepositoryListing {
  /// Adds the losses of a timeline, and, for losses of earlier timelines, the first state after them in this
  /// timeline.
  static func add(_ losses: inout [(LogLoss, Loss)], _ finder: PointFinder) {
    let inOrder = finder.snapshots.sorted { $0.key < $1.key }.map(\.value)
    let search = LossFinder(finder.history, snapshots: inOrder)
    // Of the snapshots with the loss, the newest has the most information.
    var own: [LogPosition: (loss: LogLoss, snapshot: Snapshot)] = [:]
    for snapshot in inOrder where snapshot.primary == .aof {
      guard let loss = search.loss(of: snapshot),
        !losses.contains(where: { $0.0.position == loss.position })
      else { continue }
      own[loss.position] = (loss, snapshot)
    }
    for (_, (loss, snapshot)) in own.sorted(by: { $0.key < $1.key }) {
      losses.append(
        (
          loss,
          Loss(
            timeline: loss.timeline, ordinal: loss.ordinal, file: printable(loss.file),
            from: loss.from, to: loss.to, object: loss.object, since: loss.since.description,
            until: loss.until.description, before: finder.newest(of: snapshot)?.id)
        ))
    }
    for index in losses.indices where losses[index].1.behind == nil {
      let first = own[losses[index].0.position]?.snapshot.sequence ?? 0
      for snapshot in inOrder where snapshot.sequence > first {
        if let point = finder.firstState(of: snapshot, behind: losses[index].0) {
          losses[index].1.behind = point.id
          break
        }
      }
    }
  }
}
