import RepositoryAccess
import Testing

/// Retention runs every hour, but is only logged a few times a day.
@Suite struct PruneNewsTests {
  private let hour: Int64 = 3_600_000

  @Test func `a day that deletes something every hour has four lines, and nothing is left out`() {
    var news = PruneNews()
    var told: [Int] = []
    for run in 0..<25 {
      let line = news.line(of: .pruned, deleted: 7, at: Int64(run) * hour)
      guard case .pruned(let objects)? = line else { continue }
      told.append(objects)
    }
    #expect(told == [7, 42, 42, 42, 42])
  }

  @Test func `what waits is told once for its time, and again for another`() {
    var news = PruneNews()
    #expect(news.line(of: .announced, due: "tomorrow", at: 0) == .announced)
    for run in 1..<24 {
      #expect(news.line(of: .waiting, due: "tomorrow", at: Int64(run) * hour) == nil)
    }
    #expect(news.line(of: .pruned, deleted: 3, at: 25 * hour) == .pruned(objects: 3))
    #expect(news.line(of: .waiting, due: "next week", at: 26 * hour) == .waiting)
    #expect(news.line(of: .nothing, at: 27 * hour) == nil)
  }

  @Test func `a failure that stays is told every six hours, another at once`() {
    var news = PruneNews()
    let told = (0..<24).filter { news.isNews(failure: "denied", at: Int64($0) * hour) }
    #expect(told == [0, 6, 12, 18])
    let other = news.isNews(failure: "unreachable", at: 23 * hour)
    _ = news.line(of: .nothing, at: 24 * hour)
    let again = news.isNews(failure: "unreachable", at: 24 * hour)
    #expect(other && again, "it was well in between")
  }
}
