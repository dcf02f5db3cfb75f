import BackupFormat
import BackupTypes
import Codec
import HistoryLogic
import ObjectStorage
import Recovery
import RepositoryAccess
import Synchronization
import TestSupport
import Testing
import WriterLogic

/// Somebody who may only create objects can't make history disappear. If a claim leaves out something that
/// the store has had for longer than the claim, it still exists, and retention keeps it as long as the policy
/// says.
@Suite struct CutOffTests {
  private static let day = RetentionPolicy.day
  private static let policy = RetentionPolicy(
    keepWithin: 3 * day, keepHourly: 3 * day, keepDaily: 12)

  private final class Clock: Sendable {
    private let time = Mutex(Instant(milliseconds: 0))
    var now: Instant { time.withLock { $0 } }
    func set(_ instant: Instant) { time.withLock { $0 = instant } }
  }

  /// Twenty days in three timelines: a chain each day, with log every six hours.
  private func history(_ clock: Clock, _ keys: KeySource = .none) async throws -> MadeRepository {
    let made = try await MadeRepository(clock: { clock.now }, keys: keys)
    var (timeline, sequence) = (0, 0)
    for day in Int64(0)..<20 {
      let begin = (day + 1) * Self.day
      clock.set(at(begin))
      if day % 7 == 0 {
        let ends = (0..<sequence).map { Claim.End.OrdinalEnd(ordinal: $0 + 1, offset: 56) }
        timeline += 1
        try await made.addClaim(
          timeline, at: begin, parentSnapshots: timeline == 1 ? nil : sequence, ordinals: ends)
        sequence = 0
      }
      sequence += 1
      try await made.addChain(timeline, sequence, ordinal: sequence, baseAt: begin, cleanAt: begin)
      for part in Int64(0)..<4 {
        let time = begin + (part + 1) * Self.day / 4 - 1000
        clock.set(at(time))
        try await made.addLog(
          timeline, ordinal: sequence, UInt64(part * 14),
          bytes: Array("*1\r\n$4\r\nPING\r\n".utf8), at: time)
      }
    }
    return made
  }

  private func plan(_ made: MadeRepository, _ now: Instant) async throws -> PruneReport {
    try await Pruner(
      made.repository, options: .init(policy: Self.policy, by: "test", isConfirmed: true),
      now: { now }
    ).run()
  }

  private func verify(_ made: MadeRepository) async throws -> VerifyReport {
    let report = try await Verifier(
      made.store, options: .init(sample: 0, by: "test"), now: { at(5000) }, draw: { 50 },
      progress: { _, _ in }
    ).run()
    // The pieces of these generations were never written.
    for name in made.store.names where name.hasPrefix("ops/quarantines/") {
      made.store.lose(name)
    }
    return report
  }

  /// Adds a claim according to which timeline 3 ended with its first snapshot, with a state of its own, and
  /// two more claims.
  private func cutOff(_ made: MadeRepository, _ clock: Clock) async throws {
    let now = clock.now.milliseconds
    try await made.addClaim(4, at: now, parentSnapshots: 1)
    try await made.addSnapshot(4, 1, dumpAt: now)
    try await made.addDumpIndex(4)
    try await made.addClaim(5, at: now, parentSnapshots: 1)
    try await made.addClaim(6, at: now, parentSnapshots: 0)
  }

