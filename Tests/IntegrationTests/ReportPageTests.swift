import BackupTypes
import HistoryLogic
import ObjectStorage
import RepositoryAccess
import SystemIO
import SystemPackage
import TestSupport
import Testing

/// The page of `report` in a real browser.
@Suite(.serialized, .timed, .enabled(if: !ServerVersion.isQuickRun)) struct ReportPageTests {
  private let folder: TemporaryDirectory
  private let now = SystemClock.now()

  init() throws { folder = try TemporaryDirectory("report") }

  /// Opens the page of a repository in the browser. There must be no error on the console.
  private func visit(
    _ repository: String, _ link: String = "", width: Int = 1200,
    _ location: SourceLocation = #_sourceLocation
  ) async throws -> HeadlessBrowser.Visit {
    let file = folder("page.html")
    let result = try await LifeboatCommand.run(
      ["report", "--repo", repository, "--output", file])
    #expect(result.exitCode == 0, "\(result)", sourceLocation: location)
    let visit = try await HeadlessBrowser.visit("file://\(file)\(link)", width: width)
    #expect(visit.console.isEmpty, "\(visit.console)", sourceLocation: location)
    #expect(visit.document.contains("class=\"ready\""), "no script ran", sourceLocation: location)
    return visit
  }

  private func seconds(_ before: Int64) -> String {
    "\(now.advanced(byMilliseconds: -before).milliseconds / 1000)"
  }

  @Test func `the browser tells of what a page does wrong`() async throws {
    let file = folder("wrong.html")
    try TestFiles.write(
      """
      <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'">
      <img src="x.png"><p id="a" hidden>b</p><script>none()</script>
      """, to: file)
    let visit = try await HeadlessBrowser.visit("file://\(file)")
    #expect(visit.console.count == 2, "\(visit)")
    #expect(visit.text("a") == "b" && visit.isHidden("a"))
  }

  @Test func `an empty repository`() async throws {
    try await MadeHistories.empty(folder("repository"), now: now)
    let visit = try await visit(folder("repository"))
    #expect(visit.document.contains("There is no restore point yet."))
    #expect(visit.text("command") == nil)
  }

  @Test func `one point`() async throws {
    try await MadeHistories.onePoint(folder("repository"), now: now)
    let visit = try await visit(folder("repository"))
    #expect(visit.document.contains("<circle class=\"point\""))
    #expect(visit.text("meaning")?.hasPrefix("The newest restore point, 1.1 of ") == true)
    #expect(
      visit.text("command") == "lifeboat restore --repo '\(folder("repository"))' --data DIR")
  }

  @Test func `a week, and every kind of instant that a link can name`() async throws {
    let repository = folder("repository")
    try await MadeHistories.week(repository, now: now)
    let day: Int64 = 86_400_000
    func command(_ link: String) async throws -> (words: String, line: String) {
      let visit = try await visit(repository, link)
      return (visit.text("meaning") ?? "", visit.text("command") ?? "")
    }
    let inside = try await command("#at=" + seconds(2 * day))
    let instant = Instant(seconds: Int64(seconds(2 * day))!)
    #expect(inside.words.hasPrefix("In a recovery window"))
    #expect(
      inside.line == "lifeboat restore --repo '\(repository)' --at \(instant) --data DIR")
    let before = try await command("#at=" + seconds(30 * day))
    #expect(before.words.hasPrefix("Before the first restore point") && before.line.isEmpty)
    // Twenty minutes before the restart that lost half an hour.
    let branch = try await command("#at=" + seconds(7 * day - 6980 * 60_000))
    #expect(branch.words.hasPrefix("On the abandoned branch of timeline 2"), "\(branch)")
    #expect(branch.line.contains(" --timeline 2 --data"))
    let between = try await command("#at=" + seconds(7 * day - 2920 * 60_000))
    #expect(between.words.hasPrefix("No restore point at this instant"), "\(between)")
    #expect(between.words.contains(". The next one is of 20"), "\(between)")
    // There is no restore point at the instant itself, so the command has the time of the point before it.
    let chosen = try #require(between.line.firstMatch(of: /--at ([^ ]+) --data/)?.output.1)
    let at = try Instant(parsing: String(chosen), now: now)
    #expect(try await reader(repository).point(.at(at), now: now) != nil, "\(between)")
    let point = try await command("#point=2.7@1:4096")
    #expect(point.line.contains(" --point 2.7@1:4096 --data"))
    // A link can't put anything into a command that is copied.
    let hostile = try await command("#point=1.1;rm%20-rf%20~")
    #expect(hostile.words.hasPrefix("The newest restore point"), "\(hostile)")
    // The repository's own path is random.
    let rest = hostile.line.replacing(repository, with: "")
    #expect(!rest.contains("rm") && !rest.contains(";"), "\(hostile)")

    let result = try await LifeboatCommand.run(["report", "--repo", repository])
    #expect(result.exitCode == 0)
    #expect(result.output.count < 400_000, "\(result.output.count) bytes")
    #expect(result.outputText.contains("<h3>The last 24 hours (UTC)</h3>"))
  }

  @Test func `a gap that nobody watched, and one that could not be read`() async throws {
    try await MadeHistories.gap(folder("repository"), now: now)
    let visit = try await visit(folder("repository"))
    #expect(visit.document.contains("<rect class=\"gap-unwatched\" x"))
    #expect(visit.document.contains("<rect class=\"gap-unreadable\" x"))
    #expect(visit.document.contains("Gaps between restore points (2)"))
  }

  @Test func `a suspect start, with a reason that would like to be a script`() async throws {
    let repository = folder("repository")
    try await MadeHistories.suspect(repository, now: now)
    let visit = try await visit(repository)
    #expect(visit.document.contains("The newest state may be the result of an accident."))
    #expect(visit.text("command")?.contains(" --suspect before ") == true, "\(visit)")
    #expect(!visit.document.contains("<img"))
    #expect(visit.document.contains("&lt;/script&gt;&lt;img src=x onerror=alert(1)&gt;"))
  }

  @Test(arguments: ["FLUSHALL", nil])
  func `after data was removed, the state before it is what is offered`(command: String?)
    async throws
  {
    let repository = folder("repository")
    try await MadeHistories.flushed(repository, now: now, command: command)
    let visit = try await visit(repository, width: 390)
    let line = try #require(visit.text("command"), "\(visit)")
    #expect(line.contains(command == nil ? " --at 20" : " --point 1."), "\(line)")
    let text = visit.document.replacing("<span class=\"word\">", with: "")
      .replacing("</span>", with: "")
    #expect(text.contains("undo: <code>\(line)</code>"), "\(visit)")
    #expect(visit.text("meaning")?.contains("restores the state before it") == true, "\(visit)")
    #expect(visit.document.contains("data-fits=\"true\""), "wider than the window")
    let list = try await LifeboatCommand.run(["list", "--repo", repository])
    #expect(list.outputText.contains("    \(line)\n"), "\(list)")
    #expect(list.outputText.contains(command == nil ? " ~3  " : " ~0  "), "\(list)")
  }

  private func reader(_ path: String) async throws -> HistoryReader {
    let repository = try #require(
      try await Repository.open(DirectoryStore(root: FilePath(path))))
    return HistoryReader(repository: repository, history: try await repository.history())
  }

  @Test func `what the page says of an instant is what a restore finds`() async throws {
    for (name, make) in [
      ("week", MadeHistories.week), ("gap", MadeHistories.gap), ("suspect", MadeHistories.suspect),
    ] {
      try await make(folder(name), now)
      let store = DirectoryStore(root: FilePath(folder(name)))
      let chronicle = try await ChronicleReader.read(store, now: now)
      let reader = try await reader(folder(name))
      func found(_ at: Instant, _ timeline: TimelineNumber? = nil) async throws -> Instant? {
        try await reader.point(.at(at, in: timeline), now: now)?.instant
      }
      func before(_ at: Instant) async throws -> RestorePoint {
        switch try await reader.answer(.at(at), now: now) {
        case .point(let point, _), .gap(_, let point): return point
        case let other: return try #require(try other.point { _ in "" })
        }
      }
      for timeline in chronicle.timelines {
        for window in timeline.windows {
          let middle = window.from.advanced(byMilliseconds: window.to.since(window.from) / 2)
          let instant = try #require(
            try await found(middle, window.isAbandoned ? timeline.number : nil))
          // There is a mark every ten minutes.
          #expect(middle.since(instant) <= 600_000 && instant <= middle, "\(name): \(window)")
          // A clean shutdown is later than the last mark, but has the same state.
          let end = try #require(try await found(window.to, timeline.number))
          #expect(
            timeline.isClosed
              ? end <= window.to && window.to.since(end) <= 600_000 : end == window.to,
            "\(name): \(window)")
        }
      }
      for row in RecoveryMap(chronicle).rows {
        guard let from = row.from else { continue }
        let answer = try await reader.answer(.at(from, in: row.timeline), now: now)
        switch (row.kind, answer) {
        case (.window, .point), (.branch, .point), (.nothing, .nothing), (.between, _): break
        case (.newest, .point), (.newest, .gap), (.newest, .nothing): break
        default: Issue.record("\(name): \(row), and a restore finds \(answer)")
        }
      }
      let branches = chronicle.abandonedWindows.map(\.window)
      for gap in chronicle.gaps {
        let middle = gap.from.advanced(byMilliseconds: gap.to.since(gap.from) / 2)
        let instant = try await before(middle).instant
        // If an earlier timeline continued beyond the gap, the state comes from its branch.
        #expect(
          gap.from.since(instant) <= 600_000 && instant <= gap.from
            || branches.contains { $0.from <= instant && instant <= $0.to }, "\(name): \(gap)")
      }
    }
  }

  @Test func `a phone shows it without scrolling sideways`() async throws {
    try await MadeHistories.week(folder("repository"), now: now)
    let visit = try await visit(folder("repository"), "#at=" + seconds(3_600_000), width: 360)
    // The page records this in its document, because the test only gets the document.
    #expect(visit.document.contains("data-fits=\"true\""), "wider than the window")
  }

  @Test func `a record that is damaged is left out, and said`() async throws {
    let repository = folder("repository")
    try await MadeHistories.week(repository, now: now)
    let names = TestFiles.tree(repository).filter { $0.contains("/snapshots/") }.sorted()
    for name in [names[5], names[names.count - 1]] {
      try TestFiles.write([1, 2, 3], to: repository + "/" + name)
    }
    let visit = try await visit(repository)
    #expect(visit.document.contains("Records can't be read: 2."), "\(visit)")
    #expect(visit.text("meaning")?.contains("choose an instant before it") == true, "\(visit)")
    #expect(visit.document.contains("<rect class=\"window\" x"), "\(visit)")
  }

  @Test func `list ends with a drawing, in ASCII where nobody said that more can be shown`()
    async throws
  {
    try await MadeHistories.week(folder("repository"), now: now)
    let list = try await LifeboatCommand.run(
      ["list", "--repo", folder("repository")], environment: ["LANG": "C.UTF-8"])
    let parts = list.outputText.split(separator: "\nrecovery windows, ")
    #expect(list.exitCode == 0 && parts.count == 2, "\(list)")
    #expect(parts[0].hasPrefix("repository "), "\(list)")
    #expect(parts[0].contains("\nFLUSHALL at ") && parts[0].contains(" unknown  "), "\(list)")
    for row in ["timeline 1", "timeline 2", "timeline 3", "restarts", "destructive", "pins"] {
      #expect(parts[1].contains("\n  \(row) "), "\(row): \(list)")
    }
    #expect(list.output.allSatisfy { $0 < 0x80 }, "\(list)")
  }

  @Test func `a report goes to a file or a pipe, as a page or as its model`() async throws {
    let repository = folder("repository")
    let absent = try await LifeboatCommand.run(["report", "--repo", folder("nothing")])
    #expect(absent.exit == .storeUnavailable, "\(absent)")
    let empty = try await LifeboatCommand.run(
      ["report", "--repo", try folder.makeDirectory("void")])
    #expect(empty.exit == .noBackup, "\(empty)")
    try await MadeHistories.suspect(repository, now: now)
    let json = try await LifeboatCommand.run(["report", "--repo", repository, "--json"])
    #expect(json.jsonText("pin") == "p-suspect", "\(json)")
    // `script` provides a terminal.
    let terminal = try ChildProcess(
      "/usr/bin/script",
      ["-qec", "'\(LifeboatCommand.path)' report --repo '\(repository)'", "/dev/null"],
      output: .file(folder("terminal")))
    #expect(try await terminal.wait() == .exited(ExitCode.usage.rawValue))
    #expect(try TestFiles.text(folder("terminal")).contains("--output report.html"))
    // An existing file is replaced as a whole.
    try TestFiles.write("old", to: folder("report.html"))
    let file = try await LifeboatCommand.run(
      ["report", "--repo", repository, "--output", folder("report.html")])
    #expect(file.exitCode == 0 && file.output.isEmpty, "\(file)")
    #expect(try TestFiles.text(folder("report.html")).hasPrefix("<!doctype html>"))
  }
}
