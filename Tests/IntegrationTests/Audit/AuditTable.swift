import TestSupport

/// The table of expected verdicts in the decision record. The test reads it there, so the two can't differ.
struct AuditTable {
  struct Row: Sendable {
    var name: String
    var running: String
    var isShipped: Bool
    var restarted: String
    var once: Int32
    var words: String
    var cure: String
  }

  static func read() throws -> [Row] {
    let text = try TestFiles.text(Checkout.root + "/docs/decisions/0022-the-auditor.md")
    let lines = text.split(separator: "\n").drop { !$0.hasPrefix("| Row |") }.dropFirst(2)
    return try lines.prefix { $0.hasPrefix("|") }.map { line in
      let cells = line.split(separator: "|", omittingEmptySubsequences: false).map {
        String($0.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      }
      guard cells.count == 9, let once = Int32(cells[5]) else {
        throw HarnessError("a row can't be read: \(line)")
      }
      return Row(
        name: cells[1], running: cells[2], isShipped: cells[3] == "yes", restarted: cells[4],
        once: once, words: cells[6], cure: cells[7])
    }
  }
}
