import BackupFormat
import BackupTypes
import HistoryLogic

/// Everything that is drawn, as tables.
struct ReportTables {
  let chronicle: Chronicle
  let command: RestoreCommand
  private static let rowsMax = 100

  init(_ chronicle: Chronicle, _ command: RestoreCommand) {
    self.chronicle = chronicle
    self.command = command
  }

  var html: HTML { events + timelines + generations + drill }

  // MARK: One table

  /// - Parameter isStacked: on a phone each row becomes a block of its own.
  private func table(
    _ label: String, _ columns: [String], _ rows: [[HTML]], isStacked: Bool = false
  ) -> HTML {
    var body: HTML = ""
    for row in rows {
      body += "<tr>"
      for cell in row { body += "<td>\(cell)</td>" }
      body += "</tr>"
    }
    let kind: HTML = isStacked ? " class=\"stack\"" : ""
    var head: HTML = ""
    for column in columns { head += "<th scope=\"col\">\(column)</th>" }
    return """
      <div class="scroll" tabindex="0" role="region" aria-label="\(label)"><table\(kind)><thead><tr>\(head)</tr>\
      </thead><tbody>\(body)</tbody></table></div>
      """
  }

  private func leftOut(_ count: Int, _ one: String, _ many: String) -> HTML {
    let words = counted(count, "older \(one) is", "older \(many) are")
    return count > 0 ? "<p class=\"note\">\(words) left out.</p>" : ""
  }

  // MARK: Gaps

  var gaps: HTML {
    let all = chronicle.gaps
    guard !all.isEmpty else {
      guard let span = chronicle.span, span.from < span.to else { return "" }
      return "<p class=\"note\">No gap between the first and the last restore point.</p>"
    }
    let shown = all.suffix(ReportTables.rowsMax).reversed()
    let rows = shown.map { gap -> [HTML] in
      [
        moment(gap.from), moment(gap.to),
        "\(humanDuration(milliseconds: gap.to.since(gap.from)))", "\(gap.kind.sentence)",
      ]
    }
    return """
      <details><summary>Gaps between restore points (\(all.count))</summary>\
      \(table("Gaps", ["From", "To", "Length", "What is known"], rows))\
      \(leftOut(all.count - shown.count, "gap", "gaps"))</details>
      """
  }

  // MARK: Events

  private var events: HTML {
    guard !chronicle.events.isEmpty else { return "" }
    // Important events must not be lost among rewrites and restarts.
    let loud = chronicle.events.filter { $0.kind.isLoud }
    let quiet = chronicle.events.filter { !$0.kind.isLoud }
    let left = chronicle.eventsLeftOut
    func count(_ isLoud: Bool) -> Int {
      left.filter { Chronicle.Event.Kind(rawValue: $0.key)?.isLoud == isLoud }.values.reduce(0, +)
    }
    var body: HTML = ""
    if loud.isEmpty {
      body += "<p class=\"note\">No destructive command, suspect start, pin or damaged copy.</p>"
    } else {
      body +=
        rows(loud, "Destructive commands, suspect starts, pins, damage")
        + leftOut(count(true), "event", "events")
    }
    if !quiet.isEmpty {
      body += """
        <details><summary>Starts, rewrites, drills and shutdowns (\(quiet.count))</summary>\
        \(rows(quiet, "Starts, rewrites, drills and shutdowns"))\(leftOut(count(false), "event", "events"))</details>
        """
    }
    return "<section aria-labelledby=\"events\"><h2 id=\"events\">Events</h2>\(body)</section>"
  }

  private func rows(_ events: [Chronicle.Event], _ label: String) -> HTML {
    let rows = events.suffix(3 * ReportTables.rowsMax).reversed().map { event -> [HTML] in
      let kind: HTML = """
        <span class="sign"><svg width="22" height="22" aria-hidden="true"><use \
        href="#mark-\(event.kind.rawValue)" x="11" y="11"/></svg>\(event.kind.name)</span>
        """
      let name = "\(event.kind.name), \(event.at)"
      let choose: HTML = """
        <a class="choose" href="\(event.link)" aria-label="Choose: \(name)">choose</a>
        """
      let line: HTML? = event.restore.map {
        "<code class=\"line\">\(HTML.command(command.line($0)))</code>"
      }
      let restore = choose + (line ?? "")
      return [moment(event.at), kind, "\(event.words)", restore]
    }
    return table(label, ["Time (UTC)", "Event", "What", "Restore"], rows, isStacked: true)
  }

