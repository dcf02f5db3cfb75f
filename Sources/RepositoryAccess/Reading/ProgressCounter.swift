import BackupTypes
import Synchronization

/// Adds up what several tasks did and reports the sum.
package final class ProgressCounter: Sendable {
  private let done = Mutex<UInt64>(0)
  private let total: UInt64
  private let report: @Sendable (UInt64, UInt64) -> Void

  package init(total: UInt64, report: @escaping @Sendable (UInt64, UInt64) -> Void) {
    self.total = total
    self.report = report
  }

  package func add(_ bytes: UInt64) {
    let sum = done.withLock { value in
      value += bytes
      return value
    }
    report(min(sum, total), total)
  }

  package var sum: UInt64 { done.withLock { $0 } }

  /// Reports that everything is done, even if less was done than expected.
  package func finish() { if sum < total { report(total, total) } }
}
