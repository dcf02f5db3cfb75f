import BackupTypes
import HistoryLogic
import Testing

@testable import ReportPages

/// Time axes from left to right, on a page and in a terminal.
@Suite struct DrawingTests {
  private func instant(_ text: String) throws -> Instant {
    try Instant(parsing: text, now: Samples.now)
  }

  @Test(arguments: [
    ("2026-11-22T14:00:01Z", "2026-11-22T14:00:04Z", "14:00:01 14:00:02 14:00:03 14:00:04"),
    ("2026-11-22T14:02:00Z", "2026-11-22T14:21:00Z", "14:05 14:10 14:15 14:20"),
    ("2026-11-22T14:00:00Z", "2026-11-23T14:00:00Z", "18:00 2026-11-23 06:00 12:00"),
    ("2026-11-15T08:00:00Z", "2026-11-22T14:00:00Z", "2026-11-17 2026-11-19 2026-11-21"),
    ("2021-01-01T00:00:00Z", "2026-11-22T14:00:00Z", "2022-01 2024-01 2026-01"),
  ])
  func `ticks stand at round times`(from: String, to: String, labels: String) throws {
    let axis = TimeAxis(from: try instant(from), to: try instant(to), minimum: 1000)
    let found = axis.ticks(atMost: 6)
    #expect(found.count <= 6)
    if labels.hasPrefix("20") {
      // Years have different lengths, so only their existence and order is certain.
      #expect(!found.isEmpty)
    } else {
      #expect(found.map(\.label).joined(separator: " ") == labels)
    }
  }

  @Test func `any two times make an axis, with few ticks that lie in it`() {
    var random = SystemRandomNumberGenerator()
    let edges: [Int64] = [.min, .max, 0, -1, 1]
    for _ in 0..<2000 {
      func draw() -> Int64 {
        Bool.random(using: &random)
          ? edges.randomElement(using: &random)!
          : Int64.random(in: -1 << 45...1 << 45, using: &random)
      }
      let (from, to) = (Instant(milliseconds: draw()), Instant(milliseconds: draw()))
      let axis = TimeAxis(from: min(from, to), to: max(from, to))
      let ticks = axis.ticks(atMost: 6)
      #expect(ticks.count <= 7, "\(from) \(to)")
      for tick in ticks { #expect(axis.contains(tick.at), "\(from) \(to)") }
      for time in [from, to] {
        #expect((0...1).contains(axis.fraction(time)), "\(from) \(to)")
      }
    }
  }

  @Test func `percentages keep within the drawing`() {
    #expect(TimeAxis.percent(0) == "0.000%")
    #expect(TimeAxis.percent(0.123456) == "12.346%")
    #expect(TimeAxis.percent(1.5) == "100.000%")
    #expect(TimeAxis.percent(-3) == "0.000%")
  }

  @Test func `large numbers are grouped`() {
    #expect(grouped(0) == "0" && grouped(999) == "999")
    #expect(grouped(1_234_567) == "1\u{202f}234\u{202f}567")
  }

  // MARK: In a terminal

  private func drawn(_ style: WindowDrawing.Style, width: Int = 60) -> String {
    var chronicle = Samples.eventful()
    chronicle.events.append(
      .init(kind: .claim, at: Samples.ago(Samples.day), timeline: nil, detail: ""))
    return WindowDrawing(chronicle, width: width, style: style)?.text ?? ""
  }

  @Test func `a terminal shows a row for each timeline`() {
    #expect(
      drawn(.unicode) == """
        recovery windows, 2026-11-22T09:46:40Z to 2026-11-25T09:45:40Z
          timeline 1  ████████████████░░░
          timeline 2                                ███████●███████
          restarts                                  |
          suspect                                   ?
          destructive                                x
          keys gone                                  v
          pins                                         P
                      ────────┴──────────────┴──────────────┴──────
          (UTC)          2026-11-23     2026-11-24     2026-11-25
          █ every instant can be restored
          ● a full copy, one instant
          ░ abandoned branch (--timeline)

        """)
  }

  @Test func `what is no terminal gets ASCII, and every width is kept`() {
    for width in [0, 20, 60, 80, 400, 100_000] {
      let lines = drawn(.ascii, width: width).split(separator: "\n")
      #expect(drawn(.ascii, width: width).utf8.allSatisfy { $0 < 0x80 })
      for line in lines.dropFirst().dropLast(3) {
        #expect(line.count <= max(width, 34) && line.count <= 400, "\(width): \(line)")
      }
    }
  }

  @Test func `nothing to restore is nothing to draw, and one point is a dot`() {
    #expect(WindowDrawing(Samples.chronicle(), width: 80, style: .ascii) == nil)
    var chronicle = Samples.chronicle()
    chronicle.timelines = [
      .init(
        number: .first, source: "s", instance: "i", claimedAt: Samples.ago(9000),
        points: [.init(id: "1.1", at: Samples.ago(5000))])
    ]
    let text = WindowDrawing(chronicle, width: 40, style: .ascii)?.text ?? ""
    #expect(text.contains("\n  timeline 1              o\n"), "\(text)")
  }

  @Test func `of many timelines the newest have a row, and the rest share one`() {
    let text = WindowDrawing(Samples.fullest(), width: 80, style: .ascii)?.text ?? ""
    #expect(text.components(of: "\n  timeline ").count == 21, "\(text)")
    #expect(text.contains("\n  earlier  "), "\(text)")
  }
}
