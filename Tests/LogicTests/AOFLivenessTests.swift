import BackupTypes
import RedisFormats
import TestSupport
import Testing

/// Whether the AOF is live (design 4, decision 0005).
@Suite struct AOFLivenessTests {
  private func moment(_ milliseconds: Int64) -> FileMoment {
    FileMoment(seconds: milliseconds / 1000, nanoseconds: milliseconds % 1000 * 1_000_000)
  }
  private func judge(
    write: Int64?, manifest: Int64? = nil, born: Int64?, modified: Int64, content: Int64? = nil
  ) -> AOFLiveness {
    AOFLiveness.judge(
      lastWrite: write.map(moment), manifestModified: manifest.map(moment),
      dump: .init(
        born: born.map(moment), modified: moment(modified), contentAtSeconds: content))
  }

  @Test func `without a dump an AOF set is live, also one with only a BASE`() {
    #expect(
      AOFLiveness.judge(lastWrite: moment(1), manifestModified: nil, dump: nil) == .live)
    #expect(AOFLiveness.judge(lastWrite: nil, manifestModified: nil, dump: nil) == .live)
  }

  @Test func `a manifest without an i line beside a dump is not live`() {
    #expect(judge(write: nil, manifest: 9000, born: 1000, modified: 2000) == .quiet)
  }

  @Test(
    arguments: [
      // (last write, manifest, verdict). The dump was born at 5000 and written until 6000.
      (4999, nil, .quiet), (5000, nil, .live), (5001, nil, .live), (9000, nil, .live),
      (4999, 4998, .quiet), (4000, 5000, .live), (4000, 9000, .live),
    ] as [(Int64, Int64?, AOFLiveness)])
  func `what was written after the dump's file was made is live`(
    _ write: Int64, _ manifest: Int64?, _ expected: AOFLiveness
  ) {
    #expect(
      judge(write: write, manifest: manifest, born: 5000, modified: 6000, content: 1) == expected)
  }

  @Test func `a copied file's birth time is not used: whole seconds of its content decide`() {
    for born in [nil, 6001] as [Int64?] {
      #expect(judge(write: 4999, born: born, modified: 6000, content: 4) == .quiet)
      #expect(judge(write: 5000, born: born, modified: 6000, content: 4) == .live)
      #expect(judge(write: 5999, born: born, modified: 6000) == .quiet)
      #expect(judge(write: 7000, born: born, modified: 6000) == .live)
    }
    // The audit does not know the time inside the dump, but comes to the same verdict as the plan.
    for content in [nil, 6] as [Int64?] {
      #expect(judge(write: 6700, born: 9000, modified: 6500, content: content) == .live)
      // A restore gives a dump the time of its content, which is a whole second.
      #expect(judge(write: 6700, born: 9000, modified: 6000, content: content) == .quiet)
    }
    #expect(judge(write: 6000, born: 6000, modified: 6000) == .live, "born when it was written")
  }

  /// A volume was copied, and then an old dump was copied over the dump. The file was born with the copy, but
  /// its content is older than the log.
  @Test func `beside a log that was copied the birth time of a dump is not used`() {
    func judge(log born: Int64?, write: Int64, content: Int64?) -> AOFLiveness {
      AOFLiveness.judge(
        lastWrite: moment(write), logBorn: born.map(moment), manifestModified: nil,
        dump: .init(born: moment(10_000), modified: moment(12_500), contentAtSeconds: content))
    }
    #expect(judge(log: 10_000, write: 9500, content: 8) == .live)
    #expect(judge(log: 10_000, write: 9500, content: 9) == .quiet, "of the same second")
    #expect(judge(log: 10_000, write: 9500, content: 11) == .quiet, "saved after the copy")
    #expect(judge(log: 10_000, write: 9500, content: nil) == .quiet, "read it first")
    // If the log was created here, the birth of the dump decides, whatever a primary's clock says.
    for born in [nil, 3000, 9500] as [Int64?] {
      #expect(judge(log: born, write: 9500, content: 8) == .quiet)
    }
    #expect(judge(log: 10_000, write: 11_000, content: 8) == .live, "written since the copy")
  }

  @Test func `a clock that was set back makes a dump contradict itself`() {
    // The save began at 100 s, the clock was set back to 15 s, and the save ended at 16 s. The AOF was
    // written meanwhile.
    func judge(now: Int64, content: Int64?) -> AOFLiveness {
      AOFLiveness.judge(
        lastWrite: moment(15_600), manifestModified: nil,
        dump: .init(born: moment(100_000), modified: moment(16_200), contentAtSeconds: content),
        now: at(now))
    }
    #expect(judge(now: 20_000, content: nil) == .unknown, "born in the future")
    #expect(judge(now: 200_000, content: 100) == .unknown, "complete before its fork")
    #expect(judge(now: 200_000, content: 16) == .quiet, "a copy")
  }

  @Test func `a stopped AOF is never taken for a live one, and a later write always shows`() async {
    for seed in UInt64(1)...2000 {
      await Task.yield()  // tests that wait need a thread
      var random = SeededRandom(seed: seed)
      let stop = Int64(random.int(0...10_000))
      let fork = stop + Int64(random.int(1...3000))
      let born = fork + Int64(random.int(0...5))
      let modified = born + Int64(random.int(0...5000))
      let content = random.chance(50) ? fork / 1000 : nil
      #expect(
        judge(write: stop, born: born, modified: modified, content: content) == .quiet,
        "seed \(seed)")
      #expect(
        judge(write: modified + 1000, born: born, modified: modified, content: content) == .live,
        "seed \(seed)")
    }
  }

  @Test func `moments are ordered in full resolution, and become instants without trapping`() {
    #expect(FileMoment(seconds: 1, nanoseconds: 999) < FileMoment(seconds: 2, nanoseconds: 0))
    #expect(FileMoment(seconds: 1, nanoseconds: 1) > FileMoment(seconds: 1, nanoseconds: 0))
    #expect(FileMoment(seconds: 1, nanoseconds: 1_999_999).instant == at(1001))
    #expect(FileMoment(seconds: .max, nanoseconds: .max).instant == at(.max))
    #expect(FileMoment(seconds: .min, nanoseconds: 0).instant == at(.min))
  }
}
