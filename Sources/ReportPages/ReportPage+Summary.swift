import BackupTypes
import HistoryLogic

/// The first part of the page: problems, and the most important figures.
extension ReportPage {
  var alerts: HTML {
    var alerts: HTML = ""
    func add(_ kind: String, _ title: String, _ words: HTML) {
      alerts +=
        "<div class=\"alert \(kind)\" role=\"note\"><strong>\(title)</strong> <span>\(words)</span></div>"
    }
    if live != nil {
      alerts += """
        <div id="away" class="alert bad" role="status"\(live?.storeAwaySince == nil ? " hidden" : "" as HTML)>\
        <strong>The store is unavailable (<span id="away-words">\(live?.storeProblem ?? "")</span>).</strong> \
        <span>Since <span id="away-since">\(live?.storeAwaySince ?? "")</span>. <code>lifeboat doctor</code> \
        says why. Shipping continues when it is available again.\
        \(chronicle == nil ? "" : " The charts show what was read before." as HTML)</span></div>\
        <div id="problem" class="alert warn" role="status"\(isProblemShown ? "" : " hidden" as HTML)>\
        <strong>The repository could not be read for this page:</strong> <span id="problem-text">\
        \(live?.problem ?? "")</span></div>\
        <div id="silent" class="alert bad" role="status" hidden><strong>The sidecar does not answer.</strong> \
        <span>The figures are from <span id="silent-since"></span>.</span></div>\
        <div id="newer" class="alert info" role="status" hidden><strong>There is newer data.</strong> \
        <span><a href="" id="reload">Reload</a></span></div>
        """
    }
    guard let chronicle else {
      if live?.isAbsent == true, live?.storeAwaySince == nil {
        add(
          "warn", "There is no restore point yet.",
          "Nothing can be restored from this repository yet.")
      }
      return alerts
    }
    if let suspicion = chronicle.suspicion {
      add(
        "bad", "The newest state may be the result of an accident.",
        """
        Timeline \(suspicion.timeline): \(suspicion.detail). A restore that names no point stops and asks: \
        <code>--suspect before</code> restores the state before it (<a href="#point=\(suspicion.before)">\
        \(suspicion.before)</a>), <code>--suspect newest</code> this one. <code>lifeboat unpin</code> \
        <code>\(suspicion.pin)</code> accepts it permanently.
        """)
    }
    for removal in chronicle.removals.reversed() where removal.isOpen {
      let notice = chronicle.notice(removal, command)
      var remedies: HTML = ""
      for remedy in notice.remedies {
        remedies +=
          "<span class=\"remedy\">\(remedy.label): <code>\(HTML.command(remedy.command))</code></span>"
      }
      add("bad", notice.text, remedies)
    }
    if let drill = chronicle.lastDrill, !drill.isPassed {
      add("bad", "The last drill failed.", "\(drill.differences.first ?? "See its record.")")
    }
    let damaged = chronicle.events.count { $0.kind == .quarantine }
    if damaged > 0 {
      add(
        "warn", damaged == 1 ? "A full copy was found damaged." : "Full copies were found damaged.",
        "Restores avoid it. <code>lifeboat verify</code> says what is wrong.")
    }
    if chronicle.recordsUnreadable > 0 {
      add(
        "bad", "Records can't be read: \(chronicle.recordsUnreadable).",
        "This page does not include their content. <code>lifeboat verify</code> says what is wrong."
      )
    }
    if chronicle.span == nil, chronicle.recordsUnreadable == 0 {
      if live?.storeAwaySince == nil {
        add(
          "warn", "There is no restore point yet.",
          "Nothing can be restored from this repository yet.")
      } else {
        add("warn", "There was no restore point when the repository was read.", "")
      }
    }
    return alerts
  }

  /// The reason why the store can't be used is shown only once.
  private var isProblemShown: Bool { live?.problem != nil && live?.storeAwaySince == nil }

  var cards: HTML {
    var cards: HTML = ""
    func card(_ name: String, _ value: HTML, _ note: HTML = "", id: String? = nil) {
      let identity: HTML = id.map { " id=\"\($0)\"" } ?? ""
      cards += "<div class=\"card\"><dt>\(name)</dt><dd\(identity)>\(value)</dd>"
      cards += note == "" ? "</div>" : "<dd class=\"note\">\(note)</dd></div>"
    }
    if let live {
      card(
        "State",
        "<span class=\"state\" id=\"state\" data-state=\"\(live.state)\">\(live.state)</span>",
        "<span id=\"reason\">\(live.reason ?? "")</span>")
      card(
        "Lag", "<span id=\"lag\">\(live.isLagKnown ? duration(live.lagSeconds) : "unknown")</span>",
        """
        <span id="unshipped">\(humanBytes(live.unshippedBytes))</span> not backed up yet\
        <svg id="pulse" class="script" width="100%" height="28" aria-hidden="true"></svg>
        """)
    }
    if let chronicle {
      if let newest = chronicle.newest {
        let age = now.since(newest.at)
        card(
          "Newest restore point", moment(newest.at),
          "<code>\(newest.id)</code>, \(age < 0 ? "0 s" : humanDuration(milliseconds: age)) old")
      } else {
        card("Newest restore point", chronicle.recordsUnreadable > 0 ? "unknown" : "none")
      }
      if let span = chronicle.span {
        card(
          "Restorable since", moment(span.from),
          "\(humanDuration(milliseconds: span.to.since(span.from))) of history")
      }
      card(
        "Repository", "\(humanBytes(chronicle.bytes))",
        "\(counted(chronicle.objects, "object"))\(chronicle.foreignObjects > 0 ? ", and " + counted(chronicle.foreignObjects, "foreign one") : "")"
      )
      card(
        "Last drill", drillValue(chronicle.lastDrill),
        chronicle.lastDrill.map { moment($0.at) } ?? "<code>lifeboat verify --drill</code>")
      let pins = chronicle.events.count { $0.kind == .pin }
      if pins > 0 { card("Pins", "\(pins)", "kept until released or expired") }
    }
    return """
      <section aria-label="Figures"><dl class="cards">\(cards)</dl></section>
      """
  }

  private func drillValue(_ drill: Chronicle.LastDrill?) -> HTML {
    guard let drill else { return "never" }
    return drill.isPassed
      ? "passed in \(duration(drill.restoreSeconds + drill.loadSeconds))"
      : "<span class=\"failed\">failed</span>"
  }
}

/// Seconds for people.
func duration(_ seconds: Double) -> String {
  humanDuration(milliseconds: Int64(max(0, min(seconds, 1e12)) * 1000))
}
