import BackupTypes

/// A plot over time: bars or dots, a scale, and the same numbers as a table.
struct Plot {
  enum Shape { case bars, dots }
  struct Value {
    var at: Instant
    var value: Double
    var isMarked = false
  }
  var name: String
  var title: String
  /// The label of the vertical axis.
  var scaleWords: String
  var shape: Shape
  var values: [Value]
  /// The time that a bar stands for, in milliseconds.
  var width: Int64 = 0
  var axis: TimeAxis
  /// Formats a value for people.
  var format: (Double) -> String
  /// For values that grow by powers of ten, as a lag does: the scale is logarithmic, with lines at these
  /// values. Empty: it is linear.
  var decades: [Double] = []
  private var isLogarithmic: Bool { !decades.isEmpty }

  private static let height = 120
  private static let top = 8

  var html: HTML {
    guard let largest = values.map(\.value).max() else {
      return """
        <figure class="plot"><figcaption>\(title)</figcaption><p class="none">Nothing to show yet.</p>\
        </figure>
        """
    }
    let summary = "\(title): from \(format(values.map(\.value).min() ?? 0)) to \(format(largest))"
    return """
      <figure class="plot"><figcaption>\(title)<span class="axes">Vertical: \(scaleWords), \
      \(isLogarithmic ? "logarithmic" : "linear") scale. Horizontal: time (UTC).</span></figcaption>\
      <svg class="chart" width="100%" height="\(Plot.height + 30)" role="img" \
      aria-label="\(summary)">\(scale(largest))\(shapes(largest))</svg>\(table)</figure>
      """
  }

  /// The lines, and their labels in the margin, where nothing is plotted.
  private func scale(_ largest: Double) -> HTML {
    let base = Plot.top + Plot.height
    var body = Drawing.ticks(axis, atMost: 6, height: base, hasMargin: true)
    body += "<line class=\"base\" x1=\"0\" x2=\"100%\" y1=\"\(base)\" y2=\"\(base)\"/>"
    for value in lines(largest) {
      let y = base - Int((Double(Plot.height) * share(value, largest)).rounded())
      body += """
        <line class="grid" x1="0" x2="100%" y1="\(y)" y2="\(y)"/>\
        <text class="scale" x="-6" y="\(y + 4)" text-anchor="end">\(format(value))</text>
        """
    }
    return body
  }

  /// The values with a line: the largest one, and below it as many as there is room for labels.
  private func lines(_ largest: Double) -> [Double] {
    guard isLogarithmic else {
      // These are counts and bytes: the label of a line is the line's own value.
      let half = (largest / 2).rounded(.down)
      return half < largest ? [largest, half] : [largest]
    }
    var shown = [largest]
    for value in decades.reversed() where value < largest {
      let distance = share(shown[shown.count - 1], largest) - share(value, largest)
      if distance * Double(Plot.height) >= 18 { shown.append(value) }
    }
    return shown
  }

  /// 0 to 1.
  private func share(_ value: Double, _ largest: Double) -> Double {
    guard largest > 0 else { return 0 }
    return isLogarithmic ? Plot.logarithm(value + 1) / Plot.logarithm(largest + 1) : value / largest
  }

  /// The logarithm to the base of two, linear between the powers. More precision would not be visible, and
  /// would need a library.
  private static func logarithm(_ value: Double) -> Double {
    guard value >= 1, value.isFinite else { return 0 }
    return Double(value.exponent) + value.significand - 1
  }

  private func shapes(_ largest: Double) -> HTML {
    let base = Plot.top + Plot.height
    var body: HTML = ""
    for value in values {
      let height = max(1.5, Double(Plot.height) * share(value.value, largest))
      let y = TimeAxis.tenths(Double(base) - height)
      let words: HTML = "<title>\(value.at): \(format(value.value))</title>"
      switch shape {
      case .bars:
        let end = value.at.advanced(byMilliseconds: width)
        let span = max(0.002, axis.fraction(end) - axis.fraction(value.at))
        body += """
          <rect class="bar" x="\(axis.percent(value.at))" y="\(y)" \
          width="\(TimeAxis.percent(span))" height="\(TimeAxis.tenths(height))">\(words)</rect>
          """
      case .dots:
        // Two shapes: a BASE is a square, a dump a circle.
        if value.isMarked {
          body += """
            <svg x="\(axis.percent(value.at))" y="\(y)" overflow="visible">\
            <rect class="dot" x="-4" y="-4" width="8" height="8">\(words)</rect></svg>
            """
        } else {
          body += """
            <circle class="dot" cx="\(axis.percent(value.at))" cy="\(y)" r="4">\(words)</circle>
            """
        }
      }
    }
    return body
  }

  /// Only the newest rows are in the table; the drawing shows the others.
  private static let rowsMax = 60

  private var table: HTML {
    var rows: HTML = ""
    for value in values.suffix(Plot.rowsMax).reversed() {
      rows += "<tr><td>\(moment(value.at))</td><td class=\"n\">\(format(value.value))</td></tr>"
    }
    let more = values.count - Plot.rowsMax
    return """
      <details><summary>As a table</summary><div class="scroll" tabindex="0" role="region" \
      aria-label="\(title)"><table><thead><tr><th scope="col">Time (UTC)</th>\
      <th scope="col" class="n">Value</th></tr></thead><tbody>\(rows)</tbody></table></div>\
      \(more > 0 ? "<p class=\"note\">and \(counted(more, "older one"))</p>" as HTML : "")</details>
      """
  }
}

extension TimeAxis {
  static func tenths(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return "\(tenths / 10).\(abs(tenths % 10))"
  }
}

/// A time for people and for machines.
func moment(_ instant: Instant) -> HTML {
  let text = instant.description
  var shown = text.replacing("T", with: " ").replacing("Z", with: "")
  if let dot = shown.firstIndex(of: ".") { shown = String(shown[..<dot]) }
  return "<time datetime=\"\(text)\">\(shown)</time>"
}
