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

  /// A history returns parts of runs that it computed before, from any offset.
  @Test("a history's run is the run from that offset alone")
  func shared() async throws {
    let claim = Claim(
      timeline: .first, nonce: Nonce(bytes: [UInt8](repeating: 1, count: 16))!,
      repository: Nonce(bytes: [UInt8](repeating: 2, count: 16))!, source: "s", instance: "i",
      directory: "d", claimedAt: Instant(milliseconds: 0), writer: "w", parent: nil, fork: nil,
      end: nil, suspicion: nil)
    for seed in UInt64(1)...1500 {
      await Task.yield()
      var random = SeededRandom(seed: seed)
      var next: UInt64 = 0
      let isClean = random.chance(50)
      let spans = (0..<random.int(0...12)).map { index in
        let from = isClean ? next : UInt64(random.int(0...30))
        let made = span(
          from, from + UInt64(random.int(1...12)),
          at: random.chance(80) ? Int64(random.int(1000...1010)) : nil, salt: UInt8(index))
        next = made.to + UInt64(random.chance(80) ? 0 : 3)
        return made
      }
      var catalogue = Catalogue()
      catalogue.add(name: ObjectPath.claim(.first).text, size: 1)
      for one in spans {
        catalogue.add(name: ObjectPath.log(.first, ordinal: 1, one).text, size: 1)
      }
      let history = try History(catalogue: catalogue, claims: [.first: claim])
      for from in UInt64(0)...50 {
        let limit = random.chance(50) ? from + UInt64(random.int(0...20)) : nil
        let found = history.log(of: .first, ordinal: 1, from: from, limit: limit)
        let alone = LogRun(spans, from: from).slice(upTo: limit)
        #expect(
          Array(found.spans) == Array(alone.spans) && Array(found.marks) == Array(alone.marks)
            && found.reached == alone.reached && found.isWhole == alone.isWhole
            && found.objectsBehindHole == alone.objectsBehindHole, "seed \(seed), from \(from)")
      }
    }
  }
}
