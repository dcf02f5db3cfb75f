import RedisFormats
import TestSupport
import Testing

/// Compressed and packed strings are checked like in a server that loads them (`LZFDecoder`, `PackedCheck`).
/// `LoadedByServersTests` shows what servers load and refuse.
struct PackedCheckTests {
  /// Why a file is damaged. It has no checksum, and its only key `k` has this type and value.
  private func reason(
    _ type: UInt8, _ value: [UInt8], magic: String = "REDIS0012", before: [UInt8] = []
  ) -> String? {
    let file = rdb(before + [type, 1, 107] + value, magic: magic, checksum: false)
    let (whole, _) = walk(file)
    for cut in 0...file.count {
      #expect(walk(file, cutAt: [cut]).walker.state == whole.state, "cut at \(cut)")
    }
    #expect(walk(file, cutAt: Array(1..<file.count)).walker.state == whole.state)
    guard case .malformed(let fault) = whole.state else {
      #expect(whole.state == .ended(at: UInt64(file.count)))
      return nil
    }
    return fault.reason
  }

  // MARK: LZF

  private func string(_ body: [UInt8], for size: UInt8) -> [UInt8] {
    [0xc3, UInt8(body.count), size] + body
  }

  /// Literals, a copy, and a copy that overlaps its own output.
  @Test(
    arguments: [
      ([0x02, 97, 98, 99], 3), ([0x00, 97, 0x20, 0x00], 4), ([0x00, 97, 0xe0, 0x10, 0x00], 26),
      // The compressed bytes of an empty string are not checked.
      ([0x02, 97], 0), ([], 0),
    ] as [([UInt8], UInt8)])
  func `a sound compressed string`(_ body: [UInt8], _ size: UInt8) {
    #expect(reason(0, string(body, for: size)) == nil)
    let value = RDBValueReader.read(string(body, for: size), type: 0)
    guard case .string(let text) = value else { return #expect(size == 0 && body.count == 2) }
    #expect(text.count == Int(size))
  }

  @Test(
    arguments: [
      // Shorter and longer than announced, and a copy from before the beginning.
      ([0x02, 97, 98, 99], 4), ([0x02, 97, 98, 99], 2), ([0x00, 97, 0x20, 0x01], 4),
      ([0x20, 0x00], 3),
      // An end in the middle of each instruction.
      ([0x02, 97, 98], 3), ([0x00, 97, 0x20], 4), ([0x00, 97, 0xe0], 10),
      ([0x00, 97, 0xe0, 1], 10),
      ([], 1),
    ] as [([UInt8], UInt8)])
  func `a damaged compressed string`(_ body: [UInt8], _ size: UInt8) {
    #expect(reason(0, string(body, for: size)) == "a compressed string is damaged")
    #expect(RDBValueReader.read(string(body, for: size), type: 0) == nil)
  }

  /// A copy refers to 8 KiB back, and the output is several times as long as the window.
  @Test func `a long compressed string`() {
    var body: [UInt8] = []
    var plain: [UInt8] = []
    var generator = SeededRandom(seed: 1)
    while plain.count < 300_000 {
      let literals = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
      body += [31] + literals
      plain += literals
      guard plain.count > 8192 else { continue }
      let back = Int.random(in: 1...8192, using: &generator)
      body += [0xe0 | UInt8((back - 1) >> 8), 255, UInt8((back - 1) & 0xff)]
      for _ in 0..<264 { plain.append(plain[plain.count - back]) }
    }
    func length(_ count: Int) -> [UInt8] {
      [0x80] + (0..<4).map { UInt8(truncatingIfNeeded: count >> (24 - 8 * $0)) }
    }
    let value = [0xc3] + length(body.count) + length(plain.count) + body
    #expect(RDBValueReader.read(value, type: 0) == .string(plain))
    let file = rdb([0, 1, 107] + value, checksum: false)
    #expect(walk(file, cutAt: [file.count / 2]).walker.state == .ended(at: UInt64(file.count)))
    let short = [0xc3] + length(body.count) + length(plain.count - 1) + body
    guard case .malformed = walk(rdb([0, 1, 107] + short, checksum: false)).walker.state else {
      Issue.record("accepted")
      return
    }
  }

  // MARK: Packed strings

  private func listpack(_ entries: [UInt8], count: UInt16, end: [UInt8] = [0xff]) -> [UInt8] {
    let size = 6 + entries.count + end.count
    return [UInt8(size), 0, 0, 0, UInt8(count & 0xff), UInt8(count >> 8)] + entries + end
  }
  private func text(_ blob: [UInt8]) -> [UInt8] { [UInt8(blob.count)] + blob }

  /// `a` and 1, each followed by its length.
  private let pair: [UInt8] = [0x81, 97, 2, 1, 1]
  private let valkey: [UInt8] =
    [0xfa, 10] + bytes("valkey-ver") + [5] + bytes("9.1.2")

  @Test func `a listpack is judged by size and end`() {
    #expect(reason(16, text(listpack(pair, count: 2))) == nil)
    #expect(reason(16, text([8] + listpack(pair, count: 2).dropFirst())) != nil)
    #expect(
      reason(16, text(listpack(pair, count: 2, end: [0xfe])))
        == "a packed value does not end with its end byte")
    #expect(reason(16, [3, 3, 0, 0]) == "a packed value is too short for its header")
    // An integer is read as its text, which is not a listpack.
    #expect(reason(16, [0xc0, 42]) == "a packed value is too short for its header")
    // The same, compressed.
    let blob = listpack(pair, count: 2)
    #expect(reason(16, string([UInt8(blob.count - 1)] + blob, for: UInt8(blob.count))) == nil)
    let other = listpack(pair, count: 2, end: [0xfe])
    #expect(reason(16, string([UInt8(other.count - 1)] + other, for: UInt8(other.count))) != nil)
  }

