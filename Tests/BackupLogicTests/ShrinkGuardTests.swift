import BackupFormat
import BackupLogic
import BackupTypes
import Testing

/// Empty, much smaller: suspect (design 4). Older is judged where the logs are compared.
@Suite struct ShrinkGuardTests {
  private typealias Reason = Claim.Suspicion.Reason
  private let known = ShrinkGuard.Known(keys: 7, elements: 1000, bytes: 100_000)

  private func judge(
    _ keys: UInt64, _ elements: UInt64, _ bytes: UInt64, added: UInt64 = 0, addedBytes: UInt64 = 0
  ) -> Reason? {
    ShrinkGuard.judge(
      known: known, found: .init(keys: keys, elements: elements, bytes: bytes), added: added,
      addedBytes: addedBytes
    )?.reason
  }

  @Test func `no keys where there were some is empty, unless a log fills it`() {
    #expect(judge(0, 0, 100_000) == .empty)
    #expect(judge(0, 0, 88, added: 100, addedBytes: 10_000) == nil)
    #expect(judge(0, 0, 88, added: 99, addedBytes: 10_000) == .smaller)
  }

  @Test func `elements or bytes below a tenth are much smaller; keys alone say little`() {
    #expect(judge(1, 1000, 100_000) == nil)
    #expect(judge(1, 100, 10_000) == nil)
    #expect(judge(1, 99, 100_000) == .smaller)
    #expect(judge(7, 1000, 9999) == .smaller)
    #expect(judge(7, 1000, 9999, addedBytes: 1) == nil)
  }

  @Test func `where nothing was known, or it had no keys, nothing is suspect`() {
    let empty = ShrinkGuard.Known(keys: 0, elements: 0, bytes: 88)
    #expect(ShrinkGuard.judge(known: nil, found: empty) == nil)
    #expect(ShrinkGuard.judge(known: empty, found: empty) == nil)
    #expect(ShrinkGuard.judge(known: empty, found: known) == nil)
  }

  @Test func `small datasets, growth and absurd numbers trap nowhere`() {
    let numbers: [UInt64] = [0, 1, 9, 10, 11, .max - 1, .max]
    for a in numbers {
      for b in numbers {
        for c in numbers {
          let found = ShrinkGuard.Known(keys: max(1, b), elements: b, bytes: b)
          let same = ShrinkGuard.Known(keys: a, elements: a, bytes: a)
          let verdict = ShrinkGuard.judge(known: same, found: found, added: 0, addedBytes: 0)
          #expect((verdict == nil) == (a == 0 || b >= a / 10))
          _ = ShrinkGuard.judge(known: same, found: found, added: c, addedBytes: c)
          _ = ShrinkGuard.judgeLogs(known: a, found: same, foundBytes: c)
        }
      }
    }
  }

  @Test func `logs are compared only where no full copy has the keys`() {
    let nothing = ShrinkGuard.Known(keys: 0, elements: 0, bytes: 0)
    #expect(ShrinkGuard.judgeLogs(known: 1000, found: nothing, foundBytes: 99)?.reason == .smaller)
    #expect(ShrinkGuard.judgeLogs(known: 1000, found: nothing, foundBytes: 100) == nil)
    #expect(ShrinkGuard.judgeLogs(known: 1000, found: known, foundBytes: 0) == nil)
    #expect(ShrinkGuard.judgeLogs(known: 0, found: nothing, foundBytes: 0) == nil)
  }

  @Test func `a generation counts with the size of its file`() {
    let counted = ShrinkGuard.Known(dataset: dataset(keys: 3, elements: 40), bytes: 500)
    #expect(counted == .init(keys: 3, elements: 40, bytes: 500))
  }
}
