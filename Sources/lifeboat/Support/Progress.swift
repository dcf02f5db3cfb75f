import BackupTypes
import Synchronization
import SystemIO

/// One line on a terminal that shows how far the command is; nothing if standard error is not a terminal.
///
/// It is a bar if the total is known. Otherwise it shows the number of objects and the elapsed time. It
/// appears once the command has run for two seconds. It is removed before anything else is written, so it
/// never stays beside a result, and after a result it does not come back.
enum Progress {
  enum Act: String, CaseIterable { case listed, read, written, deleted }

  private struct State {
    /// Nil if no command shows progress, or if its result was written.
    var command: (name: String, startedAt: Int64)?
    var bar: (bar: ProgressBar, startedAt: Int64)?
    /// How many objects.
    var counts: [Act: Int] = [:]
    var drawnAt: Int64 = 0
    /// The characters on the line.
    var width = 0
  }
  private static let state = Mutex(State())
  /// Milliseconds.
  private static let patience: Int64 = 2000
  private static let interval: Int64 = 100
  private static let columns = 79

  /// Begins to show progress, since a person waits for this command.
  static func begin(_ name: String, on pool: BlockingPool) {
    guard Console.errorIsTerminal else { return }
    state.withLock { $0.command = (name, SystemClock.monotonicMilliseconds()) }
    Task(executorPreference: pool) {
      while state.withLock({ $0.command != nil }) {
        try? await Task.sleep(for: .milliseconds(500))
        state.withLock { draw(&$0, SystemClock.monotonicMilliseconds()) }
      }
    }
  }

  /// Reports how much of a known total is done.
  static func show(
    _ label: String, _ done: UInt64, of total: UInt64, _ unit: ProgressBar.Unit = .byte
  ) {
    update { state, now in
      var bar = ProgressBar(label, done, of: total, unit)
      var startedAt = now
      if let old = state.bar, old.bar.label == label, old.bar.done <= done {
        startedAt = old.startedAt
        bar.begun = old.bar.begun
      } else {
        bar.begun = bar.done
      }
      state.bar = (bar, startedAt)
    }
  }

  /// Counts objects, for the parts of a command whose total is unknown.
  static func count(_ act: Act, _ objects: Int = 1) {
    update { state, _ in state.counts[act, default: 0] += objects }
  }

  /// Removes the line.
  /// - Parameter isResult: whether the command is done. The line does not come back then.
  static func clear(isResult: Bool) {
    state.withLock { state in
      if state.width > 0 {
        Console.rawWrite("\r" + String(repeating: " ", count: state.width) + "\r")
        state.width = 0
      }
      if isResult { state.command = nil }
    }
  }

  private static func update(_ change: (inout State, Int64) -> Void) {
    let now = SystemClock.monotonicMilliseconds()
    state.withLock { state in
      guard state.command != nil else { return }
      change(&state, now)
      if now - state.drawnAt >= interval { draw(&state, now) }
    }
  }

  private static func draw(_ state: inout State, _ now: Int64) {
    guard let command = state.command, now - command.startedAt >= patience else { return }
    state.drawnAt = now
    let line = text(state, command.name, elapsed: now - command.startedAt, now).prefix(columns)
    let rest = String(repeating: " ", count: max(0, state.width - line.count))
    Console.rawWrite("\r\(line)\(rest)")
    state.width = max(line.count, state.width)
  }

  private static func text(_ state: State, _ name: String, elapsed: Int64, _ now: Int64) -> String {
    if let (bar, startedAt) = state.bar, bar.done < bar.total {
      return bar.line(
        elapsed: now - startedAt, columns: columns, isUnicode: Console.localeIsUnicode)
    }
    let counts = Act.allCases.compactMap { act in state.counts[act].map { "\($0) \(act)" } }
    let time = humanDuration(milliseconds: elapsed / 1000 * 1000)
    return "\(name)  "
      + (counts.isEmpty ? "" : "objects: " + counts.joined(separator: ", ") + "  ") + time
  }
}
