/// Checks a packed string (ziplist, listpack, intset, zipmap), which arrives in arbitrary pieces, exactly as
/// strictly as a server does when it loads one: a backup that loads is not broken, and one that does not load
/// is not good. It keeps only a few bytes, whatever the size.
///
/// A server with `sanitize-dump-payload no` (the default) or `clients` reads little of most packed strings.
/// It loads damage in the rest, which has an effect only when the key is used. 6.2.5, 7.0.15, 7.4.1 and 8.2.3
/// read:
/// - of a listpack, the size in its header, which must be that of the string, and the end byte. In a stream
///   also the first entry, and in a hash with field expiries the first three. If the header does not have the
///   number of entries (65 535), every entry up to an end byte, to count them (`listpack.c`,
///   `lpValidateIntegrity`, `lpValidateNext`);
/// - of a ziplist, the same, and its tail must be inside (`ziplistValidateIntegrity`). Redis 6.2 only reads
///   the entries of a list that is one ziplist (type 10). 7.0 and newer convert every ziplist and read all of
///   it. A file with RDB version 9 or less may be from 6.2, so it is checked as 6.2 does;
/// - of an intset, the width, count and size, which must agree. It must not be empty
///   (`intsetValidateIntegrity`);
/// - of a zipmap, everything (`zipmapValidateIntegrity`).
///
/// Valkey 9.1.2 reads everything and has no such setting (valkey-io/valkey#3721). Its files are checked as it
/// does: a count must be right, integers must ascend, and a stream's node is checked entry by entry.
///
/// Duplicate elements are not detected, because this would need memory in proportion to the value.
struct PackedCheck: Sendable {
  private enum Atom: Sendable {
    case header, headerCount
    /// The beginning of an entry up to the length of its content. In a ziplist, this is the size of the
    /// previous entry. In a zipmap, it is the length of the field.
    case entry
    /// A ziplist's encoding, a zipmap's value length and its free bytes.
    case encoding, value, free
    /// A listpack's length after every entry.
    case backLength
    /// Only the last byte still matters.
    case rest
  }

  let kind: Kind
  /// The number of entries in the header. It is a lower bound if the header can't count them (from 65 535; in
  /// a zipmap from 254).
  private(set) var entries: UInt64 = 0
  private let size: UInt64
  private let depth: Depth
  private var entriesLeft: Int

  private var atom = Atom.header
  /// How many bytes of the current atom were read.
  private var have = 0
  /// The last bytes read. The newest one is the least significant.
  private var recent: UInt64 = 0
  private var position: UInt64 = 0
  /// Bytes to skip before the next atom.
  private var skip: UInt64 = 0

  private var met: UInt64 = 0
  private var tail: UInt64 = 0
  private var entryStart: UInt64 = 0
  private var lastEntry: UInt64 = 0
  /// In a listpack, the size of the current entry. In a ziplist, the size of the previous one.
  private var entrySize: UInt64 = 0
  private var valueLength: UInt64 = 0
  private var node: StreamNodeCheck?
  /// The bytes of a listpack's integer; 0 if the integer is in the first byte, nil for a string.
  private var integerBytes: UInt64?
  private var firstByte: UInt64 = 0
  /// The byte that was read before those of `recent`.
  private var older: UInt64 = 0
  /// The bytes per integer of an intset.
  private var width: UInt64 = 0
  private var largest = Int64.min
  private var fault: Fault?

  init(_ kind: Kind, size: UInt64, depth: Depth) {
    self.kind = kind
    self.size = size
    self.depth = depth
    entriesLeft =
      switch depth {
      case .entries(let count): count
      case .firstEntry: 1
      case .all, .whole: .max
      }
    if depth == .whole(of: 0) { node = StreamNodeCheck() }
  }

  private var isWhole: Bool {
    if case .whole = depth { true } else { false }
  }

