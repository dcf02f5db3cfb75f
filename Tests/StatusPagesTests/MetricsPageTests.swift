import BackupTypes
import ObjectStorage
import RepositoryAccess
import Shipping
import TestSupport
import Testing

@Suite struct MetricsPageTests {
  private let now = Instant(milliseconds: 1_800_000_000_000)

  private func page(
    _ store: StoreStatistics.Value = .init(), version: String = "1.0",
    _ change: (inout ShipStatus.Value) -> Void = { _ in }
  ) -> MetricsPage {
    var status = ShipStatus.Value()
    change(&status)
    return MetricsPage(status: status, store: store, version: version, now: now)
  }

  private struct Row: Equatable, CustomStringConvertible {
    var name: String
    var kind: String
    var description: String { "\(name) (\(kind))" }
  }

  private func table() throws -> [(row: Row, meaning: String)] {
    try TestFiles.text(Checkout.root + "/docs/metrics.md").split(separator: "\n")
      .filter { $0.hasPrefix("| `lifeboat_") }.map { line in
        let cells = line.split(separator: "|").map { $0.filter { $0 != "`" && $0 != " " } }
        return (Row(name: cells[0], kind: cells[1]), String(line.split(separator: "|")[2]))
      }
  }

  @Test func `every metric is documented with its type, and every documented one exists`() throws {
    let metrics = page().metrics.map { Row(name: $0.name, kind: $0.kind.rawValue) }
    #expect(
      try table().map(\.row).sorted { $0.name < $1.name } == metrics.sorted { $0.name < $1.name })
  }

  @Test func `every value of a label is documented, and every documented one exists`() throws {
    let text = try TestFiles.text(Checkout.root + "/docs/metrics.md")
    let states = try #require(text.split(separator: "\n").first { $0.hasPrefix("States: ") })
    #expect(code(states) == ShipStatus.State.allCases.map(\.rawValue))
    func words(_ metric: String) throws -> [String] {
      code(try #require(try table().first { $0.row.name == metric }).meaning)
    }
    #expect(
      try words("lifeboat_store_requests_total")
        == ["operation"] + StoreStatistics.Operation.allCases.map(\.rawValue)
        + ["result"] + StoreStatistics.Result.allCases.map(\.rawValue))
    let shipped = try #require(page().metrics.first { $0.name == "lifeboat_shipped_bytes_total" })
    #expect(
      try words(shipped.name) == ["kind"] + shipped.samples.flatMap { $0.labels.map(\.value) })
  }

  /// The text between backquotes.
  private func code(_ text: some StringProtocol) -> [String] {
    text.split(separator: "`", omittingEmptySubsequences: false).enumerated()
      .filter { $0.offset % 2 == 1 }.map { String($0.element) }
  }

  @Test func `lag is the age of the oldest byte when it is asked for`() {
    let text = page {
      $0.state = .active
      $0.logSince = now.advanced(byMilliseconds: -90_250)
      $0.unshippedBytes = 17
    }.text
    #expect(text.contains("\nlifeboat_log_lag_seconds 90.250\n"), "\(text)")
    #expect(text.contains("\nlifeboat_generation_lag_seconds 0.000\n"), "\(text)")
    #expect(text.contains("\nlifeboat_unshipped_bytes 17\n"), "\(text)")
    #expect(text.contains("lifeboat_state{state=\"active\"} 1\n"), "\(text)")
    #expect(text.contains("lifeboat_state{state=\"standby\"} 0\n"), "\(text)")
  }

  @Test func `a clock that was set back makes no negative lag`() {
    let text = page { $0.logSince = now.advanced(byMilliseconds: 5000) }.text
    #expect(text.contains("\nlifeboat_log_lag_seconds 0.000\n"), "\(text)")
  }

  @Test func `a link shows whether it is up and how often it made the server fork`() {
    let text = page {
      var link = ShipStatus.LinkFigures()
      (link.isUp, link.neededCopies, link.newerCopies) = (true, 2, 5)
      $0.link = link
    }.text
    #expect(text.contains("\nlifeboat_link_up 1\n"), "\(text)")
    #expect(text.contains("lifeboat_link_full_copies_total{kind=\"needed\"} 2\n"), "\(text)")
    #expect(text.contains("lifeboat_link_full_copies_total{kind=\"newer\"} 5\n"), "\(text)")
    #expect(page { $0.link = .init() }.text.contains("\nlifeboat_link_up 0\n"))
    #expect(!page().text.contains("lifeboat_link"))
  }

  @Test func `what is not known is absent`() {
    let text = page().text
    for name in ["recoverable_from", "recoverable_to", "store_last_success", "store_requests"] {
      #expect(!text.contains("lifeboat_\(name)"), "\(text)")
    }
    let known = page { $0.recoverableTo = Instant(milliseconds: 1_700_000_000_001) }.text
    #expect(known.contains("lifeboat_recoverable_to_timestamp_seconds 1700000000.001\n"))
  }

  @Test func `labels are escaped`() {
    let text = page(version: "a\"b\\c\nd").text
    #expect(text.contains("lifeboat_build_info{version=\"a\\\"b\\\\c\\nd\"} 1\n"), "\(text)")
  }

  @Test func `store calls are counted by operation and result`() async throws {
    let statistics = StoreStatistics()
    let base = FaultyStore(MemoryStore())
    let store = CountedStore(base, statistics)
    _ = try await store.create("a", [1])
    _ = try await store.read("a")
    _ = try await store.read("b")
    base.decide { _ in .fail(FaultyStore.unreachable) }
    _ = try? await store.list(prefix: "", continuing: nil)
    base.decide { _ in .fail(LifeboatError(.storeUnavailable, "denied")) }
    _ = try? await store.list(prefix: "", continuing: nil)
    let text = page(statistics.current).text
    for line in [
      "{operation=\"create\",result=\"ok\"} 1", "{operation=\"read\",result=\"ok\"} 2",
      "{operation=\"list\",result=\"unavailable\"} 1", "{operation=\"list\",result=\"denied\"} 1",
    ] { #expect(text.contains("lifeboat_store_requests_total\(line)\n"), "\(text)") }
    #expect(text.contains("lifeboat_store_last_success_timestamp_seconds 1"), "\(text)")
  }

  @Test func `the last success of retention is absent before the first`() throws {
    let name = "lifeboat_prune_last_success_timestamp_seconds"
    #expect(page().metrics.first { $0.name == name }?.samples.isEmpty == true)
    let after = page { $0.pruned = Instant(milliseconds: 1_799_999_000_000) }
    let value = try #require(after.metrics.first { $0.name == name }?.samples.first?.value)
    #expect(value.hasPrefix("1799999000"), "\(value)")
  }
}