  // MARK: Timelines and generations

  private var timelines: HTML {
    guard !chronicle.timelines.isEmpty else { return "" }
    let rows = chronicle.timelines.reversed().map { timeline -> [HTML] in
      let last = (timeline.windows.map(\.to) + timeline.points.map(\.at)).max()
      let first = (timeline.windows.map(\.from) + timeline.points.map(\.at)).min()
      var remarks: [String] = []
      if timeline.suspicion != nil { remarks.append("suspect start") }
      if timeline.isAbandoned { remarks.append("its end is an abandoned branch") }
      if timeline.isClosed { remarks.append("shut down cleanly") }
      if first == nil { remarks.append("no restore point of its own") }
      return [
        "\(timeline.number)", moment(timeline.claimedAt),
        "\(timeline.parent.map { "\($0)" } ?? "none")", first.map { moment($0) } ?? "",
        last.map { moment($0) } ?? "", "\(timeline.snapshots)",
        "\(remarks.joined(separator: ", "))",
        "\(timeline.source)",
      ]
    }
    return """
      <section aria-labelledby="timelines"><h2 id="timelines">Timelines</h2>\
      <details\(rows.count <= 5 ? " open" : "" as HTML)><summary>\(counted(rows.count, "timeline")), the newest first</summary>\
      \(table("Timelines", ["Number", "Claimed", "After", "First point", "Last point", "Snapshots", "Remarks", "Source"], rows))\
      \(leftOut(chronicle.timelinesLeftOut, "timeline", "timelines"))\(merged)</details></section>
      """
  }

  private var merged: HTML {
    guard chronicle.timelinesLeftOut > 0 else { return "" }
    return "<p class=\"note\">Their recovery windows are drawn, but not their smallest gaps.</p>"
  }

  private var generations: HTML {
    guard !chronicle.generations.isEmpty else { return "" }
    let shown = chronicle.generations.suffix(ReportTables.rowsMax).reversed()
    let rows = shown.map { one -> [HTML] in
      [
        moment(one.at), "\(one.kind == .base ? "BASE" : "dump")", "\(humanBytes(one.bytes))",
        one.keys.map { "\(grouped($0))" } ?? "not counted",
        one.elements.map { "\(grouped($0))" } ?? "", "\(one.server ?? "")",
        "\(one.isQuarantined ? "damaged" : one.isUnverified ? "unverified" : "good")",
        "<code>\(one.id.prefix(12))</code>",
      ]
    }
    let older = chronicle.generationsLeftOut + chronicle.generations.count - shown.count
    return """
      <section aria-labelledby="copies"><h2 id="copies">Full copies</h2>\
      <details\(rows.count <= 5 ? " open" : "" as HTML)><summary>\(counted(rows.count, "full copy", "full copies")), the newest first</summary>\
      \(table("Full copies", ["Content of", "Kind", "Size", "Keys", "Elements", "Server", "Check", "Id"], rows))\
      \(leftOut(older, "full copy", "full copies"))</details></section>
      """
  }

  private var drill: HTML {
    guard let drill = chronicle.lastDrill else { return "" }
    var rows: [[HTML]] = [
      ["Result", "\(drill.isPassed ? "passed" : "FAILED")"], ["Begun", moment(drill.at)],
      ["Restore point", "<code>\(drill.point)</code>"], ["Server", "\(drill.server)"],
      ["Restore time", "\(duration(drill.restoreSeconds))"],
      ["Load time", "\(duration(drill.loadSeconds))"],
      ["Restored", "\(humanBytes(drill.bytes))"], ["Values compared", "\(drill.values)"],
    ]
    if let keys = drill.keys { rows.append(["Keys", "\(grouped(keys))"]) }
    for difference in drill.differences { rows.append(["Difference", "\(difference)"]) }
    return """
      <section aria-labelledby="drill"><h2 id="drill">Last drill</h2>\
      \(table("Last drill", ["What", "Found"], rows))</section>
      """
  }
}

extension Chronicle.Event.Kind {
  /// Whether a person who was paged looks for this event.
  var isLoud: Bool {
    switch self {
    case .destructive, .drop, .suspect, .pin, .quarantine: true
    case .claim, .rewrite, .drill, .end: false
    }
  }
}
