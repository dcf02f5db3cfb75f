import BackupTypes
import HistoryLogic

/// The drawing of recovery windows: time from left to right, one lane below the other. All positions are
/// percentages, so that it fits a phone and a wall without becoming illegible.
struct WindowChart {
  let chronicle: Chronicle
  let axis: TimeAxis
  /// Distinguishes the drawings of one page.
  let name: String
  let title: String

  private static let laneHeight = 46
  /// Anything narrower is invisible. A smaller gap is in the table.
  private static let finest = 0.0012

  struct Lane {
    var label: String
    var body: HTML
  }

  var html: HTML {
    let lanes = lanes
    let height = lanes.count * WindowChart.laneHeight + 26
    var body: HTML = ""
    body += Drawing.ticks(axis, atMost: 7, height: height - 22)
    for (index, lane) in lanes.enumerated() {
      let top = index * WindowChart.laneHeight
      body +=
        "<svg y=\"\(top)\" width=\"100%\" height=\"\(WindowChart.laneHeight)\" class=\"lane\"><text x=\"0\" y=\"13\" class=\"lane-name\">\(lane.label)</text>\(lane.body)</svg>"
    }
    body += "<line class=\"cursor\" x1=\"-1%\" x2=\"-1%\" y1=\"0\" y2=\"\(height - 22)\"/>"
    return """
      <svg class="chart times" id="\(name)" width="100%" height="\(height)" role="img" \
      aria-labelledby="\(name)-title" data-from="\(axis.from.milliseconds)" \
      data-to="\(axis.to.milliseconds)"><title id="\(name)-title">\(title)</title>\(body)</svg>
      """
  }

  private var lanes: [Lane] {
    var lanes = [Lane(label: "Recovery windows", body: history)]
    let abandoned = abandoned
    if abandoned != "" { lanes.append(Lane(label: "Abandoned branches", body: abandoned)) }
    for kind in [
      Chronicle.Event.Kind.claim, .rewrite, .destructive, .drop, .suspect, .quarantine, .pin,
      .drill,
    ] {
      let body = marks(kind)
      if body != "" { lanes.append(Lane(label: kind.plural, body: body)) }
    }
    return lanes
  }

  private var history: HTML {
    var body: HTML = "<line class=\"base\" x1=\"0\" x2=\"100%\" y1=\"31\" y2=\"31\"/>"
    for gap in chronicle.gaps where gap.to >= axis.from && gap.from <= axis.to {
      let isWide = axis.fraction(gap.to) - axis.fraction(gap.from) > WindowChart.finest
      // If a gap is too narrow to see, it is drawn only if something went wrong.
      guard isWide || gap.kind == .unreadable else { continue }
      let words = "\(gap.kind.sentence), \(gap.from) to \(gap.to)"
      body += bar("gap-\(gap.kind.rawValue)", gap.from, gap.to, words)
    }
    var merged = WindowUnion()
    let pixel = Int64(Double(axis.length) * WindowChart.finest)
    for window in chronicle.presentWindows where window.to >= axis.from && window.from <= axis.to {
      // Windows are joined if the gap between them would be invisible.
      merged.add(window.from, window.to.advanced(byMilliseconds: pixel))
    }
    for span in merged.spans {
      let to = span.to.advanced(byMilliseconds: -pixel)
      body += bar("window", span.from, to, "recovery window, \(span.from) to \(to)")
    }
    let points = chronicle.timelines.flatMap(\.points).filter { axis.contains($0.at) }
    for point in Drawing.thinned(points, axis, \.at) {
      body += """
        <circle class="point" cx="\(axis.percent(point.at))" cy="31" r="4.5"><title>\
        full copy \(point.id) of \(point.at)</title></circle>
        """
    }
    return body
  }

  private var abandoned: HTML {
    var body: HTML = ""
    for (timeline, window) in chronicle.abandonedWindows
    where window.to >= axis.from && window.from <= axis.to {
      body += bar(
        "abandoned", window.from, window.to,
        "abandoned branch of timeline \(timeline), \(window.from) to \(window.to)")
    }
    return body
  }

