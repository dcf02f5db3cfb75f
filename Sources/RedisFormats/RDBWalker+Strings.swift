extension RDBWalker {
  /// Reads a string's header. The body, if there is one, is then streamed through `takeBody`.
  mutating func stringHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let length = RDBLength.read(bytes) else { return 0 }
    guard length.size > 0 else {
      fail("invalid length encoding")
      return 0
    }
    guard length.isSpecial else {
      beginString(body: length.value, size: length.value)
      if length.value == 0 { endString(used: length.size) }
      return length.size
    }
    switch length.value {
    case 0, 1, 2: return integerString(bytes, count: 1 << Int(length.value))
    case 3: return compressedString(bytes)
    default:
      fail("invalid string encoding")
      return 0
    }
  }

  private mutating func integerString(_ bytes: UnsafeRawBufferPointer, count: Int) -> Int {
    guard bytes.count >= 1 &+ count else { return 0 }
    let integer: Int64
    switch count {
    case 1: integer = Int64(bytes.loadUnaligned(fromByteOffset: 1, as: Int8.self))
    case 2:
      integer = Int64(
        Int16(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: Int16.self)))
    default:
      integer = Int64(
        Int32(littleEndian: bytes.loadUnaligned(fromByteOffset: 1, as: Int32.self)))
    }
    // It represents its decimal text, which is only needed if the string is used.
    beginString(body: 0, size: 0)
    if capture.isWanted || packed != nil {
      let text = Array(String(integer).utf8)
      beginString(body: 0, size: UInt64(text.count))
      text.withUnsafeBytes { take(plain: $0) }
    } else {
      registers.stringSize = 1
    }
    endString(used: 1 &+ count)
    return 1 &+ count
  }

  private mutating func compressedString(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let compressed = RDBLength.read(bytes, at: 1) else { return 0 }
    guard let plain = RDBLength.read(bytes, at: 1 &+ compressed.size) else { return 0 }
    guard compressed.size > 0, plain.size > 0 else {
      fail("invalid lengths of a compressed string")
      return 0
    }
    beginString(body: compressed.value, size: plain.value)
    lzf = LZFDecoder(size: plain.value)
    window.reset()
    let used = 1 &+ compressed.size &+ plain.size
    if compressed.value == 0 { endString(used: used) }
    return used
  }

  /// Prepares for `body` bytes that encode a string of `size` bytes.
  private mutating func beginString(body: UInt64, size: UInt64) {
    registers.bodyLeft = body
    registers.stringSize = size
    if lzf != nil { lzf = nil }
    if let packing = registers.packing {
      packed = PackedCheck(packing.kind, size: size, depth: packing.depth)
    } else if packed != nil {
      packed = nil
    }
    switch registers.operation {
    case .auxiliaryName, .auxiliaryValue:
      // One byte more than is kept, to detect longer strings.
      capture.begin(limit: RDBTally.auxiliaryBytesMax + 1)
    case .listpackTriples:
      capture.begin(limit: FieldExpiries.byteCountMax)
    case _ where packed != nil && isWatched:
      capture.begin(limit: RDBKeyWatch.packedBytesMax)
    case .string where isWatched:
      capture.begin(limit: watch!.stringBytesMax)
    case .key where keyPlaces != nil || watch != nil:
      capture.begin(limit: KeySampling.nameBytesMax + 1)
    default:
      if capture.isWanted { capture.begin(limit: 0) }
    }
  }

  /// Whether the content of the current value is wanted.
  var isWatched: Bool { watch?.isWanted ?? false }

  /// Takes bytes of the current body. Returns how many.
  mutating func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int {
    let count = Int(min(UInt64(bytes.count), registers.bodyLeft))
    if registers.operation != .oldScore {
      decode(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
    }
    registers.bodyLeft &-= UInt64(count)
    offset &+= UInt64(count)
    if registers.bodyLeft == 0 {
      if registers.operation == .oldScore { advance(used: 0) } else { endString(used: 0) }
    }
    return count
  }

  private mutating func decode(_ bytes: UnsafeRawBufferPointer) {
    guard lzf != nil else { return take(plain: bytes) }
    var used = 0
    while used < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[used...])
      if packed != nil || capture.isHungry {
        used &+= window.decode(rest, with: &lzf!)
        window.drain(into: &packed, &capture)
      } else {
        lzf!.check(rest)
        used = bytes.count
      }
    }
  }

  /// Bytes of the string itself.
  private mutating func take(plain bytes: UnsafeRawBufferPointer) {
    packed?.take(bytes)
    capture.take(bytes)
  }

  /// The string is complete. `used` is the number of its bytes that the offset does not include yet.
  private mutating func endString(used: Int) {
    guard lzf?.isComplete ?? true else {
      fail("a compressed string is damaged")
      return
    }
    if packed != nil {
      guard endPacked() else { return }
    }
    switch registers.operation {
    case .key:
      registers.valueStart = offset &+ UInt64(used)
      if keyPlaces != nil { keyPlaces?.begin(capture.head) }
      if watch != nil {
        watch?.begin(capture.head, database: tally.currentNumber, type: registers.type)
      }
    case .string where isWatched: watch?.take(capture.head, size: registers.stringSize)
    case .function: tally.header.functions &+= 1
    case .auxiliaryName: capture.auxiliaryName = capture.head
    case .auxiliaryValue:
      tally.addAuxiliary(name: capture.auxiliaryName, value: capture.head)
      registers.isReadWhole = tally.header.isReadWhole
    case .moduleString:
      registers.redirect(to: .moduleOpcode)
      return
    case .node where registers.isPlainNode:
      guard registers.stringSize > 0 else {
        fail("a list node is empty")
        return
      }
      registers.elements &+= 1
    case .nodeKey:
      guard registers.stringSize == 16 else {
        fail("the id of a stream's node does not have 16 bytes")
        return
      }
    default: break
    }
    advance(used: used)
  }

  /// Adds the elements of a packed string. Returns false after a fault.
  private mutating func endPacked() -> Bool {
    guard let entriesPerElement = registers.packing?.entriesPerElement else { return true }
    if let reason = packed!.finish() {
      fail(reason)
      return false
    }
    // The entries of a stream's node are counted in the stream.
    guard entriesPerElement > 0 else { return true }
    var elements = packed!.entries / entriesPerElement
    // The first entry is the template's id.
    if registers.operation == .templatedListpack { elements = elements.subtractingSaturated(1) }
    registers.elements &+= elements
    if registers.operation == .listpackTriples {
      registers.fieldExpires &+= FieldExpiries.count(capture.head)
    }
    if isWatched, registers.operation == .templatedListpack {
      watch?.takeUnnamed(elements)
    } else if isWatched {
      watch?.takePacked(
        packed!.kind, capture.head, size: registers.stringSize,
        entriesPerElement: Int(entriesPerElement), elements: elements)
    }
    return true
  }
}

