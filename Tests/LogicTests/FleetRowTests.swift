import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// A row of `fleet`, as a function of what was read.
@Suite struct FleetRowTests {
  private static let hour: Int64 = 3_600_000
  private static let now = at(100 * hour)

  /// A repository without anything to look at.
  private var fine: Chronicle {
    var made = Chronicle(
      repository: "r", location: "memory://r", cipher: "none", readAt: Self.now, objects: 7,
      bytes: 8)
    made.newest = .init(id: "1.1@1:7", at: at(99 * Self.hour))
    made.timelines = [
      .init(
        number: .first, source: "shop", instance: "i", claimedAt: at(0),
        windows: [.init(from: at(90 * Self.hour), to: at(99 * Self.hour))],
        points: [.init(id: "1.1", at: at(80 * Self.hour))])
    ]
    return made
  }

  private func drill(isPassed: Bool) -> Chronicle.LastDrill {
    Chronicle.LastDrill(
      Drill(
        id: "d", repository: nonce(9), at: at(98 * Self.hour), point: "1.1", instant: at(0),
        isPassed: isPassed, restoreMilliseconds: 1, loadMilliseconds: 2, bytes: 3,
        server: "redis 7.4", keys: 1, elements: 1, values: 1,
        differences: isPassed ? [] : ["the key a is missing"]))
  }

  private func row(_ chronicle: Chronicle, ageMax: Int64? = nil) -> FleetRow {
    FleetRow(name: "r", location: "l", .picture(chronicle), ageMax: ageMax, now: Self.now)
  }

  /// Each fact alone, with the state, a word of the problem, and the exit code. The more urgent come first.
  private static let facts:
    [(FleetRow.State, ExitCode, words: String, change: @Sendable (inout Chronicle) -> Void)] = [
      (.damaged, .corrupt, "2 records can't be read", { $0.recordsUnreadable = 2 }),
      (.damaged, .corrupt, "1 record can't be read", { $0.unreadablePins = ["p"] }),
      (
        .suspect, .suspect, "timeline 1 began with no keys",
        { $0.suspicion = .init(timeline: .first, detail: "no keys", pin: "p", before: "1.1") }
      ),
      (
        .removed, .success, "FLUSHALL at ",
        {
          $0.removals = [
            .init(command: "FLUSHALL", from: at(1), at: at(2), restore: "--point x", isOpen: true)
          ]
        }
      ),
      (.empty, .noBackup, "there is no restore point yet", { $0.newest = nil }),
    ]

  @Test func `each fact makes its row`() {
    for (state, code, words, change) in Self.facts {
      var chronicle = fine
      change(&chronicle)
      let row = row(chronicle)
      #expect(row.state == state && row.exitCode == code && row.needsPerson, "\(row)")
      #expect(row.problem?.contains(words) == true && row.remedy != nil, "\(row)")
    }
  }

  @Test func `a failed drill is told with its first difference; one that passed is not`() {
    var chronicle = fine
    chronicle.lastDrill = drill(isPassed: false)
    let failed = row(chronicle)
    #expect(failed.state == .drillFailed && failed.exitCode == .corrupt && failed.needsPerson)
    #expect(failed.problem == "the last drill failed: the key a is missing")
    #expect(failed.lastDrill?.at == at(98 * Self.hour) && failed.lastDrill?.isPassed == false)
    chronicle.lastDrill = drill(isPassed: true)
    let passed = row(chronicle)
    #expect(passed.state == .fine && passed.lastDrill?.isPassed == true)
  }

  @Test func `a removal that was accepted, or whose keys came back, is nothing to look at`() {
    var removal = Chronicle.Removal(
      command: "FLUSHALL", from: at(1), at: at(2), restore: "--point x", isOpen: false)
    var chronicle = fine
    chronicle.removals = [removal]
    #expect(row(chronicle).state == .fine)
    (removal.isOpen, removal.isRefilled) = (true, true)
    chronicle.removals = [removal]
    #expect(row(chronicle).state == .fine)
  }

  @Test func `of several facts the most urgent makes the row`() {
    for (index, (_, _, _, first)) in Self.facts.enumerated() {
      for (state, _, _, second) in Self.facts.prefix(index) {
        var chronicle = fine
        chronicle.lastDrill = drill(isPassed: false)
        first(&chronicle)
        second(&chronicle)
        let expected = [.damaged, .suspect].contains(state) ? state : .drillFailed
        #expect(row(chronicle).state == expected, "\(chronicle)")
      }
    }
  }

  @Test func `a row has the age, the windows and the beginning of what can be restored`() {
    let row = row(fine, ageMax: Self.hour)
    #expect(row.state == .fine && row.problem == nil && !row.needsPerson)
    #expect(row.source == "shop" && row.newest == "1.1@1:7" && row.ageSeconds == 3600)
    #expect(row.windows == 2 && row.recoverableFrom == at(80 * Self.hour).description)
    #expect(row.objects == 7 && row.bytes == 8)
    let old = self.row(fine, ageMax: Self.hour - 1)
    #expect(old.state == .old && old.exitCode == .success && old.needsPerson)
    #expect(old.problem?.contains("is 1 h old") == true, "\(old)")
  }
}
