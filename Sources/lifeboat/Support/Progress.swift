import BackupTypes
import Synchronization
import SystemIO

/// One line on a terminal that shows how far the command is; nothing if standard error is not a terminal.
///
/// It appears once the command has run for two seconds. It is removed before anything else is written, so it
/// never stays beside a result, and after a result it does not come back.
enum Progress {
  enum Unit: Sendable { case bytes, objects, records }

  private struct State {
    /// Nil: no command shows progress, or its result was written.
    var command: (name: String, startedAt: Int64)?
    /// What was reported last, and when.
    var text: String?
    var reportedAt: Int64 = 0
    /// The characters on the line.
    var width = 0
  }
  private static let state = Mutex(State())
  /// Milliseconds.
  private static let patience: Int64 = 2000
  private static let interval: Int64 = 100
  private static let columns = 79
  private static let barWidth = 24

  /// From now on a person waits for this command.
  static func begin(_ name: String, on pool: BlockingPool) {
    guard Console.errorIsTerminal else { return }
    state.withLock { $0.command = (name, SystemClock.monotonicMilliseconds()) }
    Task(executorPreference: pool) {
      while state.withLock({ $0.command != nil }) {
        try? await Task.sleep(for: .milliseconds(500))
        tick()
      }
    }
  }

  /// Reports how much of the total is done.
  static func show(_ label: String, _ done: UInt64, of total: UInt64, _ unit: Unit = .bytes) {
    guard total > 0 else { return }
    report {
      let part = min(1, Double(done) / Double(total))
      let filled = Int(part * Double(barWidth))
      let (full, empty) = Console.localeIsUnicode ? ("█", "░") : ("#", "-")
      let bar =
        String(repeating: full, count: filled) + String(repeating: empty, count: barWidth - filled)
      return "\(label) \(bar) \(text(done, unit)) of \(text(total, unit))"
        + (unit == .bytes ? "" : " \(unit)")
    }
  }

  /// For a part of a command whose end is unknown.
  static func show(_ text: String) { report { text } }

  /// For a command that reports nothing, or not often: shows how long it has run.
  private static func tick() {
    let now = SystemClock.monotonicMilliseconds()
    state.withLock { state in
      guard let command = state.command, now - state.reportedAt >= 1000 else { return }
      let time = humanDuration(milliseconds: (now - command.startedAt) / 1000 * 1000)
      draw((state.text ?? command.name) + "  " + time, &state, now)
    }
  }

  /// Removes the line.
  /// - Parameter isResult: the command is done, and the line does not come back.
  static func clear(isResult: Bool) {
    state.withLock { state in
      if state.width > 0 {
        Console.rawWrite("\r" + String(repeating: " ", count: state.width) + "\r")
        state.width = 0
      }
      if isResult { state.command = nil }
    }
  }

  private static func report(_ text: () -> String) {
    let now = SystemClock.monotonicMilliseconds()
    state.withLock { state in
      guard state.command != nil, now - state.reportedAt >= interval else { return }
      state.reportedAt = now
      let made = text()
      state.text = made
      draw(made, &state, now)
    }
  }

  private static func draw(_ text: String, _ state: inout State, _ now: Int64) {
    guard let command = state.command, now - command.startedAt >= patience else { return }
    let line = text.prefix(columns)
    let rest = String(repeating: " ", count: max(0, state.width - line.count))
    Console.rawWrite("\r\(line)\(rest)")
    state.width = max(line.count, state.width)
  }

  private static func text(_ count: UInt64, _ unit: Unit) -> String {
    unit == .bytes ? humanBytes(count) : "\(count)"
  }
}