  private func bar(_ kind: String, _ from: Instant, _ to: Instant, _ title: String) -> HTML {
    let start = axis.fraction(from)
    let width = max(WindowChart.finest * 2, axis.fraction(to) - start)
    return """
      <rect class="\(kind)" x="\(TimeAxis.percent(min(start, 1 - WindowChart.finest * 2)))" y="21" \
      width="\(TimeAxis.percent(width))" height="20"><title>\(title)</title></rect>
      """
  }

  private func marks(_ kind: Chronicle.Event.Kind) -> HTML {
    let events = chronicle.events.filter { $0.kind == kind && axis.contains($0.at) }
    var body: HTML = ""
    for event in Drawing.thinned(events, axis, \.at) {
      body += """
        <a href="\(event.link)" tabindex="-1"><use href="#mark-\(kind.rawValue)" \
        x="\(axis.percent(event.at))" y="31"/><title>\(kind.name), \(event.at): \(event.words.prefix(120))\
        </title></a>
        """
    }
    return body
  }
}

/// The common parts of all drawings.
enum Drawing {
  /// If items would overlap, keeps only the last one. A few hundred remain at most.
  static func thinned<Item>(_ items: [Item], _ axis: TimeAxis, _ time: (Item) -> Instant) -> [Item]
  {
    var byColumn: [Int: Item] = [:]
    for item in items { byColumn[Int(axis.fraction(time(item)) * 400)] = item }
    return byColumn.sorted { $0.key < $1.key }.map(\.value)
  }

  /// A line and a date for each tick. A narrow screen has no room for every date, and shows every second.
  ///
  /// - Parameter hasMargin: there is room on the left of the axis, for half of the first date.
  static func ticks(
    _ axis: TimeAxis, atMost count: Int, height: Int, hasMargin: Bool = false
  ) -> HTML {
    let ticks = axis.ticks(atMost: count)
    var body: HTML = ""
    for (index, tick) in ticks.enumerated() {
      let place = axis.fraction(tick.at)
      let anchor = place < 0.08 && !hasMargin ? "start" : place > 0.92 ? "end" : "middle"
      let x = axis.percent(tick.at)
      let kind = ticks.count > 3 && index % 2 == 1 ? "tick alternate" : "tick"
      body += """
        <line class="grid" x1="\(x)" x2="\(x)" y1="0" y2="\(height)"/>\
        <text class="\(kind)" x="\(x)" y="\(height + 17)" text-anchor="\(anchor)">\(tick.label)</text>
        """
    }
    return body
  }

  /// The symbols of events, centred on their position. Each has its own shape, not just its own colour.
  static let symbols: HTML = """
    <svg width="0" height="0" aria-hidden="true" class="symbols"><defs>\
    <g id="mark-claim" class="m-claim"><rect x="-6" y="-9" width="12" height="18" class="hit"/>\
    <path d="M0-9V9"/></g>\
    <g id="mark-rewrite" class="m-rewrite"><rect x="-5" y="-5" width="10" height="10"/></g>\
    <g id="mark-destructive" class="m-destructive"><rect x="-9" y="-9" width="18" height="18" class="hit"/>\
    <path d="M-6-6 6 6M6-6-6 6"/></g>\
    <g id="mark-drop" class="m-destructive"><rect x="-9" y="-9" width="18" height="18" class="hit"/>\
    <path d="M-6-5 0 5 6-5"/></g>\
    <g id="mark-suspect" class="m-suspect"><path d="M0-8 8 7H-8Z"/><path class="sign" d="M0-3V2M0 4V5"/></g>\
    <g id="mark-quarantine" class="m-quarantine"><path d="M0-8 8 0 0 8-8 0Z"/></g>\
    <g id="mark-pin" class="m-pin"><circle cy="-3" r="5"/><path d="M0 2V9"/></g>\
    <g id="mark-drill" class="m-drill"><circle r="8"/><path d="M-4 0-1 3 4-3"/></g>\
    <g id="mark-end" class="m-end"><path d="M-6 0H5M5-7V7"/></g>\
    </defs></svg>
    """
}
