import BackupFormat
import BackupTypes
import HistoryLogic
import Logging
import RepositoryAccess
import SystemIO
import WriterLogic

/// Log whose BASE never became durable: from an interrupted first ship, on a volume that no longer exists.
extension Shipper {
  /// Pins such log with the next claim. Retention then keeps it until `unpin`, or as long as any pin: it is
  /// all that exists of that history. Log that this claim continues needs no pin.
  func pinUnfinishedLog(
    _ comparison: Comparison, _ history: History, _ repository: Repository, _ now: Instant
  ) async throws {
    guard !comparison.hasPoint, comparison.parent != nil else { return }
    let reader = HistoryReader(repository: repository, history: history)
    var snapshots: [Snapshot] = []
    let budget = SpanBudget()
    for timeline in history.claims.keys {
      snapshots += try await reader.snapshots(of: timeline, within: budget).values
    }
    let held = try await repository.pins(history.catalogue.operations[.pins] ?? []).pins
    let ours = comparison.chain?.files.flatMap(\.inherited) ?? []
    for log in history.unfinishedLogs(snapshots) {
      let segments = log.snapshot.detached?.files.flatMap(\.segments) ?? []
      let isOurs = segments.contains { segment in
        ours.contains { $0.timeline == segment.timeline && $0.ordinal == segment.ordinal }
      }
      let isHeld = held.contains {
        $0.timeline == log.timeline && $0.snapshot == log.snapshot.sequence
      }
      guard !isOurs, !isHeld else { continue }
      let pin = Pin(
        id:
          "u\(decimal(max(0, now.milliseconds), width: 13))-\(log.timeline)-\(log.snapshot.sequence)",
        repository: repository.id, origin: .drop,
        reason: "first upload never completed: \(log.text) of log without its BASE",
        at: now,
        until: now.advanced(byMilliseconds: options.writing.pinFor), timeline: log.timeline,
        snapshot: log.snapshot.sequence, position: nil)
      _ = try await repository.create(pin, .operation(.pins, id: pin.id), kind: .operation)
      logger.warning(
        "the first upload was interrupted before its BASE was complete: its log is pinned",
        metadata: [
          "timeline": "\(log.timeline)", "log": "\(log.text)", "pin": "\(pin.id)",
          "remedy":
            "restore it with `lifeboat restore --timeline \(log.timeline) --base empty`, or release it with `unpin`",
        ])
    }
  }
}
