import BackupTypes
import Synchronization
import SystemIO

/// A progress bar on a terminal; nothing if standard error is not a terminal.
final class ProgressBar: Sendable {
  enum Unit: Sendable { case bytes, objects, records }

  private let isOn = Console.errorIsTerminal
  private let last = Mutex<Int64>(0)
  private let label: String
  private let unit: Unit

  init(_ label: String, counting unit: Unit = .bytes) {
    self.label = label
    self.unit = unit
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
      "\r\(label) \(bar) \(text(done)) of \(text(total))\(unit == .bytes ? "" : " \(unit)") "
        + (done >= total ? "\n" : ""),
      toError: true)
  }

  private func text(_ count: UInt64) -> String {
    switch unit {
    case .bytes: humanBytes(count)
    case .objects, .records: "\(count)"
    }
  }
}