  /// Redis loads this, but Valkey 9.1.2 does not.
  @Test(
    arguments: [
      [0x81, 97, 3, 1, 1], [0x85, 97, 2, 1, 1], [0xf5, 97, 2, 1, 1], [0x81, 97, 2, 1],
      [0x81, 97, 2, 0xff, 1],
    ] as [[UInt8]])
  func `damage inside a listpack`(_ entries: [UInt8]) {
    let value = text(listpack(entries, count: 2))
    #expect(reason(16, value) == nil)
    #expect(reason(16, value, magic: "VALKEY080") == nil)
    #expect(reason(16, value, magic: "VALKEY080", before: valkey) != nil)
    // If the header does not have the number of entries, they are counted up to an end byte.
    let isEnded = entries == [0x81, 97, 2, 0xff, 1]
    #expect((reason(16, text(listpack(entries, count: 0xffff))) == nil) == isEnded)
  }

  @Test func `what Valkey reads in a listpack`() {
    func reason(_ type: UInt8, _ value: [UInt8]) -> String? {
      self.reason(type, value, magic: "VALKEY080", before: valkey)
    }
    #expect(reason(16, text(listpack(pair, count: 2))) == nil)
    #expect(reason(16, text(listpack(pair, count: 3))) != nil)
    #expect(reason(16, text(listpack(pair + [1, 1], count: 3))) != nil)
    #expect(reason(20, text(listpack(pair + [1, 1], count: 3))) == nil)
    #expect(reason(18, [1, 2] + text(listpack(pair, count: 1))) != nil)
  }

  @Test func `a list node may not be empty`() {
    #expect(reason(18, [2, 1, 1, 97, 1, 0xc0, 1]) == nil)
    #expect(reason(18, [1, 1, 0]) == "a list node is empty")
  }

