import RedisFormats
import TestSupport
import Testing

/// An RDB inside a compressed frame is read, counted and checked up to the byte where the frame ends.
struct RDBFrameTests {
  private static let plain: [UInt8] = {
    var records: [UInt8] = [0xfe, 0]
    for index in 0..<900 {
      let name = Array("key:\(index &* 7919)".utf8)
      records += [0, UInt8(name.count)]
      records += name
      // More than one LZ4 block in total.
      records += [0x40, 100]
      for place in 0..<100 {
        records.append(UInt8(truncatingIfNeeded: place &* index ^ place >> 2))
      }
    }
    return rdb(records, magic: "VALKEY081", checksum: false)
  }()

  @Test(arguments: CompressedRDB.Codec.allCases, [true, false])
  func isReadToTheEndOfItsFrame(_ codec: CompressedRDB.Codec, checksum: Bool) {
    let file = CompressedRDB.wrap(RDBFrameTests.plain, codec, checksum: checksum)
    let tail = command("SET", "a", "b")
    for cuts in [[], Array(1..<40), [7], [11, file.count - 1], [file.count]] {
      let (walker, used) = walk(file + tail, cutAt: cuts)
      #expect(walker.state == .ended(at: UInt64(file.count)), "cut at \(cuts): \(walker.state)")
      #expect(used == file.count)
      #expect(walker.summary.keys == 900 && walker.summary.magic == "VALKEY")
      #expect(walker.summary.byteCount == UInt64(file.count))
      #expect(walker.summary.checksum == (checksum ? .matches : .none))
      var scanner = AOFScanner()
      for piece in pieces(file + tail, cutAt: cuts) {
        piece.withUnsafeBytes { scanner.consume($0) }
      }
      #expect(scanner.boundary == UInt64(file.count + tail.count))
      #expect(scanner.commands == 1 && scanner.preamble?.keys == 900)
    }
  }

  @Test(arguments: CompressedRDB.Codec.allCases)
  func aCutOrChangedFrameIsBroken(_ codec: CompressedRDB.Codec) {
    let file = CompressedRDB.wrap(RDBFrameTests.plain, codec)
    for count in [8, 12, 20, file.count / 2, file.count - 4, file.count - 1] {
      isMalformed(Array(file.prefix(count)), "cut to \(count)")
    }
    for index in stride(from: 11, to: file.count, by: max(1, file.count / 41)) {
      var damaged = file
      damaged[index] ^= 0x10
      let (walker, _) = walk(damaged)
      // A changed flag in the frame's header may only mean that more follows, or that there is no checksum.
      if index < 24, case .ended = walker.state { continue }
      isMalformed(damaged, "byte \(index)")
    }
  }

  @Test(arguments: CompressedRDB.Codec.allCases)
  func theFrameIsCheckedAlsoBehindWhatIsNotKnown(_ codec: CompressedRDB.Codec) {
    let unknown = Array(RDBFrameTests.plain.dropLast(9)) + [60, 1, 107] + [UInt8](0..<200)
    let file = CompressedRDB.wrap(unknown, codec)
    guard case .unknown(let fault) = walk(file).walker.state else {
      Issue.record("\(walk(file).walker.state)")
      return
    }
    #expect(fault.reason.contains("type 60") && fault.reason.contains("of the unpacked frame"))
    #expect(walk(file).walker.summary.isPartial)
    isMalformed(Array(file.dropLast()), "cut behind what is not known")
    var damaged = file
    damaged[file.count - 6] ^= 1
    isMalformed(damaged, "changed behind what is not known")
  }

  @Test func whatContradictsItselfIsBroken() {
    isMalformed(CompressedRDB.wrap(Array(RDBFrameTests.plain.dropLast(9)), .lz4), "no end inside")
    isMalformed(CompressedRDB.wrap(RDBFrameTests.plain + [1, 2], .zstd), "more than an RDB inside")
    isMalformed(CompressedRDB.envelope(1) + bytes("no frame at all"), "no frame")
    isMalformed(CompressedRDB.envelope(2), "nothing behind the envelope")
  }

  private func isMalformed(_ file: [UInt8], _ what: String) {
    for cuts in [[], [min(9, file.count)]] {
      let state = walk(file, cutAt: cuts).walker.state
      guard case .malformed = state else {
        Issue.record("\(what): \(state)")
        return
      }
    }
  }
}
