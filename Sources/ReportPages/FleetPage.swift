import BackupTypes
import Codec
package import HistoryLogic

/// One self-contained HTML page for many repositories: `fleet --html`. It has no script and loads nothing.
package struct FleetPage: Sendable {
  package var fleet: Fleet
  package var version: String

  package init(fleet: Fleet, version: String) {
    self.fleet = fleet
    self.version = version
  }

  package var bytes: [UInt8] { Array(html.text.utf8) }

  var html: HTML {
    let style = PageStyle.text
    let digest = base64(SHA256Hasher.digest(of: Array(style.utf8)).bytes)
    return """
      <!doctype html>
      <html lang="en">
      <head>
      <meta charset="utf-8">
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-\(ours: digest)'; \
      img-src data:; base-uri 'none'; form-action 'none'">
      <meta name="viewport" content="width=device-width, initial-scale=1">
      <meta name="color-scheme" content="light dark">
      <meta name="referrer" content="no-referrer">
      <title>Backups of \(counted(fleet.repositories, "repository", "repositories")), by Lifeboat</title>
      <link rel="icon" href="data:,">
      <style>\(ours: style)</style>
      </head>
      <body>
      <header><div class="brand"><h1>Backups</h1><p class="kind">Lifeboat fleet</p></div>\
      <p class="facts"><code>\(fleet.location)</code></p>\
      <p class="facts">\(counted(fleet.repositories, "repository", "repositories")), read at \(moment(fleet.at)). \
      All times are UTC.</p></header>
      <main id="main">
      <section aria-labelledby="rows"><h2 id="rows">Repositories, the most urgent first</h2>\
      \(states)\(table)\(leftOut)</section>
      </main>
      <footer><p>Lifeboat \(version)</p></footer>
      </body>
      </html>

      """
  }

  private var states: HTML {
    var words: HTML = ""
    for state in FleetRow.State.allCases {
      guard let count = fleet.states[state.rawValue] else { continue }
      words += "<li>\(state.rawValue): \(count)</li>"
    }
    return "<ul class=\"legend\">\(words)</ul>"
  }

  private var leftOut: HTML {
    guard fleet.leftOut > 0 else { return "" }
    return "<p class=\"note\">\(counted(fleet.leftOut, "more place")) not searched.</p>"
  }

  private var table: HTML {
    let columns = [
      "State", "Repository", "Source", "Newest", "Age", "From", "Windows", "Size", "Last drill",
    ]
    var head: HTML = ""
    for column in columns { head += "<th scope=\"col\">\(column)</th>" }
    var body: HTML = ""
    for row in fleet.rows { body += self.row(row) }
    return """
      <div class="scroll" tabindex="0" role="region" aria-label="Repositories"><table class="stack"><thead><tr>\
      \(head)</tr></thead><tbody>\(body)</tbody></table></div>
      """
  }

  private func row(_ row: FleetRow) -> HTML {
    func cell(_ text: String?) -> HTML { "<td>\(text ?? "")</td>" }
    let isBad = row.exitCode != .success
    let state: HTML =
      isBad
      ? "<strong class=\"failed\">\(row.state.rawValue)</strong>" : "\(row.state.rawValue)"
    var words: HTML = ""
    if let problem = row.problem { words += "<span class=\"line\">\(problem)</span>" }
    if let remedy = row.remedy { words += "<span class=\"line note\">\(remedy)</span>" }
    let drill = row.lastDrill.map { drill -> HTML in
      "\(drill.isPassed ? "passed" : "failed") \(moment(drill.at))"
    }
    var cells: HTML = "<td>\(state)</td><td><code>\(row.name)</code>\(words)</td>"
    cells += cell(row.source) + cell(row.newestInstant)
    cells += cell(row.ageSeconds.map { humanDuration(milliseconds: $0 * 1000) })
    cells += cell(row.recoverableFrom) + cell(row.windows.map { "\($0)" })
    cells += cell(row.bytes.map { humanBytes($0) }) + "<td>\(drill ?? "")</td>"
    return "<tr>\(cells)</tr>"
  }
}
