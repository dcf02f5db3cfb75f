import BackupTypes
import HistoryLogic
import Logging
import RepositoryAccess
import Synchronization
import SystemIO

extension Shipper {
  /// Credentials that may not delete now will probably not be allowed to an hour later, and each run writes a
  /// record. So the next attempt is a day later.
  private static let deletingPause: Int64 = 86_400_000

  /// Applies the retention policy once. Failures are logged and tried again with the next run: an extra old
  /// restore point is no reason to stop shipping.
  func prune(_ repository: Repository, _ policy: RetentionPolicy, _ memory: SnapshotMemory) async {
    let start = time.monotonic
    guard start >= deletingDeniedUntil.withLock({ $0 }) else { return }
    let time = time
    let pruner = Pruner(
      repository, options: .init(policy: policy, by: options.writer), memory: memory,
      now: { time.wall })
    do {
      let report = try await pruner.run()
      let now = time.wall
      status.update {
        $0.pruned = now
        $0.losses = report.losses
        $0.unreadableClaims = report.unreadableClaims
      }
      tell(report)
    } catch is CancellationError {
      // The session ended. The next one prunes.
    } catch let error as LifeboatError where error.isDenied {
      deletingDeniedUntil.withLock { $0 = start + Shipper.deletingPause }
      logger.warning(
        "these credentials may not delete: old restore points stay; shipping continues",
        metadata: error.logged)
    } catch {
      let cause = "\(error)"
      let now = time.monotonic
      guard pruneNews.withLock({ $0.isNews(failure: cause, at: now) }) else { return }
      logger.warning("can't delete old restore points", metadata: ["cause": "\(cause)"])
    }
  }

  private func tell(_ report: PruneReport) {
    if report.result == .pruned {
      status.update { $0.recoverableFrom = report.recoverableFromInstant ?? $0.recoverableFrom }
    }
    let now = time.monotonic
    let line = pruneNews.withLock {
      $0.line(of: report.result, deleted: report.objects, due: report.due, at: now)
    }
    switch line {
    case nil: break
    case .announced:
      logger.warning(
        "retention would delete more than half of the restore points: it waits until \(report.due ?? "")",
        metadata: [
          "points": "\(report.points)", "left": "\(report.pointsLeft)",
          "remedy":
            "to keep more, raise --keep-within or --keep-daily; to see the list, run lifeboat prune --dry-run",
        ])
    case .waiting:
      logger.info(
        "old restore points will be deleted later", metadata: ["due": "\(report.due ?? "")"])
    case .pruned(let objects):
      logger.info(
        "deleted old restore points",
        metadata: [
          "objects": "\(objects)", "points": "\(report.points)",
          "left": "\(report.pointsLeft)",
        ])
    }
  }
}