  mutating func take(_ bytes: UnsafeRawBufferPointer) {
    var index = 0
    if kind == .listpack, position == 0, bytes.count >= 8 {
      // Reads the whole header at once, since most strings are short.
      recent = UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)) >> 16
      index = 6
      position = 6
      have = 6
      header()
    }
    while index < bytes.count {
      let left = bytes.count &- index
      if atom == .rest {
        pass(UnsafeRawBufferPointer(rebasing: bytes[index...]))
        return
      }
      if skip > 0 {
        let count = Int(min(skip, UInt64(left)))
        pass(UnsafeRawBufferPointer(rebasing: bytes[index..<index &+ count]))
        skip &-= UInt64(count)
        index &+= count
      } else {
        if have == 0, atom == .entry { entryStart = position }
        older = recent >> 56
        recent = recent << 8 | UInt64(bytes[index])
        index &+= 1
        position &+= 1
        have &+= 1
        step()
      }
    }
  }

  /// Call at the end of the string. Returns why a server would refuse it; nil if it would not.
  func finish() -> String? {
    (fault ?? atEnd)?.text(size: size)
  }

  private var atEnd: Fault? {
    guard size > kind.headerSize, atom != .header, atom != .headerCount else { return .short }
    guard kind != .intset else { return nil }
    guard recent & 0xff == 0xff else { return .end }
    return atom == .rest ? nil : .beyond
  }

  private mutating func pass(_ bytes: UnsafeRawBufferPointer) {
    if bytes.count >= 8 {
      let last = bytes.loadUnaligned(fromByteOffset: bytes.count &- 8, as: UInt64.self)
      recent = UInt64(bigEndian: last)
    } else {
      for byte in bytes { recent = recent << 8 | UInt64(byte) }
    }
    position &+= UInt64(bytes.count)
  }

  private mutating func fail(_ reason: Fault) {
    fault = reason
    atom = .rest
  }

  private mutating func begin(_ next: Atom) {
    atom = next
    have = 0
  }

  /// The bytes of the current atom as a little-endian number.
  private var littleEndian: UInt64 { recent.byteSwapped >> UInt64(64 &- 8 &* have) }
  /// The last `count` bytes as a big-endian number.
  private func bigEndian(_ count: UInt64) -> UInt64 { recent & (1 << (8 &* count) &- 1) }

  /// Checks the current atom, which has one more byte.
  private mutating func step() {
    switch (atom, kind) {
    case (.header, _), (.headerCount, _): header()
    case (.entry, .intset): integer()
    case (.entry, _) where have == 1 && recent & 0xff == 0xff: endEntries()
    case (.entry, .listpack): listpackEntry()
    case (.backLength, _): listpackBackLength()
    case (.entry, .ziplist):
      if have == (recentFirst < 254 ? 1 : 5) { ziplistPrevious() }
    case (.encoding, _): ziplistEncoding()
    case (.entry, .zipmap), (.value, _):
      if have == (recentFirst < 254 ? 1 : 5) { zipmapLength() }
    case (.free, _):
      let content = valueLength &+ (recent & 0xff)
      guard reaches(content) else { return }
      skip = content
      met &+= 1
      begin(.entry)
    case (.rest, _): break
    }
  }

  /// The first byte of the current atom.
  private var recentFirst: UInt64 { recent >> UInt64(8 &* (have &- 1)) & 0xff }

  /// Returns false and fails if this many more bytes reach beyond the end byte.
  private mutating func reaches(_ more: UInt64) -> Bool {
    guard position &+ more < size else {
      fail(.beyond)
      return false
    }
    return true
  }

  private mutating func header() {
    switch kind {
    case .listpack:
      // u32 bytes, u16 entries; an end byte.
      guard have == 6 else { return }
      guard claims(littleEndian & 0xffff_ffff) else { return }
      beginEntries(count: littleEndian >> 32)
    case .ziplist where atom == .header:
      // u32 bytes, u32 offset of the last entry, u16 entries; an end byte.
      guard have == 8 else { return }
      guard claims(littleEndian & 0xffff_ffff) else { return }
      tail = littleEndian >> 32
      guard tail < size else { return fail(.tail) }
      begin(.headerCount)
    case .ziplist:
      guard have == 2 else { return }
      beginEntries(count: littleEndian)
    case .intset:
      // u32 width of an integer (2, 4 or 8), u32 integers.
      guard have == 8 else { return }
      width = littleEndian & 0xffff_ffff
      entries = littleEndian >> 32
      guard width == 2 || width == 4 || width == 8 else {
        return fail(.width)
      }
      guard claims(8 &+ entries &* width) else { return }
      guard entries > 0 else { return fail(.empty) }
      begin(isWhole ? .entry : .rest)
    case .zipmap:
      // u8 pairs, 254 when more than 253; an end byte.
      entries = recent & 0xff
      begin(.entry)
    }
  }

  /// Returns false and fails if the header has another size than the string.
  private mutating func claims(_ total: UInt64) -> Bool {
    guard total == size else {
      fail(.size(total))
      return false
    }
    return true
  }

  private mutating func beginEntries(count: UInt64) {
    entries = count
    // A server counts them one by one.
    if count == 0xffff, depth != .firstEntry { entriesLeft = .max }
    begin(entriesLeft > 0 ? .entry : .rest)
  }

  private mutating func endEntries() {
    if depth == .firstEntry { return fail(.emptyNode) }
    if kind == .zipmap, met == 0 || entries < 254 && entries != met { return fail(.count) }
    if case .whole(let multiple) = depth {
      guard position == size, entries == 0xffff || entries == met else { return fail(.count) }
      guard multiple == 0 ? node?.isComplete == true : met % multiple == 0 else {
        return fail(.node)
      }
      guard kind != .ziplist || met == 0 || lastEntry == tail else { return fail(.lastEntry) }
    }
    begin(.rest)
  }

  /// Reads an integer of an intset.
  private mutating func integer() {
    guard UInt64(have) == width else { return }
    let shift = 64 &- 8 &* width
    let value = Int64(bitPattern: littleEndian << shift) >> shift
    guard met == 0 || value > largest else { return fail(.order) }
    largest = value
    met &+= 1
    begin(met < entries ? .entry : .rest)
  }

  // MARK: Listpack

  private mutating func listpackEntry() {
    let first = recentFirst
    let content: UInt64  // after the bytes read
    integerBytes = nil
    switch first {
    case 0x00...0x7f:
      content = 0
      integerBytes = 0
    case 0x80...0xbf: content = first & 0x3f
    case 0xc0...0xdf:
      content = 1
      integerBytes = 1
    case 0xe0...0xef:
      guard have == 2 else { return }
      content = bigEndian(2) & 0xfff
    case 0xf0:
      guard have == 5 else { return }
      content = bigEndian(4).byteSwapped >> 32
    case 0xf1...0xf4:
      content = first == 0xf4 ? 8 : first &- 0xef
      integerBytes = content
    default: return fail(.encoding)
    }
    firstByte = first
    entrySize = UInt64(have) &+ content
    guard reaches(content &+ UInt64(FieldExpiries.backLengthSize(Int(entrySize)))) else { return }
    skip = content
    begin(.backLength)
  }

  private mutating func listpackBackLength() {
    guard have == FieldExpiries.backLengthSize(Int(entrySize)) else { return }
    // Seven bits per byte, from the end. All bytes except the first have the eighth bit.
    var length: UInt64 = 0
    for index in 0..<5 as Range<UInt64> {
      let byte = recent >> (8 &* index) & 0xff
      length |= (byte & 127) << (7 &* index)
      if byte < 128 { break }
      if index == 4 { length = .max }
    }
    guard length == entrySize else { return fail(.length) }
    if node != nil {
      let number = number
      node?.take(number)
      if node?.isBroken == true { return fail(.node) }
    }
    endEntry()
  }

  /// The last listpack entry, if it is a number. One byte after its content has been read.
  private var number: Int64? {
    guard let integerBytes else { return nil }
    if integerBytes == 0 { return Int64(firstByte) }
    let content = (older << 56 | recent >> 8).byteSwapped >> (64 &- 8 &* integerBytes)
    if firstByte < 0xe0 {
      let value = Int64((firstByte & 0x1f) << 8 | content)
      return value >= 1 << 12 ? value &- 1 << 13 : value
    }
    let shift = 64 &- 8 &* integerBytes
    return Int64(bitPattern: content << shift) >> shift
  }

  private mutating func endEntry() {
    met &+= 1
    entriesLeft &-= 1
    if case .firstEntry = depth { return begin(.rest) }
    begin(entriesLeft > 0 ? .entry : .rest)
  }

  // MARK: Ziplist

  private mutating func ziplistPrevious() {
    let previous = have == 1 ? recentFirst : bigEndian(4).byteSwapped >> 32
    guard !isWhole || previous == entrySize, entryStart >= 10 &+ previous else {
      return fail(.previous)
    }
    begin(.encoding)
  }

  private mutating func ziplistEncoding() {
    let first = recentFirst
    let content: UInt64
    switch first {
    case 0x00...0x3f: content = first
    case 0x40...0x7f:
      guard have == 2 else { return }
      content = bigEndian(2) & 0x3fff
    case 0x80...0xbf:
      guard have == 5 else { return }
      content = bigEndian(4)
    case 0xc0: content = 2
    case 0xd0: content = 4
    case 0xe0: content = 8
    case 0xf0: content = 3
    case 0xfe: content = 1
    case 0xf1...0xfd: content = 0
    default: return fail(.encoding)
    }
    guard reaches(content) else { return }
    entrySize = position &- entryStart &+ content
    lastEntry = entryStart
    skip = content
    endEntry()
  }

  // MARK: Zipmap

  /// Reads the length of a field or a value.
  private mutating func zipmapLength() {
    let length = have == 1 ? recentFirst : bigEndian(4).byteSwapped >> 32
    guard reaches(length) else { return }
    if atom == .entry {
      skip = length
      begin(.value)
    } else {
      // The next byte is the number of free bytes after the value.
      valueLength = length
      begin(.free)
    }
  }
}
