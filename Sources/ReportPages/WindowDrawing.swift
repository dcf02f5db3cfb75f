import BackupTypes
package import HistoryLogic

/// The drawing of recovery windows for a terminal: a row for each timeline, and the events below them.
package struct WindowDrawing: Sendable {
  package enum Style: Sendable {
    case unicode, ascii
    var window: Character { self == .unicode ? "█" : "=" }
    var abandoned: Character { self == .unicode ? "░" : "-" }
    var point: Character { self == .unicode ? "●" : "o" }
    var axis: Character { self == .unicode ? "┴" : "+" }
    var line: Character { self == .unicode ? "─" : "-" }
  }

  private let chronicle: Chronicle
  private let style: Style
  private let columns: Int
  private let axis: TimeAxis
  /// The newest timelines: older rows scroll away.
  private static let rowsMax = 20
  private static let labelWidth = 14

  /// - Parameter width: the columns of the terminal. Returns nil if there is nothing to draw.
  package init?(_ chronicle: Chronicle, width: Int, style: Style) {
    guard let span = chronicle.span else { return nil }
    self.chronicle = chronicle
    self.style = style
    columns = max(20, min(width, 400) - WindowDrawing.labelWidth - 1)
    // Like the page, not stretched by a clock that was wrong.
    let limit = chronicle.readAt.advanced(byMilliseconds: 86_400_000)
    let marked = chronicle.events.lazy.filter { WindowDrawing.signs.map(\.0).contains($0.kind) }
    let latest = min(max(span.to, marked.map(\.at).filter { $0 <= limit }.max() ?? span.to), limit)
    axis = TimeAxis(from: min(span.from, latest), to: latest)
  }

  package var text: String {
    var lines = ["recovery windows, \(axis.from) to \(axis.to)"]
    let rows = rows
    let shown = rows.suffix(WindowDrawing.rowsMax)
    if chronicle.timelinesLeftOut + rows.count > shown.count {
      lines.append(line("earlier", earlier(rows.dropLast(shown.count))))
    }
    for timeline in shown { lines.append(line("timeline \(timeline.number)", row(timeline))) }
    for (kind, sign) in WindowDrawing.signs {
      let times = chronicle.events.filter { $0.kind == kind }.map(\.at)
      // The first claim is no restart.
      let marked = kind == .claim ? Array(times.dropFirst()) : times
      guard !marked.isEmpty else { continue }
      var cells = blank
      for time in marked where isAtAxis(time) { cells[column(time)] = sign }
      lines.append(line(WindowDrawing.label(kind), cells))
    }
    lines += axisLines
    lines += legend
    return lines.joined(separator: "\n") + "\n"
  }

  // MARK: Rows

  private static let signs: [(Chronicle.Event.Kind, Character)] = [
    (.claim, "|"), (.suspect, "?"), (.destructive, "x"), (.drop, "v"), (.pin, "P"),
  ]
  private static func label(_ kind: Chronicle.Event.Kind) -> String {
    switch kind {
    case .claim: "restarts"
    case .suspect: "suspect"
    case .destructive: "destructive"
    case .drop: "keys gone"
    default: "pins"
    }
  }

  private var rows: [Chronicle.Timeline] {
    chronicle.timelines.filter { !$0.windows.isEmpty || !$0.points.isEmpty }
  }
  /// Events less than a column before the beginning are drawn at the edge: a claim comes before the first
  /// byte that is shipped under it.
  private func isAtAxis(_ instant: Instant) -> Bool {
    let column = axis.length / Int64(columns)
    return instant <= axis.to && instant >= axis.from.advanced(byMilliseconds: -column)
  }
  private var blank: [Character] { Array(repeating: " ", count: columns) }
  private func column(_ instant: Instant) -> Int {
    min(columns - 1, Int(axis.fraction(instant) * Double(columns)))
  }

  private func row(_ timeline: Chronicle.Timeline) -> [Character] {
    var cells = blank
    // Windows of the present history are drawn over those of abandoned branches.
    for window in timeline.windows.sorted(by: { $0.isAbandoned && !$1.isAbandoned }) {
      fill(&cells, window, window.isAbandoned ? style.abandoned : style.window)
    }
    for point in timeline.points { cells[column(point.at)] = style.point }
    return cells
  }

  private func earlier(_ timelines: some Sequence<Chronicle.Timeline>) -> [Character] {
    var cells = blank
    for window in chronicle.earlier {
      fill(&cells, window, window.from == window.to ? style.point : style.window)
    }
    for timeline in timelines {
      for (index, cell) in row(timeline).enumerated() where cell != " " { cells[index] = cell }
    }
    return cells
  }

  private func fill(_ cells: inout [Character], _ window: Chronicle.Window, _ sign: Character) {
    for index in column(window.from)...max(column(window.from), column(window.to)) {
      cells[index] = sign
    }
  }

  private func line(_ label: String, _ cells: [Character]) -> String {
    var end = cells.count
    while end > 0, cells[end - 1] == " " { end -= 1 }
    return padded(label) + String(cells[..<end])
  }
  private func padded(_ label: String) -> String {
    "  " + label
      + String(repeating: " ", count: max(1, WindowDrawing.labelWidth - 2 - label.utf8.count))
  }

  // MARK: Below them

  private var axisLines: [String] {
    var ruler = Array(repeating: style.line, count: columns)
    var labels = blank
    var free = 0
    for tick in axis.ticks(atMost: max(2, columns / 12)) {
      let place = column(tick.at)
      ruler[place] = style.axis
      let start = min(max(0, place - tick.label.count / 2), columns - tick.label.count)
      guard start >= free else { continue }
      for (index, character) in tick.label.enumerated() { labels[start + index] = character }
      free = start + tick.label.count + 1
    }
    return [line("", ruler), line("(UTC)", labels)]
  }

  /// In as many lines as the width needs.
  private var legend: [String] {
    var keys: [String] = []
    if rows.contains(where: { $0.windows.contains { !$0.isAbandoned } }) {
      keys.append("\(style.window) every instant can be restored")
    }
    if rows.contains(where: { !$0.points.isEmpty }) {
      keys.append("\(style.point) a full copy, one instant")
    }
    if rows.contains(where: \.isAbandoned) {
      keys.append("\(style.abandoned) abandoned branch (--timeline)")
    }
    var lines: [String] = []
    for key in keys {
      if let last = lines.last,
        last.count + 3 + key.count <= columns + WindowDrawing.labelWidth
      {
        lines[lines.count - 1] += "   " + key
      } else {
        lines.append("  " + key)
      }
    }
    return lines
  }
}
