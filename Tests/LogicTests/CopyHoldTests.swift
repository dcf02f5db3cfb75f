import BackupFormat
import BackupTypes
import HistoryLogic
import Testing

/// Which claim of a copy has to wait, and until when: a table of facts and answers.
@Suite struct CopyHoldTests {
  private static let minute: Int64 = 60_000
  /// A claim waits until the copy has had what it cuts off for 16 minutes.
  private static let wait = 16 * minute
  private static let now: Int64 = 1_000 * minute

  /// Timelines 1 to `count`, each of two snapshots. By its claim, each one but the first cuts off the second
  /// snapshot of its parent.
  private func facts(
    timelines count: Int = 2, cutOff: [Int] = [1], copied: [ObjectPath] = [], letGo: [Int] = []
  ) throws -> CopyFacts {
    var catalogue = Catalogue()
    var claims: [TimelineNumber: Claim] = [:]
    for number in 1...count {
      let end = number == 1 ? nil : Claim.End(snapshots: 1, ordinals: [])
      let made = claim(number, parent: number == 1 ? nil : number - 1, end: end)
      claims[made.timeline] = made
      catalogue.add(name: ObjectPath.claim(made.timeline).text, size: 1)
      for sequence in 1...2 { catalogue.add(name: snapshot(number, sequence).text, size: 1) }
    }
    let ends = cutOff.map { (TimelineNumber($0)!, Claim.End(snapshots: 2, ordinals: [])) }
    var copyLetGo = LetGo()
    copyLetGo.add(letGo.map { SnapshotKey(.first, $0) })
    return CopyFacts(
      history: try History(
        catalogue: catalogue, claims: claims,
        cutOff: Dictionary(uniqueKeysWithValues: ends)),
      mentions: CopyMentions(), letGo: LetGo(),
      copy: Catalogue(names: copied.map { (name: $0.text, size: 1) }), copyLetGo: copyLetGo,
      sharesKeys: true)
  }

  private func snapshot(_ number: Int, _ sequence: Int) -> ObjectPath {
    .snapshot(TimelineNumber(number)!, sequence: sequence)
  }

  /// What the copy has of a timeline: snapshots, each with its age in milliseconds.
  private func listed(_ number: Int, _ ages: [Int: Int64]) -> CopyFacts.Listed {
    var listed = CopyFacts.Listed()
    for (sequence, age) in ages {
      listed.add(snapshot(number, sequence), created: at(Self.now - age))
    }
    return listed
  }

  struct Case: CustomTestStringConvertible, Sendable {
    var testDescription: String
    /// The age of each snapshot of timeline 1 that the copy has.
    var ages: [Int: Int64]
    var letGo: [Int] = []
    /// How long the claim of timeline 2 waits from now on; nil: it does not.
    var waits: Int64?
  }

  static let cases = [
    Case(testDescription: "nothing is copied yet", ages: [:], waits: wait),
    Case(testDescription: "a part is missing", ages: [1: 10 * wait], waits: wait),
    Case(testDescription: "all is new", ages: [1: 0, 2: 0], waits: wait),
    Case(
      testDescription: "the last part is new", ages: [1: 10 * wait, 2: minute], waits: 15 * minute),
    Case(testDescription: "a millisecond too early", ages: [1: wait, 2: wait - 1], waits: 1),
    Case(testDescription: "just long enough", ages: [1: wait, 2: wait]),
    Case(testDescription: "long enough", ages: [1: 10 * wait, 2: 2 * wait]),
    Case(testDescription: "the copy's retention has deleted a part", ages: [2: wait], letGo: [1]),
    Case(testDescription: "of the rest it was not long", ages: [2: 0], letGo: [1], waits: wait),
  ]

  @Test(arguments: cases)
  func `a claim waits until the copy has had what it cuts off for long enough`(test: Case) throws {
    var facts = try facts(letGo: test.letGo)
    #expect(facts.cutOff == [.first])
    let until = facts.hold([.first: listed(1, test.ages)], now: at(Self.now))
    #expect(until == test.waits.map { at(Self.now + $0) })
    #expect(facts.held == test.waits.map { _ in TimelineNumber(2)! })
  }

  @Test func `a claim that is in the copy, or cuts nothing off, does not wait`() throws {
    for var facts in [
      try facts(copied: [.claim(TimelineNumber(2)!)]), try facts(cutOff: []),
    ] {
      #expect(facts.cutOff.isEmpty)
      #expect(facts.hold([:], now: at(Self.now)) == nil && facts.held == nil)
    }
  }

  /// The first claim that waits holds back everything after it; the time is that of the last one.
  @Test func `of several claims the first is held, until the last may come`() throws {
    let old = listed(1, [1: 2 * Self.wait, 2: 2 * Self.wait])
    var facts = try facts(timelines: 4, cutOff: [1, 2, 3])
    #expect(facts.cutOff.map(\.value) == [1, 2, 3])
    let until = facts.hold(
      [
        .first: old, TimelineNumber(2)!: listed(2, [1: Self.minute, 2: Self.minute]),
        TimelineNumber(3)!: listed(3, [1: 0, 2: 0]),
      ], now: at(Self.now))
    #expect(facts.held == TimelineNumber(3)!)
    #expect(until == at(Self.now + Self.wait))
    // Nothing of the held timelines is in the plan.
    let names = CopyPlan(facts).steps.compactMap { step -> ObjectPath? in
      if case .record(let name) = step { name } else { nil }
    }
    #expect(names.contains(.claim(TimelineNumber(2)!)))
    #expect(!names.contains(.claim(TimelineNumber(3)!)))
  }
}
