import BackupTypes
import Codec
import HistoryLogic
import Testing

@testable import ReportPages

/// The page as text. `ReportPageTests` of the integration tests check it in a browser.
@Suite struct PageTextTests {
  @Test func `nothing that a repository says becomes markup or script`() throws {
    let live = LiveView(
      state: "blocked", reason: Samples.hostile, source: Samples.hostile,
      storeAwaySince: Samples.hostile, problem: Samples.hostile)
    for page in [
      Samples.page(Samples.eventful(Samples.hostile)),
      Samples.page(Samples.eventful(Samples.hostile), live: live), Samples.page(nil, live: live),
    ] {
      #expect(!page.contains("<img") && !page.contains("<!--") && !page.contains("\u{202e}"))
      #expect(!page.contains("\u{0}"))
      #expect(page.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;&quot;&#39;"))
      #expect(
        page.components(of: "<script").count == 3 && page.components(of: "</script>").count == 3)
    }
  }

  @Test func `a command breaks between its words, and can still be copied`() {
    let made = HTML.command("lifeboat restore --repo 'a b' --point 1.2@1:0")
    #expect(
      made.text.contains("<span class=\"word\">--point</span> <span class=\"word\">1.2@1:0</span>"))
    var text = made.text
    for tag in ["<span class=\"word\">", "</span>"] { text = text.replacing(tag, with: "") }
    #expect(text == "lifeboat restore --repo &#39;a b&#39; --point 1.2@1:0")
  }

  @Test func `a repository's URL ends neither the data block nor the shell's word`() {
    let command = RestoreCommand(repository: "a'b</script>\u{2028}$(rm)", isEncrypted: true)
    #expect(
      command.line("--at x")
        == "lifeboat restore --repo 'a'\\''b</script>\u{2028}$(rm)' --at x"
        + " --encryption-key-file KEYFILE --data DIR")
    #expect(
      command.unpin("p1")
        == "lifeboat unpin --repo 'a'\\''b</script>\u{2028}$(rm)' --encryption-key-file KEYFILE p1")
    let page = ReportPage(
      chronicle: nil, command: command,
      live: LiveView(state: "active", source: "s"), now: Samples.now, version: "1")
    let data = ScriptData(page: page).text
    #expect(!data.contains("</") && !data.contains("\u{2028}"))
    #expect(data.contains("a'\\u005c''b\\u003c/script\\u003e\\u2028$(rm)"), "\(data)")
  }

  @Test func `the policy allows this style and this script, and no address but the sidecar's own`()
    throws
  {
    for live in [nil, LiveView(state: "active", source: "s")] {
      let page = Samples.page(Samples.eventful(), live: live)
      let policy = try #require(page.between("Content-Security-Policy\" content=\"", "\""))
      for (open, name) in [("<style>", "style-src"), ("<script>", "script-src")] {
        let body = try #require(page.between(open, open.replacing("<", with: "</")))
        let digest = base64(SHA256Hasher.digest(of: Array(body.utf8)).bytes)
        #expect(policy.contains("\(name) &#39;sha256-\(digest)&#39;"), "\(policy)")
      }
      #expect(policy.contains("default-src &#39;none&#39;"))
      let allowed = live == nil ? "none" : "self"
      #expect(policy.contains("connect-src &#39;\(allowed)&#39;"))
      for outside in ["http://", "https://", "//cdn", " src=", "@import", "url("] {
        #expect(!page.contains(outside), "\(outside)")
      }
      // A content security policy with digests refuses these.
      #expect(!page.contains(" style=\"") && !page.contains(" onclick"))
    }
  }

  @Test func `base64 is as others have it`() {
    for (text, encoded) in [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy"),
    ] {
      #expect(base64(Array(text.utf8)) == encoded)
    }
  }

  @Test func `every element that needs a name has one, and no identity is given twice`() throws {
    for chronicle in [Samples.chronicle(), Samples.eventful(), Samples.fullest()] {
      let page = Samples.page(chronicle, live: LiveView(state: "active", source: "s"))
      let identities = page.matches(of: #/ id="([^"]+)"/#).map { String($0.output.1) }
      #expect(Set(identities).count == identities.count)
      for match in page.matches(of: #/ (?:aria-labelledby|for)="([^"]+)"/#) {
        #expect(identities.contains(String(match.output.1)), "\(match.output.1)")
      }
      #expect(page.contains("<html lang=\"en\">") && page.contains("<main id=\"main\">"))
      #expect(page.matches(of: #/<h1>/#).count == 1)
      let drawings = page.matches(of: #/<svg class="chart[^>]*>/#).map { String($0.output) }
      for drawing in drawings {
        #expect(drawing.contains("role=\"img\" aria-label"), "\(drawing)")
      }
      #expect(page.components(of: "<details").count == page.components(of: "<summary").count)
    }
  }

  @Test func `tags are closed in the order in which they were opened`() throws {
    let single: Set<String> = ["meta", "link", "input", "br"]
    for page in [
      Samples.page(Samples.chronicle()), Samples.page(Samples.eventful()),
      Samples.page(nil, live: LiveView(state: "starting", source: "s")),
    ] {
      var open: [String] = []
      let body = page.between("<body>", "<script>") ?? ""
      for match in body.matches(of: #/<(\/?)([a-z0-9]+)[^>]*?(\/?)>/#) {
        let name = String(match.output.2)
        if !match.output.1.isEmpty {
          try #require(open.popLast() == name, "\(open)")
        } else if match.output.3.isEmpty, !single.contains(name) {
          open.append(name)
        }
      }
      #expect(open.isEmpty, "\(open)")
    }
  }

  @Test func `the fullest picture makes a page that a phone can load`() {
    let page = Samples.page(Samples.fullest())
    #expect(page.utf8.count < 2 << 20, "\(page.utf8.count) bytes")
  }

  @Test func `a page without a picture says so, and looks again also without its script`() {
    let page = Samples.page(nil, live: LiveView(state: "starting", source: "s", isReading: true))
    #expect(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"3\"></noscript>"))
    #expect(page.contains("Reading the repository"))
    #expect(!Samples.page(Samples.eventful()).contains("noscript"))
  }

  @Test
  func `the newest state that may be an accident is not what is restored without being asked`() {
    let page = Samples.page(Samples.eventful())
    #expect(
      page.contains("'/backups/redis' --suspect before --data DIR".replacing("'", with: "&#39;")))
    #expect(page.contains("The newest state may be the result of an accident."))
  }

  @Test(arguments: ["FLUSHALL", nil])
  func `what was removed comes with the command that undoes it, and is what is offered`(
    command: String?
  ) throws {
    let chronicle = Samples.flushed(command)
    let page = Samples.page(chronicle)
    let undo = Samples.command.line(try #require(chronicle.openRemoval?.restore))
    let shown = undo.replacing("'", with: "&#39;")
    let banner = try #require(page.between("class=\"alert bad\"", "</div>"))
    let text = banner.replacing("<span class=\"word\">", with: "").replacing("</span>", with: "")
    #expect(text.contains("undo: <code>\(shown)</code>"), "\(banner)")
    #expect(text.contains(command == nil ? "lifeboat inspect" : "lifeboat unpin"), "\(banner)")
    #expect(page.between("<code id=\"command\">", "</code>") == shown)
    #expect(page.contains("This restores the state before it."))
    let data = ScriptData(
      page: ReportPage(
        chronicle: chronicle, command: Samples.command, now: Samples.now, version: "1"))
    #expect(data.text.contains("\"unasked\":["))
    // After it was accepted, the newest state is offered again.
    var accepted = chronicle
    accepted.removals[0].isOpen = false
    #expect(
      Samples.page(accepted).between("<code id=\"command\">", "</code>")
        == Samples.command.line().replacing("'", with: "&#39;"))
  }

  @Test func `empty, denied and unreachable are each said once`() {
    func page(_ chronicle: Chronicle?, _ change: (inout LiveView) -> Void) -> String {
      var live = LiveView(state: "active", source: "s")
      change(&live)
      return Samples.page(chronicle, live: live)
    }
    func isHidden(_ id: String, _ page: String) -> Bool {
      page.between("<div id=\"\(id)\"", ">")?.contains(" hidden") == true
    }
    let noPoint = "There is no restore point yet."
    let denied = page(nil) {
      ($0.storeAwaySince, $0.storeProblem, $0.problem) = ("2026", "denied", "403")
    }
    #expect(!isHidden("away", denied) && isHidden("problem", denied))
    #expect(denied.contains("is unavailable, so there is nothing to show yet"))
    #expect(!denied.contains(noPoint) && !denied.contains("Reading the repository"))
    let absent = page(nil) { $0.isAbsent = true }
    #expect(absent.contains(noPoint) && absent.contains("There is no backup at"))
    #expect(isHidden("away", absent) && isHidden("problem", absent))
    #expect(!absent.contains("could not be read yet"))
    let unread = page(nil) { $0.problem = "damaged" }
    #expect(!isHidden("problem", unread) && unread.contains("could not be read yet"))
    #expect(!unread.contains(noPoint))
    let emptyAndAway = page(Samples.chronicle()) { $0.storeAwaySince = "2026" }
    #expect(!emptyAndAway.contains("Nothing can be restored from this repository yet"))
    var damaged = Samples.chronicle()
    damaged.recordsUnreadable = 2
    let broken = page(damaged) { _ in }
    #expect(!broken.contains(noPoint) && broken.contains("No restore point can be shown"))
    let starting = page(nil) { ($0.state, $0.isLagKnown) = ("starting", false) }
    #expect(starting.contains("id=\"lag\">unknown<"))
  }

  @Test func `axes say what they are, and have room for the newest marker`() {
    let page = Samples.page(Samples.eventful())
    #expect(page.contains("Vertical: longest lag, logarithmic scale. Horizontal: time (UTC)."))
    #expect(page.contains("Vertical: keys, linear scale."))
    #expect(page.contains(".chart,.lane{overflow:visible}"))
    let (whole, day) = ReportPage.axes(Samples.eventful(), now: Samples.now)
    for axis in [whole, day] {
      #expect(axis.map { $0.fraction(Samples.now) < 0.99 } == true)
    }
    #expect(!page.contains("datetime-local"))
    for days in 4...7 {
      let end = Samples.now
      let five = TimeAxis(
        from: end.advanced(byMilliseconds: -Int64(days) * Samples.day), to: end)
      #expect(five.ticks(atMost: 7).count == days, "\(days)")
    }
  }

  @Test func `a history of five days has five ticks in the drawing of windows and in each plot`() {
    var chronicle = Samples.eventful()
    let start = Samples.ago(5 * Samples.day)
    chronicle.timelines[0].claimedAt = start
    chronicle.timelines[0].windows[0].from = start
    for index in chronicle.generations.indices {
      chronicle.generations[index].at = start.advanced(byMilliseconds: 3_600_000)
    }
    let page = Samples.page(chronicle)
    // Each tick is a line from the top to the bottom, and a date.
    func ticks(_ drawing: Substring) -> [Substring] {
      drawing.split(separator: "<text class=\"tick").dropFirst()
        .compactMap { $0.split(separator: ">").dropFirst().first?.prefix(10) }
    }
    let drawings = page[...].split(separator: "<svg class=\"chart").dropFirst()
      .compactMap { $0.split(separator: "class=\"lane\"").first }
    let all = drawings.map(ticks).filter { $0.allSatisfy { $0.hasPrefix("2026-11-") } }
    #expect(all.filter { $0.count == 5 }.count == 5, "\(drawings.map(ticks))")
  }

  @Test func `a wrong clock stretches no drawing beyond tomorrow`() {
    var chronicle = Samples.eventful()
    chronicle.timelines[1].windows.append(
      .init(from: Samples.now, to: Instant(milliseconds: 9_999_999_999_999)))
    let axis = ReportPage.axes(chronicle, now: Samples.now).whole
    #expect(axis.to.since(Samples.now) < 2 * Samples.day)
    chronicle.timelines[1].windows = [
      .init(from: Instant(milliseconds: .min), to: Instant(milliseconds: .max))
    ]
    #expect(!Samples.page(chronicle).isEmpty)
  }

  @Test func `values that nothing real has trap nowhere`() {
    let times: [Int64] = [.min, -1, Samples.now.milliseconds, .max]
    for (number, time) in times.enumerated() {
      for other in times {
        for size in [0, UInt64(Int64.max), .max] {
          let made = Samples.extreme(at: time, and: other, size: size)
          let live = LiveView(
            state: "active", source: "s", lagSeconds: .infinity, unshippedBytes: size)
          for view in [nil, live] { #expect(Samples.page(made, live: view).hasSuffix("</html>\n")) }
          let drawing = WindowDrawing(made, width: 20 + 20 * number, style: .ascii)
          #expect(drawing?.text.isEmpty == false)
        }
      }
    }
    #expect(nearest(Double(UInt64.max)) == .max && nearest(-1) == 0)
    #expect(nearest(1.9) == 1)
  }
}

extension String {
  func components(of part: String) -> [Substring] {
    split(separator: part, omittingEmptySubsequences: false)
  }
  func between(_ start: String, _ end: String) -> String? {
    guard let begin = firstRange(of: start) else { return nil }
    let rest = self[begin.upperBound...]
    return rest.firstRange(of: end).map { String(rest[..<$0.lowerBound]) }
  }
}
