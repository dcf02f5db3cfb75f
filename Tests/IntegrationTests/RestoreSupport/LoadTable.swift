import TestSupport

/// The table "What loads" of docs/restore.md. The tests read it there, so the two can't differ.
struct LoadTable {
  enum Loads: String {
    case all, older
    /// The server loads nothing, and the restore has warned about that.
    case empty = "EMPTY, warned"
    case nothing = "-"
  }
  struct Row {
    var servers: String
    var point: String
    var flag: String
    var exit: Int32
    var withYes: Loads
    var withNo: Loads
  }
  let rows: [Row]

  static func read() throws -> LoadTable {
    let text = try TestFiles.text(Checkout.root + "/docs/restore.md")
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    guard let start = lines.firstIndex(of: "## What loads") else {
      throw HarnessError("docs/restore.md has no section \"What loads\"")
    }
    var rows: [Row] = []
    for line in lines[(start + 1)...].prefix(while: { !$0.hasPrefix("## ") })
    where line.hasPrefix("|") {
      let cells = line.split(separator: "|").map { cell in
        String(cell.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
      }
      if cells.first == "Servers" || cells.first?.hasPrefix("-") ?? true { continue }
      guard cells.count == 6, let exit = Int32(cells[3]), let yes = Loads(rawValue: cells[4]),
        let no = Loads(rawValue: cells[5])
      else { throw HarnessError("docs/restore.md: a row can't be read: \(line)") }
      rows.append(
        Row(
          servers: cells[0], point: cells[1], flag: cells[2], exit: exit, withYes: yes, withNo: no))
    }
    return LoadTable(rows: rows)
  }

  func row(_ version: ServerVersion, _ point: String, flag: String) throws -> Row {
    let servers = version.hasMultiPartAOF ? "Redis 7+, Valkey" : "Redis 6"
    let found = rows.filter { $0.servers == servers && $0.point == point && $0.flag == flag }
    guard found.count == 1 else {
      throw HarnessError("\(found.count) rows for \(servers), \(point), \(flag)")
    }
    return found[0]
  }
}
