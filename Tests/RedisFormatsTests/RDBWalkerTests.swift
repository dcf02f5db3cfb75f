import RedisFormats
import Testing

struct RDBWalkerTests {
  @Test func readsTheVector() {
    let (walker, used) = walk(vector)
    #expect(walker.state == .ended(at: 131))
    #expect(used == 131)
    #expect(walker.hasContent)
    let summary = walker.summary
    #expect(summary.magic == "REDIS")
    #expect(summary.version == 10)
    #expect(summary.serverVersion == "7.0.15")
    #expect(!summary.isValkey)
    #expect(summary.createdAtSeconds == 0x6b03_5d2d)
    #expect(summary.auxiliary["redis-bits"] == "64")
    #expect(summary.checksum == .matches)
    #expect(summary.byteCount == 131)
    #expect(summary.keys == 3)
    #expect(summary.expires == 0)
    #expect(summary.elements == 2)
    #expect(
      summary.databases == [
        0: DatabaseSummary(
          keys: 3,
          types: [
            "string": TypeSummary(keys: 1, elements: 0, bytes: 2, largest: 2),
            "list": TypeSummary(keys: 1, elements: 1, bytes: 12, largest: 12),
            "hash": TypeSummary(keys: 1, elements: 1, bytes: 14, largest: 14),
          ])
      ])
  }

  @Test func doesNotDependOnThePieces() {
    let whole = walk(vector).walker
    let single = walk(vector, cutAt: Array(1..<vector.count)).walker
    #expect(single.state == whole.state)
    #expect(single.summary == whole.summary)
    for first in 0...vector.count {
      for second in first...vector.count {
        let (walker, used) = walk(vector, cutAt: [first, second])
        #expect(walker.state == whole.state, "cut at \(first) and \(second)")
        #expect(walker.summary == whole.summary, "cut at \(first) and \(second)")
        #expect(used == vector.count)
      }
    }
  }

  @Test func leavesWhatFollowsTheTrailer() {
    let tail = command("SET", "k", "v")
    for cut in 0...(vector.count + tail.count) {
      let (walker, used) = walk(vector + tail, cutAt: [cut])
      #expect(walker.state == .ended(at: 131), "cut at \(cut)")
      #expect(used == 131, "cut at \(cut)")
      #expect(walker.summary.byteCount == 131)
    }
  }

  @Test func neverAcceptsATruncatedFile() {
    for count in 0..<vector.count {
      var walker = RDBWalker()
      let used = vector.prefix(count).withUnsafeBytes { walker.consume($0) }
      #expect(used == count)
      #expect(walker.state == .walking, "cut at \(count)")
      guard case .malformed(let fault) = walker.finish() else {
        Issue.record("accepted when cut at \(count)")
        continue
      }
      #expect(fault.reason.contains("truncated"))
      #expect(fault.offset <= UInt64(count))
    }
  }

  @Test func neverAcceptsAFlippedBit() {
    for bit in 0..<(8 * vector.count) {
      var damaged = vector
      damaged[bit / 8] ^= 1 << UInt8(bit % 8)
      for cuts in [[], Array(1..<damaged.count)] {
        let (walker, _) = walk(damaged, cutAt: cuts)
        #expect(walker.summary.checksum != .matches, "bit \(bit)")
        if case .ended = walker.state { Issue.record("accepted with bit \(bit) flipped") }
      }
    }
  }

  @Test func saysThatTheChecksumDiffers() {
    var damaged = vector
    damaged[130] ^= 1
    let (walker, used) = walk(damaged)
    #expect(
      walker.state
        == .malformed(
          FileFault(
            offset: 123, reason: "checksum differs: the trailer does not match the content")))
    #expect(walker.summary.checksum == .differs)
    #expect(used == 131)
  }

  @Test func acceptsAFileWithoutChecksum() {
    let (walker, _) = walk(vector.dropLast(8) + [UInt8](repeating: 0, count: 8))
    #expect(walker.state == .ended(at: 131))
    #expect(walker.summary.checksum == .none)
  }

  @Test func anOldVersionEndsWithoutTrailer() {
    let (walker, used) = walk(bytes("REDIS0004") + [0xfe, 0, 0, 1, 97, 1, 98, 0xff, 42])
    #expect(walker.state == .ended(at: 17))
    #expect(used == 17)
    #expect(walker.summary.checksum == .none)
    #expect(walker.summary.keys == 1)
  }

  @Test func anEmptyFileHasNoContent() {
    let (walker, _) = walk(rdb([]))
    #expect(walker.state == .ended(at: 18))
    #expect(!walker.hasContent)
    #expect(walker.summary.databases.isEmpty)
  }

  @Test func aFunctionLibraryIsContent() {
    let (walker, _) = walk(rdb([0xf5, 3, 1, 2, 3]))
    #expect(walker.state == .ended(at: 23))
    #expect(walker.hasContent)
    #expect(walker.summary.functions == 1)
    #expect(walker.summary.keys == 0)
  }

  @Test(arguments: [
    "", "X", "REDI", "VALKEY0", "VC", "VCS\u{1}\u{1}\0", "NEWKV", "VALK\0",
    "RED\0\0\0\0\0\0\0\0\0\0",
    "REDIS00-1", "REDIS0000", "REDIS\0\0\0\0\0", "\0\0\0\0\0\0\0\0\0\0\0\0",
    "PK\u{3}\u{4}archive-of-things",
    "<html>not a dump</html>", "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\nb\r\n",
    "\u{7f}ELF and more of it",
  ])
  func refusesWhatNoServerCanHaveMeant(_ text: String) {
    guard case .malformed = walk(bytes(text)).walker.state else {
      Issue.record("accepted \(text)")
      return
    }
  }

  @Test(arguments: [0x82, 0xbf] as [UInt8])
  func refusesAnInvalidLength(_ encoding: UInt8) {
    let state = walk(rdb([0xfe, encoding])).walker.state
    #expect(state == .malformed(FileFault(offset: 10, reason: "invalid length encoding")))
  }

  /// Where no string can be, a server uses the number of a special encoding.
  @Test func takesASpecialEncodingAsANumber() {
    let summary = walk(rdb([0xfe, 0xc3, 0, 1, 107, 1, 118])).walker.summary
    #expect(summary.databases[3]?.keys == 1)
  }

  /// A size in the header of a packed value that contradicts the string around it.
  @Test func refusesAListpackOfAnotherSize() {
    let blob: [UInt8] = [9, 0, 0, 0, 0, 0, 0xff]
    guard case .malformed(let fault) = walk(rdb([16, 1, 107, 7] + blob)).walker.state else {
      Issue.record("accepted")
      return
    }
    #expect(fault.reason == "a packed value of 7 bytes claims to have 9")
  }

  @Test func boundsWhatItKeepsOfAuxiliaryFields() {
    var records: [UInt8] = []
    for number in 0..<100 {
      records += [0xfa, 2, UInt8(65 + number / 26), UInt8(65 + number % 26), 1, 49]
    }
    records += [0xfa, 1, 97, 0x41, 0x01] + [UInt8](repeating: 120, count: 257)
    records += [0xfa, 1, 98, 1, 0xff]
    let (walker, _) = walk(rdb(records))
    #expect(walker.summary.checksum == .matches)
    #expect(walker.summary.auxiliary.count == 64)
    #expect(walker.summary.auxiliary["a"] == nil)
    #expect(walker.summary.auxiliary["b"] == nil)
  }

  @Test func skipsAStringOfFourGibibytesAsAStream() {
    var walker = RDBWalker()
    let head = bytes("REDIS0012") + [0xfe, 0, 0, 1, 107, 0x81, 0, 0, 0, 1, 0, 0, 0, 0]
    _ = head.withUnsafeBytes { walker.consume($0) }
    let piece = [UInt8](repeating: 7, count: 1 << 20)
    for _ in 0..<8 { #expect(piece.withUnsafeBytes { walker.consume($0) } == piece.count) }
    #expect(walker.state == .walking)
    #expect(walker.summary.byteCount == UInt64(head.count + 8 << 20))
  }
}