extension RDBRegisters {
  /// How the current string packs its elements; nil if it does not.
  fileprivate var packing:
    (kind: PackedCheck.Kind, entriesPerElement: UInt64, depth: PackedCheck.Depth)?
  {
    guard operation.mayPack else { return nil }
    let entries: UInt64 =
      switch operation {
      case .ziplistPairs, .listpackPairs: 2
      case .listpackTriples: 3
      case .streamNode: 0
      default: 1
      }
    let ziplist = isConverting ? PackedCheck.Depth.whole(of: entries) : nil
    let listpack = isReadWhole ? PackedCheck.Depth.whole(of: entries) : nil
    return switch operation {
    case .ziplist, .ziplistPairs: (.ziplist, entries, ziplist ?? .entries(0))
    case .ziplistList: (.ziplist, entries, ziplist ?? .all)
    case .listpack, .listpackPairs: (.listpack, entries, listpack ?? .entries(0))
    case .listpackTriples: (.listpack, entries, listpack ?? .entries(3))
    case .templatedListpack: (.listpack, entries, listpack ?? .firstEntry)
    case .node: isPlainNode ? nil : (.listpack, entries, listpack ?? .entries(0))
    case .streamNode: (.listpack, entries, listpack ?? .firstEntry)
    case .intset: (.intset, entries, listpack ?? .entries(0))
    case .zipmap: (.zipmap, entries, .all)
    default: nil
    }
  }
}
