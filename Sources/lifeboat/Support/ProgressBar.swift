import BackupTypes
import Synchronization
import SystemIO

/// A progress bar on a terminal; nothing where standard error is none.
final class ProgressBar: Sendable {
  private let isOn = Console.errorIsTerminal
  private let last = Mutex<Int64>(0)
  private let label: String
  private let unit: Unit
  enum Unit { case bytes, records }

  init(_ label: String, unit: Unit = .bytes) {
    self.label = label
    self.unit = unit
  }

  private func amount(_ count: UInt64) -> String {
    unit == .bytes ? humanBytes(count) : "\(count)"
  }

  func show(_ done: UInt64, of total: UInt64) {
    guard isOn, total > 0 else { return }
    let now = SystemClock.monotonicMilliseconds()
    let isDue = last.withLock { last in
      guard now - last >= 100 || done == total else { return false }
      last = now
      return true
    }
    guard isDue else { return }
    let width = 30
    let filled = Int(Double(done) / Double(total) * Double(width))
    let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: width - filled)
    Console.write(
      "\r\(label) \(bar) \(amount(done)) of \(amount(total))"
        + (unit == .bytes ? " " : " records ")
        + (done >= total ? "\n" : ""), toError: true)
  }
}
