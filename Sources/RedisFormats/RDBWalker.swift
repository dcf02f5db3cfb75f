/// Walks the structure of an RDB without loading it: checks that every record is well formed up to
/// the trailer and that the CRC matches, and counts keys, expiries and elements.
///
/// Fed with the file in arbitrary pieces. Memory is bounded whatever the input: strings are checked
/// as they stream by (`LZFDecoder`, `PackedCheck`), and only heads of some are kept (256 bytes; 256 KiB of a
/// packed hash with field expiries). No input traps.
///
/// Every record is a short program of `RDBLayout`; this file drives it, `RDBWalker+Steps.swift`
/// does one operation, `RDBWalker+Strings.swift` the strings. An atom (length, score, number) that
/// a piece of input cuts is carried over to the next.
///
/// Three endings, which are never confused:
/// - `ended`: the structure is complete and the checksum matches, or was switched off;
/// - `malformed`: Redis itself would refuse these bytes, or they end too early;
/// - `unknown`: a magic, version, type or opcode for which this walker has no certain layout. The file may
///   be good, so the CRC continues, and `finish()` says in `summary.checksum` whether the last eight bytes
///   are the CRC of everything before them.
package struct RDBWalker: Sendable {
  package enum State: Sendable, Equatable {
    case walking
    /// The offset just after the trailer.
    case ended(at: UInt64)
    case malformed(FileFault)
    case unknown(FileFault)
  }

  package internal(set) var state = State.walking
  /// Whether there was a key or a function library.
  package internal(set) var hasContent = false

  /// The offset of the next byte to be walked.
  var offset: UInt64 = 0
  var registers = RDBRegisters()
  var tally = RDBTally()
  var capture = RDBCapture()
  /// Of the string at hand, if it is compressed or packs many elements.
  var lzf: LZFDecoder?
  var window = LZFWindow()
  var packed: PackedCheck?
  private var carry = Carry()

  var checksum = TrailingChecksum()
  var verdict = RDBSummary.Checksum.pending
  private var unknownEnd: UnknownEnd?
  /// The file may begin with an unknown magic, and still be data.
  var takesAnyMagic = true
  /// An envelope ("VCS") has no trailer of its own. For another magic this is unknown.
  var hasTrailer = true
  /// The bytes walked are those that a frame unpacks to.
  var frame: RDBFrame?
  package var isCompressed: Bool { frame != nil }
  /// Where the RDB in the frame ended, in what it unpacks to.
  var endInFrame: UInt64?
  var isFrameEnded = false
  /// Names in each template of hashes, by its id.
  var templates: [UInt64: UInt64] = [:]
  static let templatesMax = 65_536
  /// Keys that expire by this time are counted; unix milliseconds.
  package var expiredBy: Int64?
  package internal(set) var expired: UInt64 = 0
  /// The file holds keys that a server may drop when it loads them.
  var isUncountable = false
  /// A record was met whose layout was never seen in a file, so what contradicts it is not understood.
  var isGuessed = false
  /// The expected trailer; known after `FF`.
  var crcOfContent: UInt64?
  var byteCount: UInt64 = 0
  /// Where the chosen keys are; nil: not requested.
  package internal(set) var keyPlaces: RDBKeyPlaces?
  var watch: RDBKeyWatch?

  package init() {}

  /// A walk that also records where some of the keys are.
  package init(choosing sampling: KeySampling, countMax: Int) {
    keyPlaces = RDBKeyPlaces(sampling, countMax: countMax)
  }

  /// A walk that passes the keys to `observer`.
  package init(observer: (any RDBKeyObserver)?) { watch = observer.map { RDBKeyWatch($0) } }

  /// The observer with what it received so far.
  package var observer: (any RDBKeyObserver)? { watch?.observer }

  /// The version is known, so the last eight bytes of a file are its checksum, whatever is inside.
  package var knowsTrailer: Bool {
    if case .unknown(let fault) = state { return hasTrailer && fault.offset > 0 }
    return true
  }

  /// Call after `finish()`, of an RDB that is not understood, but whose version is known. Whether it can be whole:
  /// its checksum was found, or it has none.
  /// - Parameter hasCommands: commands may follow it.
  package func mayBeWhole(hasCommands: Bool) -> Bool {
    guard knowsTrailer, let unknownEnd else { return true }
    if unknownEnd.found != nil || verdict == .matches || verdict == .none { return true }
    return hasCommands && unknownEnd.mayBeUnchecked
  }

  package var summary: RDBSummary {
    var summary = tally.header
    summary.databases = tally.databases
    summary.checksum = verdict
    summary.byteCount = byteCount
    if case .unknown = state { summary.isPartial = true }
    if isUncountable { summary.isPartial = true }
    return summary
  }

  /// Consumes bytes and returns how many: all of them, unless the RDB ended inside, since what follows does
  /// not belong to it. After its end none. After a fault all, although only the CRC of an unknown file
  /// continues.
  package mutating func consume(_ bytes: UnsafeRawBufferPointer) -> Int {
    if frame != nil { return unpack(bytes) }
    let used = consumePlain(bytes)
    guard frame != nil else { return used }
    (offset, byteCount) = (0, UInt64(RDBOpening.envelopeBytes))
    return used + unpack(UnsafeRawBufferPointer(rebasing: bytes[used...]))
  }

  /// Consumes bytes of the RDB itself.
  mutating func consumePlain(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch state {
    case .ended: return 0
    case .malformed: return bytes.count
    case .unknown:
      checksum.absorb(bytes)
      unknownEnd?.take(bytes)
      byteCount &+= UInt64(bytes.count)
      return bytes.count
    case .walking: break
    }
    let used = walk(bytes)
    // An envelope: what follows is its frame.
    if frame != nil, byteCount < UInt64(RDBOpening.envelopeBytes) { return used }
    switch state {
    case .walking:
      if crcOfContent == nil { checksum.absorb(bytes) }
    case .unknown:
      if knowsTrailer {
        unknownEnd = UnknownEnd(crc: CRC64(value: checksum.ofAll), at: byteCount)
        unknownEnd?.take(bytes)
      }
      checksum.absorb(bytes)
    case .ended(let end):
      byteCount = end
      return used
    case .malformed(let fault):
      byteCount = fault.offset
      return bytes.count
    }
    byteCount &+= UInt64(bytes.count)
    return bytes.count
  }

  /// Call at the end of the input.
  package mutating func finish() -> State {
    switch state {
    case .walking: fail("truncated: the RDB ends before its end marker", isCertain: true)
    case .unknown where frame != nil && !isFrameEnded:
      fail("truncated: its frame is not complete", isCertain: true)
    case .unknown: if hasTrailer { verdict = checksum.verdict }
    case .ended, .malformed: break
    }
    return state
  }

  private mutating func walk(_ bytes: UnsafeRawBufferPointer) -> Int {
    var index = 0
    registers.isRunning = true
    while registers.isRunning, index < bytes.count {
      if registers.bodyLeft > 0 {
        index &+= takeBody(UnsafeRawBufferPointer(rebasing: bytes[index...]))
      } else if carry.count > 0 {
        index &+= stepOverCarry(adding: bytes[index])
      } else {
        let rest = UnsafeRawBufferPointer(rebasing: bytes[index...])
        let operation = registers.operation
        let used = step(rest)
        offset &+= UInt64(used)
        index &+= used
        if operation == .record, registers.operation == .trailer {
          checksum.absorb(UnsafeRawBufferPointer(rebasing: bytes[..<index]))
          crcOfContent = checksum.ofAll
        }
        if used == 0, registers.isRunning {
          carry.keep(rest)
          index = bytes.count
        }
      }
    }
    return index
  }

  /// One more byte for an incomplete atom. The missing bytes are found one by one, so that an atom uses
  /// exactly what was carried over.
  private mutating func stepOverCarry(adding byte: UInt8) -> Int {
    carry.append(byte)
    let copy = carry
    let used = copy.withBytes { step($0) }
    if used > 0 {
      offset &+= UInt64(used)
      carry.count = 0
    } else if carry.isFull, registers.isRunning {
      fail("invalid encoding")
    }
    return 1
  }

  /// - Parameter isCertain: whatever the layout of its records is, the file is not whole.
  mutating func fail(_ reason: String, isCertain: Bool = false) {
    guard isCertain || !isGuessed else {
      return giveUp(
        "structure not verified beyond offset \(offset): \(reason), as far as it is known")
    }
    state = .malformed(FileFault(offset: offset, reason: reason))
    registers.isRunning = false
  }

  mutating func giveUp(_ reason: String) {
    state = .unknown(FileFault(offset: offset, reason: reason))
    registers.isRunning = false
  }
}

/// The beginning of an atom that was cut at the end of a piece of input.
struct Carry: Sendable {
  private var bytes = SIMD32<UInt8>()
  var count = 0
  static let capacity = 32

  var isFull: Bool { count >= Carry.capacity }

  mutating func append(_ byte: UInt8) {
    guard count < Carry.capacity else { return }
    bytes[count] = byte
    count &+= 1
  }

  mutating func keep(_ rest: UnsafeRawBufferPointer) {
    for byte in rest.prefix(Carry.capacity) { append(byte) }
  }

  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Swift.withUnsafeBytes(of: bytes) {
      body(UnsafeRawBufferPointer(rebasing: $0.prefix(count)))
    }
  }
}
