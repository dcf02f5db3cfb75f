extension RDBWalker {
  /// Reads a string's header; the body, if any, is then streamed through `takeBody`.
  mutating func stringHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let length = RDBLength.read(bytes) else { return 0 }
    guard length.size > 0 else {
      fail("invalid length encoding")
      return 0
    }
    guard length.isSpecial else {
      beginString(body: length.value, size: length.value, isCompressed: false)
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
    beginString(body: 0, size: 0, isCompressed: false)
    capture.take(integer: integer)
    endString(used: 1 &+ count)
    return 1 &+ count
  }

  private mutating func compressedString(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let compressed = RDBLength.read(bytes, at: 1) else { return 0 }
    guard let plain = RDBLength.read(bytes, at: 1 &+ compressed.size) else { return 0 }
    guard compressed.size > 0, plain.size > 0, !compressed.isSpecial, !plain.isSpecial,
      compressed.value > 0, plain.value > 0
    else {
      fail("invalid lengths of a compressed string")
      return 0
    }
    beginString(body: compressed.value, size: plain.value, isCompressed: true)
    return 1 &+ compressed.size &+ plain.size
  }

  /// Prepares for `body` bytes that stand for a string of `size` bytes.
  private mutating func beginString(body: UInt64, size: UInt64, isCompressed: Bool) {
    registers.bodyLeft = body
    registers.stringSize = size
    switch registers.operation {
    case .auxiliaryName, .auxiliaryValue:
      // One byte more than is kept, so that a longer one is recognised.
      capture.begin(limit: RDBTally.auxiliaryBytesMax + 1, isCompressed: isCompressed)
    case .listpackTriples:
      capture.begin(limit: FieldExpiries.byteCountMax, isCompressed: isCompressed)
    case .ziplist, .ziplistPairs, .listpack, .listpackPairs, .intset, .zipmap, .node:
      capture.begin(
        limit: isWatched ? RDBKeyWatch.packedBytesMax : PackedHeader.byteCount,
        isCompressed: isCompressed)
    case .string where isWatched:
      capture.begin(limit: watch!.stringBytesMax, isCompressed: isCompressed)
    case .key where keyPlaces != nil || watch != nil:
      capture.begin(limit: KeySampling.nameBytesMax + 1, isCompressed: isCompressed)
    default:
      if capture.isWanted { capture.begin(limit: 0, isCompressed: false) }
    }
  }

  /// Whether what the value at hand holds is wanted.
  private var isWatched: Bool { watch?.isWanted ?? false }

  /// Takes bytes of the body at hand; returns how many.
  mutating func takeBody(_ bytes: UnsafeRawBufferPointer) -> Int {
    let count = Int(min(UInt64(bytes.count), registers.bodyLeft))
    if capture.isWanted {
      capture.take(UnsafeRawBufferPointer(rebasing: bytes.prefix(count)))
    }
    registers.bodyLeft &-= UInt64(count)
    offset &+= UInt64(count)
    if registers.bodyLeft == 0 {
      if registers.operation == .oldScore { advance(used: 0) } else { endString(used: 0) }
    }
    return count
  }

  /// The string is complete; `used` are its bytes that the offset does not include yet.
  private mutating func endString(used: Int) {
    guard !(capture.isWanted && capture.isBroken) else {
      fail("a compressed string refers to bytes before its beginning")
      return
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
    case .auxiliaryValue: tally.addAuxiliary(name: capture.auxiliaryName, value: capture.head)
    case .moduleString:
      registers.redirect(to: .moduleOpcode)
      return
    case .ziplist, .ziplistPairs, .listpack, .listpackPairs, .listpackTriples, .intset, .zipmap,
      .node:
      guard countPacked() else { return }
    default: break
    }
    advance(used: used)
  }

  /// Adds the elements of a packed string; false after a fault.
  private mutating func countPacked() -> Bool {
    if registers.operation == .node, registers.isPlainNode {
      registers.elements &+= 1
      return true
    }
    let (kind, entriesPerElement) = registers.operation.packing
    guard let header = PackedHeader(kind, head: capture.head) else {
      fail("a packed value is too short for its header")
      return false
    }
    if let total = header.totalBytes, total != registers.stringSize {
      fail("a packed value of \(registers.stringSize) bytes claims to have \(total)")
      return false
    }
    registers.elements &+= header.entries / entriesPerElement
    if registers.operation == .listpackTriples {
      registers.fieldExpires &+= FieldExpiries.count(capture.head)
    }
    if isWatched {
      watch?.takePacked(
        kind, capture.head, size: registers.stringSize, entriesPerElement: Int(entriesPerElement),
        elements: header.entries / entriesPerElement)
    }
    return true
  }
}

extension RDBOperation {
  /// How a packed string holds its elements.
  fileprivate var packing: (PackedHeader.Kind, entriesPerElement: UInt64) {
    switch self {
    case .ziplist: (.ziplist, 1)
    case .ziplistPairs: (.ziplist, 2)
    case .listpackPairs: (.listpack, 2)
    case .listpackTriples: (.listpack, 3)
    case .intset: (.intset, 1)
    case .zipmap: (.zipmap, 1)
    default: (.listpack, 1)
    }
  }
}
