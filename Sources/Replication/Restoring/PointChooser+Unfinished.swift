import BackupFormat
import BackupLogic
import BackupTypes

/// Log whose BASE never became durable: `--timeline N --base empty`.
extension PointChooser {
  func unfinished(of timeline: TimelineNumber) async throws -> RestorePoint {
    if let point = try await newest(of: timeline) {
      throw LifeboatError(
        .usage, "timeline \(timeline) has restore points of its own: --base empty is not for it",
        cause: "the newest is \(point.id) of \(point.instant)",
        hint: "restore it with --timeline \(timeline) alone")
    }
    let snapshots = Array(try await reader.snapshots(of: timeline).values)
    let logs = reader.history.unfinishedLogs(snapshots)
    guard let log = logs.first else {
      throw LifeboatError(
        .noBackup, "timeline \(timeline) has no log without a BASE", hint: "see `lifeboat list`")
    }
    guard let point = point(of: log) else {
      throw LifeboatError(
        .noBackup, "the log of timeline \(timeline) has no place where it can be cut",
        cause: "what it begins with was not shipped to its end",
        hint: "there is nothing in it that a server could load")
    }
    return point
  }

  /// The last position where the log can be cut; nil if there is none.
  func point(of log: UnfinishedLog) -> RestorePoint? {
    guard let snapshot = log.snapshot.behindEmptyBase else { return nil }
    let finder = PointFinder(
      history: reader.history, timeline: snapshot.timeline,
      snapshots: [snapshot.sequence: snapshot])
    return reader.history.chain(of: snapshot).last == nil ? nil : finder.newest(of: snapshot)
  }
}
