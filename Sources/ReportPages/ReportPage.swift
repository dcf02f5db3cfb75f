package import BackupTypes
import Codec
package import HistoryLogic

/// One self-contained HTML page that draws the history of the backups of a Redis: `report`, and the page of a
/// running sidecar.
///
/// It loads nothing: style, script and drawings are inside, and its policy lets the browser fetch nothing
/// but, on a live page, the sidecar's own state. Without the script everything can be read; only choosing
/// an instant, copying and the live figures need it.
package struct ReportPage: Sendable {
  /// nil on a live page that has not read the repository yet.
  package var chronicle: Chronicle?
  package var command: RestoreCommand
  /// nil for a page that was made from the repository alone.
  package var live: LiveView?
  package var now: Instant
  package var version: String

  package init(
    chronicle: Chronicle?, command: RestoreCommand, live: LiveView? = nil, now: Instant,
    version: String
  ) {
    self.chronicle = chronicle
    self.command = command
    // Whether the repository is encrypted is taken from the repository itself, not from whether a key was
    // given.
    if let chronicle { self.command.isEncrypted = chronicle.cipher != "none" }
    self.live = live
    self.now = now
    self.version = version
  }

  package var bytes: [UInt8] { Array(html.text.utf8) }

  var html: HTML {
    let (style, script) = (PageStyle.text, PageScript.text)
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="\(policy(style, script))">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta name="referrer" content="no-referrer">
      <title>\(title)</title>
      <link rel="icon" href="data:,">
      <style>\(ours: style)</style>
      \(refresh)</head>
      <body>
      <a class="skip" href="#main">To the content</a>
      \(Drawing.symbols)
      \(header)
      <main id="main">
      \(alerts)
      \(content)
      </main>
      \(footer)
      <script type="application/json" id="data">\(ours: ScriptData(page: self).text)</script>
      <script>\(ours: script)</script>
      </body>
      </html>

      """
  }

  private func policy(_ style: String, _ script: String) -> String {
    func hash(_ text: String) -> String {
      "'sha256-" + base64(SHA256Hasher.digest(of: Array(text.utf8)).bytes) + "'"
    }
    return
      "default-src 'none'; style-src \(hash(style)); script-src \(hash(script)); img-src data:; "
      + "connect-src \(live == nil ? "'none'" : "'self'"); base-uri 'none'; form-action 'none'"
  }

  private var source: String? { live?.source ?? chronicle?.timelines.last?.source }
  private var title: String { (source.map { $0 + ": " } ?? "") + "backups, by Lifeboat" }

  /// Makes the browser reload a page without data, in case the script does not run.
  private var refresh: HTML {
    guard live != nil, chronicle == nil else { return "" }
    return "<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>\n"
  }

  private var header: HTML {
    var facts: HTML = "<code>\(chronicle?.location ?? command.repository)</code>"
    if let chronicle {
      facts += chronicle.cipher == "none" ? "" : " <span>encrypted (\(chronicle.cipher))</span>"
      facts += " <span>repository <code>\(chronicle.repository.prefix(8))</code></span>"
    }
    let again: HTML = live == nil || chronicle == nil ? "" : "; <a href=\"\">read again</a>"
    let read = chronicle.map { "state of the repository at \(moment($0.readAt))" as HTML }
    return """
      <header><div class="brand"><h1>\(source ?? "Backups")</h1>\
      <p class="kind">\(live == nil ? "Lifeboat report" : "Lifeboat, live")</p></div>\
      <p class="facts">\(facts)</p><p class="facts">\(read ?? "not read yet")\(again). All times are UTC.</p>\
      </header>
      """
  }

  private var content: HTML {
    guard let chronicle else { return cards + reading }
    if chronicle.span == nil {
      return cards + nothing(chronicle) + ReportTables(chronicle, command).html
    }
    return cards + windows(chronicle) + RestoreChooser(chronicle, command).html
      + ReportPlots(chronicle).html + ReportTables(chronicle, command).html
  }

  /// For a live page without data.
  private var reading: HTML {
    let words: HTML
    if live?.storeAwaySince != nil {
      words =
        "The store is unavailable, so there is nothing to show yet. Lifeboat retries while this page is open."
    } else if live?.isAbsent == true {
      words = "There is no backup at <code>\(command.repository)</code> yet."
    } else if live?.problem != nil {
      words = "The repository could not be read yet. Lifeboat retries while this page is open."
    } else {
      words = "Reading the repository; this page will show it in a moment."
    }
    return """
      <section aria-labelledby="reading"><h2 id="reading">Recovery windows</h2>\
      <p id="waiting">\(words)</p></section>
      """
  }

  private func nothing(_ chronicle: Chronicle) -> HTML {
    let words: HTML =
      chronicle.recordsUnreadable > 0
      ? "No restore point can be shown: records can't be read. <code>lifeboat verify</code> says what is wrong."
      : """
      There is no restore point in this repository yet. There is one when the first full copy is \
      durable. <code>lifeboat status</code> and the sidecar's log say what it waits for.
      """
    return """
      <section aria-labelledby="nothing"><h2 id="nothing">Recovery windows</h2><p>\(words)</p></section>
      """
  }

  private func windows(_ chronicle: Chronicle) -> HTML {
    let (whole, day) = ReportPage.axes(chronicle, now: live == nil ? chronicle.readAt : now)
    var drawings: HTML = ""
    if let day {
      drawings += """
        <h3>The last 24 hours (UTC)</h3>\
        \(WindowChart(chronicle: chronicle, axis: day, name: "day", title: "Recovery windows of the last 24 hours").html)\
        <h3>From the beginning (UTC)</h3>
        """
    }
    drawings +=
      WindowChart(
        chronicle: chronicle, axis: whole, name: "all", title: "Recovery windows from the beginning"
      ).html
    return """
      <section aria-labelledby="windows"><h2 id="windows">Recovery windows</h2>\
      <p class="hint script">Click a chart to choose an instant.</p>\
      <figure class="wide">\(drawings)\(legend(chronicle))</figure>\
      \(ReportTables(chronicle, command).gaps)</section>
      """
  }

  /// The axis from the first restore point to now, and one for the last day if that would be too narrow to
  /// see.
  static func axes(_ chronicle: Chronicle, now: Instant) -> (whole: TimeAxis, day: TimeAxis?) {
    let day: Int64 = 86_400_000
    let span = chronicle.span ?? (now, now)
    // A clock that was wrong must not stretch the drawing into the far future.
    let latest = min(max(span.to, now), now.advanced(byMilliseconds: day))
    let first = min(span.from, latest)
    // A margin, so that points at the ends are visible.
    let margin = latest.since(first) / 64
    let whole = TimeAxis(
      from: first.advanced(byMilliseconds: -margin), to: latest.advanced(byMilliseconds: margin))
    guard whole.length > day * 3 / 2 else { return (whole, nil) }
    // Long after the last restore point, the day before it is shown.
    let end =
      now.since(span.to) > day ? min(span.to.advanced(byMilliseconds: day / 12), latest) : latest
    return (
      whole,
      TimeAxis(
        from: end.advanced(byMilliseconds: -day), to: end.advanced(byMilliseconds: day / 64))
    )
  }

  private func legend(_ chronicle: Chronicle) -> HTML {
    func key(_ shape: HTML, _ words: HTML) -> HTML {
      "<li><svg width=\"26\" height=\"22\" aria-hidden=\"true\">\(shape)</svg> <span>\(words)</span></li>"
    }
    var keys: HTML = ""
    if !chronicle.presentWindows.isEmpty {
      keys += key(
        "<rect class=\"window\" x=\"1\" y=\"3\" width=\"24\" height=\"16\"/>",
        "recovery window: any instant can be restored, including times when nothing was written"
      )
    }
    let kinds = Set(chronicle.gaps.map(\.kind))
    for kind in Chronicle.Gap.Kind.allCases where kinds.contains(kind) {
      keys += key(
        "<rect class=\"gap-\(kind.rawValue)\" x=\"1\" y=\"3\" width=\"24\" height=\"16\"/>",
        "\(kind.sentence)")
    }
    if chronicle.timelines.contains(where: { !$0.points.isEmpty }) {
      keys += key(
        "<circle class=\"point\" cx=\"13\" cy=\"11\" r=\"4.5\"/>", "full copy: this instant only"
      )
    }
    if !chronicle.abandonedWindows.isEmpty {
      keys += key(
        "<rect class=\"abandoned\" x=\"1\" y=\"3\" width=\"24\" height=\"16\"/>",
        "abandoned branch: a later start continued from an earlier point; restore it with <code>--timeline</code>"
      )
    }
    return """
      <figcaption><ul class="legend">\(keys)</ul><p class="note">A gap after the last window does not mean \
      that data is lost: nothing newer was uploaded, because nothing was written or because no shipper ran. \
      The chart is drawn from object names and can be off by the length of one object; a restore reads the \
      log and is exact.</p></figcaption>
      """
  }

  private var footer: HTML {
    """
    <footer><p>Created by lifeboat \(version) at <span>\(moment(now))</span> UTC. It contains names, times and \
    sizes, but no keys and no values of Redis.</p></footer>
    """
  }
}
