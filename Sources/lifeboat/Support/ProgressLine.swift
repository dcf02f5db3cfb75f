import Synchronization
import SystemIO

/// One line on a terminal that shows the progress of a command whose end is unknown; nothing if standard
/// error is not a terminal.
final class ProgressLine: Sendable {
  private let isOn = Console.errorIsTerminal
  private let last = Mutex<(at: Int64, width: Int)>((0, 0))

  func show(_ text: String) {
    guard isOn else { return }
    let now = SystemClock.monotonicMilliseconds()
    last.withLock { last in
      guard now - last.at >= 100 else { return }
      write(text, over: last.width)
      last = (now, text.count)
    }
  }

  /// Removes the line.
  func end() {
    guard isOn else { return }
    last.withLock { last in
      if last.width > 0 { write("", over: last.width) }
      last = (0, 0)
    }
  }

  private func write(_ text: String, over width: Int) {
    let rest = String(repeating: " ", count: max(0, width - text.count))
    Console.write("\r\(text)\(rest)" + (text.isEmpty ? "\r" : ""), toError: true)
  }
}
