import RedisFormats
import Testing

/// Data that the walker can't know must not count as verified, and must not be called broken.
struct RDBUnknownTests {
  private static let cases: [(String, [UInt8])] = [
    ("REDIS0016", []), ("REDIS0080", []), ("VALKEY079", []), ("VALKEY082", []), ("VALKEY011", []),
    ("REDIS0015", [29, 1, 107, 1, 2, 3]), ("REDIS0014", [31, 1, 107]), ("REDIS0012", [33, 1, 107]),
    ("REDIS0012", [6, 1, 107]), ("REDIS0012", [8, 1, 107]), ("REDIS0012", [0xf6, 1, 107]),
    ("REDIS0013", [0xf1, 1, 0, 0, 0, 0, 0]), ("VALKEY080", [24, 1, 107]),
    ("VALKEY080", [25, 1, 107]),
    ("VALKEY081", [0xf2, 1]), ("REDIS0012", [200, 1]),
  ]

  @Test(arguments: cases.indices)
  func isNeitherEndedNorMalformed(_ index: Int) {
    let (magic, records) = RDBUnknownTests.cases[index]
    let file = rdb(records, magic: magic)
    for cuts in [[], Array(1..<file.count), [9], [file.count - 3]] {
      let (walker, used) = walk(file, cutAt: cuts)
      guard case .unknown(let fault) = walker.state else {
        Issue.record("\(magic) \(records): \(walker.state)")
        continue
      }
      #expect(used == file.count)
      #expect(fault.offset <= 9)
      #expect(fault.reason.contains("not verified"))
      #expect(walker.summary.checksum == .matches)
      #expect(walker.summary.byteCount == UInt64(file.count))
    }
  }

  /// Signs that a program wrote a file, although this release can't read it.
  @Test(arguments: [
    "NEWKV0001", "REDIX0012", "REDISabcd", "KEYDB0009", "abc\u{1}\u{2}\u{3}\u{4}\u{5}\u{6}",
    "VCS\u{1}\u{3}\0\u{1}", "VCS\u{2}\u{1}\0\u{1}",
    "VCS\u{1}\u{1}\0\u{2}", "VCS\u{1}\u{1}\u{1}\u{1}",
  ])
  func anotherMagicOrEnvelopeIsUnknown(_ head: String) {
    let file = bytes(head) + [UInt8](repeating: 9, count: 40)
    for cuts in [[], Array(1..<file.count), [2], [6], [8]] {
      let (walker, used) = walk(file, cutAt: cuts)
      guard case .unknown(let fault) = walker.state else {
        Issue.record("\(head) cut at \(cuts): \(walker.state)")
        continue
      }
      #expect(used == file.count && fault.offset == 0 && fault.reason.contains("not verified"))
      #expect(walker.summary.checksum == .pending && walker.summary.isPartial)
      #expect(!walker.hasContent && !walker.knowsTrailer)
    }
  }

  @Test func aLogTakesAMagicThatIsNotKnownOnlyWhereItMayBeginWithOne() {
    let file = bytes("NEWKV0001 and more")
    for takesAnyMagic in [true, false] {
      var scanner = AOFScanner(takesAnyMagic: takesAnyMagic)
      file.withUnsafeBytes { scanner.consume($0) }
      #expect(scanner.fault?.offset == 0)
      #expect((scanner.unknown != nil) == takesAnyMagic)
    }
    let known = scan(bytes("REDIS0099") + [UInt8](repeating: 1, count: 20))
    #expect(known.unknown?.reason.contains("version 99") == true && known.fault != nil)
    #expect(scan(bytes("Rubbish in a log")).unknown == nil)
    #expect(scan(bytes("Rubbish in a log")).fault != nil)
  }

  @Test func checksTheTrailerOfWhatItCannotWalk() {
    let file = rdb([60, 1, 107, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5])
    for index in 10..<file.count {
      var damaged = file
      damaged[index] ^= 4
      #expect(walk(damaged, cutAt: [index]).walker.summary.checksum == .differs)
    }
    let switchedOff = rdb([60, 1, 107], checksum: false)
    #expect(walk(switchedOff).walker.summary.checksum == .none)
  }

  @Test func keepsWhatItCountedBefore() {
    let (walker, _) = walk(rdb([0xfe, 0, 0, 1, 107, 1, 118, 60, 1, 107]))
    #expect(walker.summary.keys == 1)
    #expect(walker.hasContent)
  }
}
