/// The progress of a command, as one line on a terminal.
package struct ProgressBar: Sendable {
  package enum Unit: Sendable {
    case byte, object, record, repository

    /// "object", "objects".
    fileprivate func name(_ count: UInt64) -> String {
      switch self {
      case .byte: count == 1 ? "byte" : "bytes"
      case .object: count == 1 ? "object" : "objects"
      case .record: count == 1 ? "record" : "records"
      case .repository: count == 1 ? "repository" : "repositories"
      }
    }
  }

  /// What is being done: "restoring".
  package var label: String
  package var done: UInt64
  package var total: UInt64
  package var unit: Unit
  /// The amount that was done when the label appeared. The rate does not include it.
  package var begun: UInt64 = 0

  package init(_ label: String, _ done: UInt64, of total: UInt64, _ unit: Unit = .byte) {
    self.label = label
    self.done = min(done, total)
    self.total = total
    self.unit = unit
  }

  private static let widthMin = 6
  private static let widthMax = 24
  /// The longest remaining time that is shown, in seconds.
  private static let leftMax = 10.0 * 86_400

  /// "restoring ######------ 45 % 1.2 GiB of 2.7 GiB 85.0 MiB/s 18 s left": the bar, the amount that is done,
  /// the average rate and the remaining time. Without a rate, the line has the elapsed time instead.
  ///
  /// - Parameters:
  ///   - elapsed: the time since the label appeared, in milliseconds.
  ///   - columns: the maximum length of the line in characters.
  package func line(elapsed: Int64, columns: Int, isUnicode: Bool) -> String {
    let part = total == 0 ? 1 : Double(done) / Double(total)
    var facts = " \(Int(part * 100)) %  \(text(done)) of \(text(total))"
    if unit != .byte { facts += " " + unit.name(total) }
    let seconds = Double(elapsed) / 1000
    if seconds >= 1, done > begun {
      let rate = min(Double(done - begun) / seconds, 1e18)
      facts += "  \(unit == .byte ? humanBytes(UInt64(rate)) : "\(Int(rate.rounded(.up)))")/s"
      let left = (Double(total - done) / rate).rounded(.up)
      if done < total, left <= ProgressBar.leftMax {
        facts += "  \(humanDuration(milliseconds: Int64(left) * 1000)) left"
      }
    } else {
      facts += "  \(humanDuration(milliseconds: elapsed / 1000 * 1000))"
    }
    let room = columns - label.count - 1 - facts.count
    let width = min(ProgressBar.widthMax, max(ProgressBar.widthMin, room))
    let filled = Int(part * Double(width))
    let (full, empty) = isUnicode ? ("█", "░") : ("#", "-")
    let bar =
      String(repeating: full, count: filled) + String(repeating: empty, count: width - filled)
    return String("\(label) \(bar)\(facts)".prefix(columns))
  }

  private func text(_ count: UInt64) -> String {
    unit == .byte ? humanBytes(count) : "\(count)"
  }
}