  @Test func `what a claim cuts off can be restored, is told of, and is kept`() async throws {
    let clock = Clock()
    let made = try await history(clock)
    let newest = try #require(try await made.choose(now: clock.now)).id
    #expect(newest == "3.6@6:56")
    clock.set(clock.now.advanced(byMilliseconds: 3_600_000))
    try await cutOff(made, clock)
    let now = clock.now.advanced(byMilliseconds: 2 * Self.day)
    clock.set(now)
    let third = TimelineNumber(3)!
    #expect(try await made.choose(.timeline(third), now: now)?.id == newest)
    #expect(try await made.choose(.point("3.5"), now: now)?.id == "3.5@5:56")
    #expect(
      try await made.choose(.at(at(20 * Self.day - 2000), in: third), now: now)?.id
        .hasPrefix("3.5@") == true)
    let listing = try await RepositoryListing.make(made.store, now: now)
    #expect(listing.timelines.filter(\.isCutOff).map(\.number) == [third])
    #expect(listing.text.contains("Timeline 3 was CUT OFF by a later claim"))
    let found = try await RepositoryDiagnosis(made.store, now: now).findings()
    #expect(found.contains { $0.check == "cut-off" && $0.verdict == .warning }, "\(found)")
    let verified = try await verify(made)
    let claim = ObjectPath.claim(TimelineNumber(4)!).text
    #expect(
      !verified.isSound && verified.findings.contains { $0.object == claim && $0.isFailure },
      "\(verified.text)")
    let before = Set(made.store.names)
    _ = try await plan(made, now)
    let gone = before.subtracting(made.store.names)
    #expect(gone.allSatisfy { !$0.hasPrefix(ObjectPath.timeline(third)) }, "\(gone)")
    #expect(try await made.choose(.timeline(third), now: now)?.id == newest)
  }

  @Test func `what came late does not exist, as before`() async throws {
    let clock = Clock()
    let made = try await history(clock)
    let last = clock.now
    // The last object was stored ten minutes before the claim, but the claimant's listing did not have it.
    clock.set(last.advanced(byMilliseconds: 600_000))
    let ends = (1...5).map { Claim.End.OrdinalEnd(ordinal: $0, offset: 56) }
    try await made.addClaim(
      4, at: clock.now.milliseconds, parentSnapshots: 6,
      ordinals: ends + [.init(ordinal: 6, offset: 42)])
    let now = clock.now.advanced(byMilliseconds: 3_600_000)
    let history = try await made.repository.history()
    #expect(history.cutOff.isEmpty)
    #expect(
      try await made.choose(.timeline(TimelineNumber(3)!), now: now)?.id == "3.6@6:42")
  }

  @Test func `what readers do not see counts in what a run announces`() async throws {
    let clock = Clock()
    let made = try await MadeRepository(clock: { clock.now })
    try await made.addClaim(1, at: 0)
    try await made.addSnapshot(1, 1, dumpAt: 0)
    try await made.addClaim(2, at: 1, parentSnapshots: 1)
    try await made.addSnapshot(2, 1, dumpAt: 1)
    // All of these came late.
    for sequence in 2...6 { try await made.addSnapshot(1, sequence, dumpAt: 2) }
    let now = at(20 * Self.day)
    clock.set(now)
    let report = try await Pruner(
      made.repository,
      options: .init(policy: RetentionPolicy(keepWithin: 0, keepDaily: 0), by: "test"),
      now: { now }
    ).run()
    #expect(report.result == .announced, "\(report)")
    #expect(made.store.names.count { $0.hasPrefix("timelines/00000001/snapshots/") } == 6)
  }

  // MARK: Random objects

  private struct Intruder {
    let made: MadeRepository
    var random: SeededRandom
    let end: Int64
    /// Whether it can seal objects that a reader can open.
    let hasKey: Bool
    /// The frame of an unencrypted repository.
    let frame: BackupFormat.Frame
    var next = 4
    var created: [String] = []

    mutating func number(_ range: ClosedRange<Int>) -> Int {
      Int.random(in: range, using: &random)
    }
    mutating func time() -> Int64 {
      [0, Int64.random(in: 0...end, using: &random), end, 4 * end][number(0...3)]
    }

    mutating func act() async throws {
      switch number(0...12) {
      case 0...4 where hasKey: try await claim()
      case 5,
        6 where hasKey:
        try await snapshot()
      case 7...9: try await operation()
      default: try await log()
      }
    }

    /// Adds a log object that overlaps the shipper's log, follows it, or belongs to a file that no snapshot
    /// names. Its content is garbage, or a log object with another process's nonce or with the shipper's.
    mutating func log() async throws {
      let timeline = number(1...3)
      let bytes = [UInt8](repeating: 7, count: number(1...100))
      let from = UInt64([0, 14, 28, 42, 56, number(0...60)][number(0...5)])
      let span = LogSpan(
        from: from, to: from + UInt64(bytes.count), mark: number(0...3) == 0 ? nil : at(time()),
        digest: made.repository.frame.digest(bytes).short)
      let name = ObjectPath.log(TimelineNumber(timeline)!, ordinal: number(1...8), span)
      let payload = LogPayload(
        nonce: nonce(number(0...1) == 0 ? timeline : 99), marks: [], bytes: bytes)
      let sealed = try frame.seal(payload.encoded(), kind: .log, name: name)
      _ = try await made.store.create(name.text, number(0...2) == 0 ? [1, 2, 3] : sealed)
      created.append(name.text)
    }

    private mutating func claim() async throws {
      let timeline = TimelineNumber(next)!
      let parent = number(0...(next - 1))
      let ordinals = (1...7).map {
        Claim.End.OrdinalEnd(ordinal: $0, offset: UInt64(number(0...80)))
      }
      let claim = Claim(
        timeline: timeline, nonce: nonce(next), repository: made.repository.id, source: "s",
        instance: "i", directory: "d", claimedAt: at(time()), writer: "intruder",
        parent: TimelineNumber(parent),
        fork: parent == 0 || number(0...1) == 0
          ? nil
          : LogPosition(
            timeline: TimelineNumber(parent)!, ordinal: number(1...7),
            offset: UInt64(number(0...56))),
        end: parent == 0 ? nil : .init(snapshots: number(0...7), ordinals: ordinals),
        suspicion: nil, place: Claim.Place())
      if number(0...9) == 0 {
        _ = try await made.store.create(ObjectPath.claim(timeline).text, [1, 2, 3])
      } else {
        _ = try await made.repository.create(claim, .claim(timeline), kind: .claim)
      }
      next += 1
      if number(0...1) == 0 { try await made.addSnapshot(next - 1, 1, dumpAt: time()) }
    }

    /// Adds a snapshot of another process, without the timeline's nonce.
    private mutating func snapshot() async throws {
      try await made.addSnapshot(number(1...3), 8, dumpAt: time(), by: 99)
    }

    private mutating func operation() async throws {
      let generations = made.store.names.filter { $0.hasPrefix("generations/") }
        .map { String($0.split(separator: "/")[1]) }
      let id = generations[number(0...(generations.count - 1))]
      let names = ["ops/quarantines/\(id)", "ops/prunes/0000000000001-00000000", "ops/releases/p"]
      _ = try await made.store.create(names[number(0...2)], [7])
    }
  }

  private func makeIntruder(_ made: MadeRepository, _ seed: UInt64, _ end: Instant, hasKey: Bool)
    async throws -> Intruder
  {
    Intruder(
      made: made, random: SeededRandom(seed: seed), end: end.milliseconds, hasKey: hasKey,
      frame: try await MadeRepository().repository.frame)
  }

  private static let key = KeySource(
    file: nil, value: EncryptionKey(bytes: Array(0..<32)).reveal())

  @Test(arguments: [false, true])
  func `an intruder who creates objects never shortens what a policy keeps`(isEncrypted: Bool)
    async throws
  {
    let base = UInt64.random(in: 0 ... .max)
    let keys = isEncrypted ? Self.key : .none
    let clock = Clock()
    let whole = try await history(clock, keys)
    let end = clock.now.advanced(byMilliseconds: 3_600_000)
    let now = end.advanced(byMilliseconds: 2 * Self.day)
    // In an encrypted repository, every upload has different bytes under the same names.
    let legitimate = Set(whole.store.names.filter { !$0.hasPrefix("keys/") })
    clock.set(now)
    _ = try await plan(whole, now)
    let kept = Set(whole.store.names)
    var decided = 0
    for round in 0..<12 {
      let seed = base &+ UInt64(round)
      let made = try await history(clock, keys)
      clock.set(end)
      var intruder = try await makeIntruder(made, seed, end, hasKey: !isEncrypted)
      for _ in 0..<intruder.number(1...12) { try await intruder.act() }
      clock.set(now)
      do {
        _ = try await plan(made, now)
        decided += 1
      } catch let error as LifeboatError where error.code == .corrupt {}
      // The digests of log differ between encrypted repositories.
      func place(_ name: String) -> String {
        guard case .log(let number, let ordinal, let span) = ObjectPath(name) else { return name }
        return "\(number)/\(ordinal)/\(span.from)-\(span.to)"
      }
      let left = Set(made.store.names.map(place))
      let lost = Set(legitimate.intersection(kept).map(place)).subtracting(left)
        .filter { !$0.hasPrefix("ops/") }
      #expect(lost.isEmpty, "seed \(seed): \(lost.sorted())")
    }
    #expect(decided > 0, "most runs refused: they show nothing")
  }

  /// Every state that a policy keeps is unchanged, or `verify` names the object that hides it.
  @Test(arguments: [false, true])
  func `an intruder's log changes no answer without a finding`(isEncrypted: Bool) async throws {
    let base = UInt64.random(in: 0 ... .max)
    let keys = isEncrypted ? Self.key : .none
    let clock = Clock()
    for round in 0..<8 {
      let seed = base &+ UInt64(round)
      let made = try await history(clock, keys)
      let end = clock.now
      let times = (Int64(1)...80).map { $0 * Self.day / 4 + 3_600_000 }.filter {
        $0 < end.milliseconds
      }
      var before: [String] = []
      for time in times { before.append((try? await made.known(at: time))?.id ?? "none") }
      var intruder = try await makeIntruder(made, seed, end, hasKey: !isEncrypted)
      for _ in 0..<intruder.number(1...6) { try await intruder.log() }
      let report = try await Verifier(
        made.copy(), options: .init(sample: nil, by: "test", keys: keys), now: { at(5000) },
        draw: { 0 }, progress: { _, _ in }
      ).run()
      let named = Set(report.findings.filter(\.isFailure).map(\.object))
      for (time, id) in zip(times, before) {
        let after = (try? await made.known(at: time))?.id ?? "none"
        let isNamed = intruder.created.contains { named.contains($0) }
        #expect(after == id || isNamed, "seed \(seed), \(time): \(id) became \(after)")
      }
    }
  }
}
