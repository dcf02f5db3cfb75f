import BackupFormat
import BackupTypes
import HistoryLogic
import TestSupport
import Testing

@Suite struct LogRunTests {
  @Test("a run agrees with a byte-by-byte model, with overlaps, folds and holes")
  func model() async {
    for seed in UInt64(1)...4000 {
      await Task.yield()  // tests that wait need a thread
      var random = SeededRandom(seed: seed)
      let spans = (0..<random.int(0...12)).map { index in
        let from = UInt64(random.int(0...30))
        return span(
          from, from + UInt64(random.int(1...12)), at: random.chance(80) ? 1000 : nil,
          salt: UInt8(index))
      }
      let from = UInt64(random.int(0...10))
      let limit = random.chance(50) ? from + UInt64(random.int(0...30)) : nil
      let found = LogRun(spans, from: from).slice(upTo: limit)
      var reached = from
      while limit.map({ reached < $0 }) ?? true,
        spans.contains(where: { $0.from <= reached && $0.to > reached })
      { reached += 1 }
      let isFull = limit.map { found.reached >= $0 } ?? false
      #expect(isFull ? reached >= limit! : found.reached == reached, "seed \(seed)")
      #expect(
        isFull || found.objectsBehindHole == spans.count { $0.from > reached }, "seed \(seed)")
      var position = from
      for pick in found.spans {
        #expect(pick.from <= position && pick.to > position, "seed \(seed)")
        position = pick.to
      }
      #expect(position == found.reached, "seed \(seed)")
      #expect(
        Array(found.marks.map(\.offset))
          == found.spans.filter { span in span.mark != nil && limit.map { span.to <= $0 } ?? true }
          .map(\.to), "seed \(seed)")
    }
  }
}
