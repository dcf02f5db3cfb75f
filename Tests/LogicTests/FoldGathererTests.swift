import BackupFormat
import BackupTypes
import TestSupport
import Testing
import WriterLogic

/// Small log objects become one (design 5): with the same bytes and marks, within limits, and only once.
@Suite struct FoldGathererTests {
  private let small = FoldGatherer.smallBelow - 1

  private func folds(_ spans: [(LogSpan, [Mark])]) -> [FoldGatherer.Fold] {
    var gatherer = FoldGatherer(pin: PinID(3), ordinal: 5)
    return spans.compactMap { gatherer.add($0.0, marks: $0.1) }
  }
  private func run(_ count: Int, size: UInt64, from: UInt64 = 0) -> [(LogSpan, [Mark])] {
    (0..<count).map { number in
      let start = from + UInt64(number) * size
      // Zeros in a name say that there is no mark.
      return (span(start, start + size, at: Int64(number + 1) * 1000), [])
    }
  }

  @Test func `600 objects make a fold, and fewer wait`() {
    #expect(folds(run(FoldGatherer.objectsMax - 1, size: 1)).isEmpty)
    let made = folds(run(2 * FoldGatherer.objectsMax + 1, size: 1))
    #expect(made.map(\.parts.count) == [600, 600])
    #expect(made.map(\.from) == [0, 600] && made.map(\.to) == [600, 1200])
    #expect(made.allSatisfy { $0.pin == PinID(3) && $0.ordinal == 5 })
  }

  @Test func `4 MiB of small objects make a fold, which holds no more than an object may`() {
    let made = folds(run(20, size: FoldGatherer.bytesMax / 3))
    #expect(made.allSatisfy { $0.parts.count == 3 && $0.to - $0.from <= FoldGatherer.bytesMax })
    #expect(made.count == 6)
    let exact = folds(run(5, size: FoldGatherer.bytesMax / 4))
    #expect(exact.first?.to == FoldGatherer.bytesMax)
  }

  @Test func `a large object, one without a mark, or a gap closes what was gathered`() {
    let before = run(2, size: 10)
    let large = (span(20, 20 + FoldGatherer.smallBelow), [Mark]())
    let fragment = (span(20, 30, at: nil), [Mark]())
    let apart = (span(25, 30), [Mark]())
    for next in [large, fragment, apart] {
      let made = folds(before + [next])
      #expect(made.map(\.to) == [20], "\(next.0)")
    }
    #expect(folds([before[0], large]).isEmpty, "one object is not folded")
    #expect(folds([large, fragment]).isEmpty)
  }

  @Test func `marks stay within their bound, and the object still is one`() {
    let many = (0..<LogPayload.marksMax - 1).map {
      Mark(offset: UInt64($0 / 100), time: at(1), kind: .seen)
    }
    let made = folds([(span(0, 1000), many), (span(1000, 2000), many), (span(2000, 3000), [])])
    for fold in made { #expect(fold.marks.count <= LogPayload.marksMax) }
  }

  @Test func `no byte is folded twice, none is invented, and every mark is kept`() async throws {
    for seed in UInt64(1)...300 {
      await Task.yield()  // tests that wait need a thread
      var random = SeededRandom(seed: seed)
      var gatherer = FoldGatherer(pin: PinID(1), ordinal: 1)
      var (position, time, last) = (UInt64(0), Int64(1000), UInt64(0))
      var marks: [Mark] = []
      var sent: [LogSpan] = []
      for _ in 0..<random.int(1...2000) {
        if random.chance(1) { position += UInt64(random.int(1...50)) }
        let size =
          random.chance(2)
          ? FoldGatherer.smallBelow + UInt64(random.int(0...100)) : UInt64(random.int(1...20_000))
        time += Int64(random.int(0...1000))
        let made = span(position, position + size, at: random.chance(97) ? time : nil)
        var own: [Mark] = []
        if random.chance(30) {
          own.append(Mark(offset: position, time: at(time - 1), kind: .annotation))
        }
        marks += own
        if made.mark != nil { marks.append(Mark(offset: made.to, time: at(time), kind: .seen)) }
        sent.append(made)
        position += size
        guard let fold = gatherer.add(made, marks: own) else { continue }
        try #require(fold.from >= last && fold.parts.count > 1, "seed \(seed): folded twice")
        last = fold.to
        #expect(fold.parts.count <= FoldGatherer.objectsMax, "seed \(seed)")
        #expect(fold.to - fold.from <= FoldGatherer.bytesMax, "seed \(seed)")
        #expect(
          fold.parts == sent.filter { $0.from >= fold.from && $0.to <= fold.to }, "seed \(seed)")
        #expect(
          zip(fold.parts, fold.parts.dropFirst()).allSatisfy { $0.to == $1.from }, "seed \(seed)")
        // The mark at its end is in its name. A mark at its start may belong to the object before.
        let expected = marks.filter { $0.offset >= fold.from && $0.offset < fold.to }
        let start = fold.marks.filter { $0.offset == fold.from }
        #expect(
          fold.marks.filter { $0.offset > fold.from } == expected.filter { $0.offset > fold.from },
          "seed \(seed): a mark is lost")
        #expect(start.allSatisfy { $0.kind == .annotation }, "seed \(seed)")
        #expect(fold.parts.last?.mark != nil, "seed \(seed): a fold without a mark at its end")
        #expect(fold.marks.map(\.offset) == fold.marks.map(\.offset).sorted(), "seed \(seed)")
      }
    }
  }
}
