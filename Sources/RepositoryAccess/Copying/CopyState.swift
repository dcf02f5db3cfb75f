import BackupFormat
import BackupTypes
import HistoryLogic
import Synchronization

/// The results of the tasks of one round.
final class CopyState: Sendable {
  /// A listed object of the source no longer exists. It was pruned or folded in the meantime.
  struct Gone: Error {}

  private struct State {
    var done = CopyWork.Done()
    var fencedAt: Int64?
  }
  private let state = Mutex(State())
  private let total: UInt64
  private let progress: @Sendable (UInt64, UInt64) -> Void

  /// How long a check for another writer stays valid.
  private static let fenceMilliseconds: Int64 = 5000

  init(total: Int, progress: @escaping @Sendable (UInt64, UInt64) -> Void) {
    self.total = UInt64(total)
    self.progress = progress
  }

  var done: CopyWork.Done { state.withLock { $0.done } }

  func wrote(_ bytes: Int) {
    let count = state.withLock { state in
      state.done.objects += 1
      state.done.bytes += UInt64(bytes)
      return state.done.objects
    }
    progress(min(UInt64(count), total), total)
  }

  /// - Parameter damaged: the object. It is not tried again in this run.
  func add(_ finding: VerifyFinding, damaged: ObjectPath) {
    state.withLock { state in
      // Findings beyond the limit are counted when they are reported.
      if state.done.findings.count <= CopyReport.findingsMax { state.done.findings.append(finding) }
      state.done.damaged.insert(damaged)
    }
  }

  /// The object can't be copied. The findings give the reason.
  func skip(_ name: ObjectPath) { state.withLock { _ = $0.done.damaged.insert(name) } }

  func isFenceDue(_ now: Int64) -> Bool {
    state.withLock { state in
      state.fencedAt.map { now - $0 >= CopyState.fenceMilliseconds } ?? true
    }
  }

  func fenced(_ now: Int64) { state.withLock { $0.fencedAt = now } }
}
