/// Walks the structure of an RDB without loading it. Checks that every record up to the trailer is well
/// formed and that the CRC matches. Counts keys, expiries and elements.
///
/// It gets the file in arbitrary pieces. Memory is bounded whatever the input: strings are checked as a
/// stream (`LZFDecoder`, `PackedCheck`), and only the heads of some are kept (256 bytes, or 256 KiB of a
/// packed hash with field expiries). No input causes a trap.
///
/// Every record is a short program of `RDBLayout`. This file runs the programs, `RDBWalker+Steps.swift`
/// performs single operations, and `RDBWalker+Strings.swift` handles strings. An atom (length, score, number)
/// that is cut at the end of a piece is carried over to the next piece.
///
/// There are three results:
/// - `ended`: the structure is complete, and the checksum matches or was switched off.
/// - `malformed`: Redis itself would refuse these bytes, or they end too early.
/// - `unknown`: the layout of a magic, version, type or opcode is not known for certain. The file may be
///   good, so the CRC continues. After `finish()`, `summary.checksum` says whether the last eight bytes are
///   the CRC of everything before them.
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
  /// The decoder of the current string, if it is compressed or packs many elements.
  var lzf: LZFDecoder?
  var window = LZFWindow()
  var packed: PackedCheck?
  private var carry = Carry()

  var checksum = TrailingChecksum()
  var verdict = RDBSummary.Checksum.pending
  private var unknownEnd: UnknownEnd?
  /// Whether a file that begins with an unknown magic can still be data.
  var takesAnyMagic = true
  /// Whether there is a trailer. An envelope ("VCS") has none of its own. For another magic, this is unknown.
  var hasTrailer = true
  /// The frame whose unpacked bytes are walked, if there is one.
  var frame: RDBFrame?
  package var isCompressed: Bool { frame != nil }
  /// The end of the RDB in the unpacked bytes of the frame.
  var endInFrame: UInt64?
  var isFrameEnded = false
  /// The number of names in each hash template, by its id.
  var templates: [UInt64: UInt64] = [:]
  static let templatesMax = 65_536
  /// Keys that expire by this time are counted. In unix milliseconds.
  package var expiredBy: Int64?
  package internal(set) var expired: UInt64 = 0
  /// Whether the file has keys that a server may drop when it loads them.
  var isUncountable = false
  /// Whether there was a record whose layout was never seen in a real file. A contradiction to such a layout
  /// is not damage.
  var isGuessed = false
  /// The expected trailer, which is known after `FF`.
  var crcOfContent: UInt64?
  var byteCount: UInt64 = 0
  /// The places of the chosen keys; nil if not requested.
  package internal(set) var keyPlaces: RDBKeyPlaces?
  var watch: RDBKeyWatch?

  package init() {}

  /// A walk that also records the places of some keys.
  package init(choosing sampling: KeySampling, countMax: Int) {
    keyPlaces = RDBKeyPlaces(sampling, countMax: countMax)
  }

  /// A walk that passes the keys to `observer`.
  package init(observer: (any RDBKeyObserver)?) { watch = observer.map { RDBKeyWatch($0) } }

  /// The observer, with everything that it has received so far.
  package var observer: (any RDBKeyObserver)? { watch?.observer }

  /// Whether the version is known, so that the last eight bytes of a file are its checksum, whatever is
  /// inside.
  package var knowsTrailer: Bool {
    if case .unknown(let fault) = state { return hasTrailer && fault.offset > 0 }
    return true
  }

  /// Call after `finish()` for an RDB that is not understood but whose version is known. Returns whether it
  /// can be complete, because its checksum was found or it has none.
  /// - Parameter hasCommands: whether commands may follow it.
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

  /// Consumes bytes and returns how many: all of them, unless the RDB ends among them, since the rest does
  /// not belong to it. After its end, none. After a fault, all of them, although only the CRC of an unknown
  /// file continues.
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
    // After an envelope's header, its frame follows.
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

  /// Adds one byte to an incomplete atom. Missing bytes are added one by one, so that an atom uses exactly
  /// the carried-over bytes.
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

  /// - Parameter isCertain: whether the file is incomplete or damaged whatever the layout of its records is.
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

/// The beginning of an atom that is cut at the end of a piece of input.
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