  @Test func `an intset`() {
    let ascending: [UInt8] = [2, 0, 0, 0, 2, 0, 0, 0, 0xff, 0xff, 1, 0]
    let descending: [UInt8] = [2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0xff, 0xff]
    #expect(reason(11, text(ascending)) == nil)
    #expect(reason(11, text(descending)) == nil)
    #expect(reason(11, text(ascending), magic: "VALKEY080", before: valkey) == nil)
    #expect(
      reason(11, text(descending), magic: "VALKEY080", before: valkey)
        == "the integers of a set do not ascend")
    #expect(reason(11, text([3] + ascending.dropFirst())) != nil)
    #expect(reason(11, text([2, 0, 0, 0, 0, 0, 0, 0])) == "a set of integers is empty")
    #expect(reason(11, text(ascending + [0, 0])) != nil)
  }

  /// `a` and 1; the file's version says whether it may be from Redis 6.2.
  @Test func `a ziplist`() {
    func ziplist(_ entries: [UInt8], count: UInt8, tail: UInt8, end: UInt8 = 0xff) -> [UInt8] {
      text([UInt8(11 + entries.count), 0, 0, 0, tail, 0, 0, 0, count, 0] + entries + [end])
    }
    func check(
      _ value: [UInt8], in62: Bool, in70: Bool, sourceLocation: SourceLocation = #_sourceLocation
    ) {
      #expect(
        (reason(13, value, magic: "REDIS0009") == nil) == in62, sourceLocation: sourceLocation)
      #expect(
        (reason(13, value, magic: "REDIS0010") == nil) == in70, sourceLocation: sourceLocation)
    }
    let sound: [UInt8] = [0, 1, 97, 3, 0xf2]
    check(ziplist(sound, count: 2, tail: 13), in62: true, in70: true)
    check(ziplist(sound, count: 2, tail: 13, end: 0), in62: false, in70: false)
    check(ziplist(sound, count: 2, tail: 99), in62: false, in70: false)
    check(ziplist(sound, count: 2, tail: 10), in62: true, in70: false)
    check(ziplist(sound, count: 4, tail: 13), in62: true, in70: false)
    check(ziplist([0, 1, 97, 4, 0xf2], count: 2, tail: 13), in62: true, in70: false)
    check(ziplist([0, 9, 97, 3, 0xf2], count: 2, tail: 13), in62: true, in70: false)
    // 6.2 also converts a list that is one ziplist.
    #expect(reason(10, ziplist(sound, count: 2, tail: 13), magic: "REDIS0006") == nil)
    let beyond = ziplist([0, 9, 97, 3, 0xf2], count: 2, tail: 13)
    #expect(reason(10, beyond, magic: "REDIS0006") != nil)
  }

  @Test func `a zipmap`() {
    #expect(reason(9, text([1, 1, 97, 1, 0, 98, 0xff]), magic: "REDIS0006") == nil)
    // Two bytes after the value are free.
    #expect(reason(9, text([1, 1, 97, 1, 2, 98, 0, 0, 0xff]), magic: "REDIS0006") == nil)
    #expect(reason(9, text([2, 1, 97, 1, 0, 98, 0xff]), magic: "REDIS0006") != nil)
    #expect(reason(9, text([1, 9, 97, 1, 0, 98, 0xff]), magic: "REDIS0006") != nil)
    #expect(reason(9, text([0, 0xff]), magic: "REDIS0006") != nil)
    #expect(reason(9, text([1, 1, 97, 1, 0, 98]), magic: "REDIS0006") != nil)
  }

  // MARK: Streams and scores

  /// One entry with one field: the master entry, then flags, two parts of the id, the value and the size.
  private let node: [UInt8] =
    [1, 1, 0, 1, 1, 1, 0x81, 107, 2, 0, 1] + [2, 1, 0, 1, 0, 1, 0x81, 118, 2, 4, 1]
  private func stream(_ blob: [UInt8], key: Int = 16) -> [UInt8] {
    let id = [UInt8](repeating: 0, count: key)
    return [1] + text(id) + text(blob) + [1, 0, 1, 0, 1, 0, 0, 1, 0]
  }

  @Test func `a node of a stream`() {
    #expect(reason(21, stream(listpack(node, count: 10))) == nil)
    #expect(
      reason(21, stream(listpack(node, count: 10), key: 15))
        == "the id of a stream's node does not have 16 bytes")
    #expect(reason(21, stream(listpack([], count: 0))) == "a node of a stream is empty")
    #expect(reason(21, stream(listpack([1, 2] + node.dropFirst(2), count: 10))) != nil)
    // Redis does not read anything after the first entry.
    #expect(reason(21, stream(listpack([1, 1, 0, 2] + node.dropFirst(4), count: 10))) == nil)
  }

  @Test func `what Valkey reads in a node of a stream`() {
    func reason(_ entries: [UInt8], count: UInt16 = 10) -> String? {
      self.reason(
        21, stream(listpack(entries, count: count)), magic: "VALKEY080", before: valkey)
    }
    #expect(reason(node) == nil)
    #expect(reason(node, count: 11) != nil)
    for (at, value) in [(0, 2), (2, 1), (4, 2), (9, 1), (20, 5)] as [(Int, UInt8)] {
      var other = node
      other[at] = value
      #expect(reason(other) == "the entries of a packed value are inconsistent", "\(at)")
    }
    // An entry with its own fields.
    let own: [UInt8] =
      Array(node.prefix(11)) + [0, 1, 0, 1, 0, 1, 1, 1, 0x81, 102, 2, 0x81, 118, 2, 6, 1]
    #expect(reason(own, count: 12) == nil)
  }

  @Test func `a score that is no number`() {
    let nan: [UInt8] = [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]
    #expect(reason(5, [1, 1, 97, 0, 0, 0, 0, 0, 0, 0xf0, 0x7f]) == nil)
    #expect(reason(5, [1, 1, 97] + nan) == "a score is not a number")
    #expect(reason(3, [1, 1, 97, 253], magic: "REDIS0007") == "a score is not a number")
  }
}
