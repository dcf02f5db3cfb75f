import BackupTypes
package import HistoryLogic

/// The fleet as text: one row per repository. Those that need somebody come first.
extension Fleet {
  private static let width = 80

  package var text: String {
    let busy = rows.count { $0.needsPerson }
    var text = "\(counted(repositories, "repository", "repositories")) below \(location)"
    text += busy == 0 ? "\n" : ", \(busy) needing attention\n"
    if leftOut > 0 {
      text += "and \(counted(leftOut, "more place")) not searched: use a longer prefix\n"
    }
    guard !rows.isEmpty else { return text }
    text += "\n  state         age         history     size        drill     repository (source)\n"
    for row in rows { text += row.line + "\n" + row.details(width: Fleet.width) }
    return text
  }
}

extension FleetRow {
  fileprivate var line: String {
    func cell(_ text: String, _ width: Int) -> String {
      text + String(repeating: " ", count: max(1, width - text.count))
    }
    func ago(_ seconds: Int64?) -> String {
      seconds.map { short(seconds: $0) } ?? "-"
    }
    let from = recoverableFrom.flatMap { try? Instant(parsing: $0, now: Instant(milliseconds: 0)) }
    let newest = newestInstant.flatMap { try? Instant(parsing: $0, now: Instant(milliseconds: 0)) }
    let since = from.flatMap { from in newest.map { ($0.since(from)) / 1000 + (ageSeconds ?? 0) } }
    let drill = lastDrill.map { $0.isPassed ? "passed" : "FAILED" } ?? "none"
    var line = "  " + cell(state.rawValue, 14) + cell(ago(ageSeconds), 12) + cell(ago(since), 12)
    line += cell(bytes.map { humanBytes($0) } ?? "-", 12) + cell(drill, 10) + name
    if let source { line += " (\(printable(source, limit: 200)))" }
    return line
  }

  /// `5 min`, `3 h`, `12 d`.
  private func short(seconds: Int64) -> String {
    switch seconds {
    case ..<60: "\(seconds) s"
    case ..<3600: "\(seconds / 60) min"
    case ..<86_400: "\(seconds / 3600) h"
    default: "\(seconds / 86_400) d"
    }
  }

  fileprivate func details(width: Int) -> String {
    guard let problem else { return "" }
    // A problem may be one or more whole sentences.
    let joint = problem.hasSuffix(".") ? " " : ". "
    let words = problem + (remedy.map { joint + $0.prefix(1).uppercased() + $0.dropFirst() } ?? "")
    return wrapped(printable(words, limit: 400), width: width - 4).split(separator: "\n")
      .map { "    \($0)\n" }.joined()
  }
}
