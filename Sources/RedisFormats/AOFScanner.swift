/// Finds the safe cuts of an append-only file. It checks the framing of the Redis protocol, transactions,
/// annotations, and the RDB preamble that a file may begin with (Redis's `aof.c`,
/// `loadSingleAppendOnlyFile`).
///
/// It gets the file in arbitrary pieces. Every loader accepts what this scanner accepts. Like a loader, it
/// does not check the two bytes after an argument, which a server always writes as CRLF. A server's loader is
/// even less strict in how it reads numbers.
///
/// Memory is bounded whatever the input: arguments are skipped by their length, and only a few bytes of the
/// first two are read. No input causes a trap.
package struct AOFScanner: Sendable {
  /// The position after a complete command or annotation line, outside MULTI..EXEC and outside an RDB
  /// preamble.
  package private(set) var boundary: UInt64
  /// The framing error, if there is one. Everything before `boundary` stays valid.
  package private(set) var fault: FileFault?
  /// The preamble's summary, after its end.
  package private(set) var preamble: RDBSummary?
  /// Complete commands other than SELECT, MULTI and EXEC.
  package private(set) var commands: UInt64 = 0

  private enum Step: Sendable {
    case fileStart, preamble, lineStart, argumentHeader, argument, argumentEnd, annotation
  }
  private var step: Step
  /// The offset of the next byte to be parsed, without the carried-over bytes.
  private var position: UInt64
  private var carry = Carry()
  private var walker: RDBWalker?
  private var observer: (any RDBKeyObserver)?
  private let takesAnyMagic: Bool

  private var commandStart: UInt64 = 0
  private var argumentsLeft: UInt64 = 0
  private var argumentIndex = 0
  private var argumentBytesLeft: UInt64 = 0
  private var word = AOFWord()
  private var command = AOFCommand.other
  /// The offset of the MULTI whose EXEC has not come yet.
  private var transactionStart: UInt64?
  private var annotation = AOFAnnotation()
  private var findings = AOFFindings()
  private var keyReader: AOFKeyReader?

  /// `offset`: the position of the next byte in the file. Beyond 0 it must be a safe cut.
  /// - Parameters:
  ///   - observer: receives the keys of a preamble.
  ///   - takesAnyMagic: whether the file may begin with an RDB, even of an unknown kind, because it is a
  ///     single AOF.
  package init(
    at offset: UInt64 = 0, observer: (any RDBKeyObserver)? = nil, takesAnyMagic: Bool = false
  ) {
    self.observer = observer
    self.takesAnyMagic = takesAnyMagic
    position = offset
    boundary = offset
    step = offset == 0 ? .fileStart : .lineStart
  }

  /// The effect of the commands, and of the RDB before them, on keys. Nil if it is not requested.
  package var keys: KeySample? {
    get { keyReader?.sample }
    set {
      guard let newValue else { return keyReader = nil }
      if keyReader == nil {
        keyReader = AOFKeyReader(newValue)
      } else {
        keyReader?.sample = newValue
      }
    }
  }
  /// How many keys there are after the consumed part, if there were `beneath` before it.
  package func keyBounds(over beneath: KeyBounds) -> KeyBounds {
    keyReader?.sample.bounds(over: beneath) ?? .unknown
  }
  /// No more commands will come, so `keys` needs only little memory.
  package mutating func settleKeys() { keyReader?.sample.settle() }

  /// The position in the file of the next byte to be consumed; after a fault, the position of the fault.
  package var offset: UInt64 { fault?.offset ?? position &+ UInt64(carry.count) }
  /// Whether the input ends inside an annotation, outside a transaction. Every loader skips it at the end of
  /// a file.
  package var endsInAnnotation: Bool {
    step == .annotation && fault == nil && carry.count == 0 && !isInsideTransaction
  }
  package var isInsideTransaction: Bool { transactionStart != nil }
  package var preambleState: RDBWalker.State? { walker?.state }
  /// Why the content is unknown although a program wrote the file: its preamble is of an unknown kind.
  /// `fault` is then set, too, since nothing after the preamble can be framed.
  package var unknown: FileFault? {
    if case .unknown(let fault)? = walker?.state { return fault }
    return nil
  }
  /// The observer with the preamble's keys it received; nil without a preamble.
  package var preambleObserver: (any RDBKeyObserver)? { walker?.observer }
  package var hasContent: Bool { commands > 0 || walker?.hasContent == true }

  /// Consumes all bytes, unless a fault stops it. Further calls then do nothing.
  package mutating func consume(_ bytes: UnsafeRawBufferPointer) {
    var index = 0
    while fault == nil, index < bytes.count {
      let rest = UnsafeRawBufferPointer(rebasing: bytes[index...])
      if carry.count > 0 {
        // The missing bytes of the incomplete atom are found one by one.
        carry.append(rest[0])
        let copy = carry
        let used = copy.withBytes { advance($0) }
        if used > 0 { carry.count = 0 }
        index &+= 1
      } else {
        let used = advance(rest)
        index &+= used
        if used == 0, fault == nil {
          carry.keep(rest)
          index = bytes.count
        }
      }
    }
  }

  /// The findings since the last call, by offset, all before `boundary`. Those of an unfinished transaction
  /// are held back until its EXEC.
  package mutating func takeFindings() -> [AOFFinding] { findings.take() }

  /// Takes the next step on `bytes`, which is not empty. Returns the number of bytes used; 0 if an atom is
  /// incomplete, or after a fault.
  private mutating func advance(_ bytes: UnsafeRawBufferPointer) -> Int {
    let used: Int
    switch step {
    case .argumentHeader: used = argumentHeader(bytes)
    case .argument: used = argument(bytes)
    case .argumentEnd: used = argumentEnd(bytes)
    case .lineStart: used = lineStart(bytes)
    case .fileStart: used = fileStart(bytes)
    case .annotation: used = annotationLine(bytes)
    case .preamble: used = preamble(bytes)
    }
    position &+= UInt64(used)
    switch step {
    case .argumentHeader where argumentsLeft == 0: endCommand()
    case .annotation where annotation.isComplete: endAnnotation()
    default: break
    }
    return used
  }

  private mutating func fail(_ reason: String, at index: Int = 0) -> Int {
    fault = FileFault(offset: position &+ UInt64(index), reason: reason)
    return 0
  }

  // MARK: Preamble

  private mutating func fileStart(_ bytes: UnsafeRawBufferPointer) -> Int {
    let isCommand = bytes[0] == UInt8(ascii: "*") || bytes[0] == UInt8(ascii: "#")
    let isRDB = bytes[0] == UInt8(ascii: "R") || bytes[0] == UInt8(ascii: "V")
    guard isRDB || (takesAnyMagic && !isCommand) else {
      step = .lineStart
      return lineStart(bytes)
    }
    var walker = RDBWalker(observer: observer)
    walker.takesAnyMagic = takesAnyMagic
    self.walker = walker
    observer = nil
    step = .preamble
    return preamble(bytes)
  }

  private mutating func preamble(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let used = walker?.consume(bytes), let state = walker?.state else { return 0 }
    switch state {
    case .walking: break
    case .ended(let end):
      preamble = walker?.summary
      if let preamble { keyReader?.sample.load(preamble) }
      boundary = end
      step = .lineStart
    case .malformed(let cause), .unknown(let cause):
      fault = FileFault(offset: cause.offset, reason: "in the RDB preamble: " + cause.reason)
      return 0
    }
    return used
  }

  // MARK: Commands

  private mutating func lineStart(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch bytes[0] {
    case UInt8(ascii: "*"):
      return commandHeader(bytes)
    case UInt8(ascii: "#"):
      annotation = AOFAnnotation(start: position)
      step = .annotation
      return annotationLine(bytes)
    case 0:
      return fail("zero bytes where a command should begin")
    default:
      return fail("garbage where a command should begin")
    }
  }

  private mutating func commandHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
    switch AOFHeader.read(bytes, max: 1 << 31) {
    case .incomplete: return 0
    case .invalid(let index): return fail("bad framing: invalid number of arguments", at: index)
    case .number(let count, let size):
      guard count > 0 else { return fail("bad framing: a command without arguments") }
      commandStart = position
      argumentsLeft = count
      argumentIndex = 0
      step = .argumentHeader
      return size
    }
  }

  private mutating func argumentHeader(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard bytes[0] == UInt8(ascii: "$") else {
      return fail("bad framing: an argument's length is missing")
    }
    switch AOFHeader.read(bytes, max: 1 << 40) {
    case .incomplete: return 0
    case .invalid(let index): return fail("bad framing: invalid length of an argument", at: index)
    case .number(let length, let size):
      if argumentIndex < 2 { word = AOFWord() }
      keyReader?.beginArgument(length: length)
      argumentBytesLeft = length
      step = length == 0 ? .argumentEnd : .argument
      return size
    }
  }

  private mutating func argument(_ bytes: UnsafeRawBufferPointer) -> Int {
    let count = Int(min(UInt64(bytes.count), argumentBytesLeft))
    let piece = UnsafeRawBufferPointer(rebasing: bytes.prefix(count))
    if argumentIndex == 0 || (argumentIndex == 1 && command.hasSubcommand) { word.append(piece) }
    keyReader?.take(piece)
    argumentBytesLeft &-= UInt64(count)
    if argumentBytesLeft == 0 { step = .argumentEnd }
    return count
  }

  private mutating func argumentEnd(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard bytes.count >= 2 else { return 0 }
    if argumentIndex == 0 {
      command = AOFCommand(word)
    } else if argumentIndex == 1 {
      command = command.with(word)
    }
    keyReader?.endArgument(word)
    argumentIndex = min(argumentIndex &+ 1, 2)
    argumentsLeft &-= 1
    step = .argumentHeader
    return 2
  }

  /// `position` is after the command.
  private mutating func endCommand() {
    step = .lineStart
    keyReader?.endCommand()
    switch command {
    case .other, .function, .cluster: commands &+= 1
    case .destructive(let name):
      commands &+= 1
      findings.add(
        AOFFinding(kind: .destructive(name: name), start: commandStart, end: position),
        insideTransaction: isInsideTransaction)
    case .select: break
    case .multi: transactionStart = transactionStart ?? commandStart
    // DISCARD does not end the transaction, since a loader queues every command except EXEC.
    case .execute:
      if let start = transactionStart { findings.release(from: start, to: position) }
      transactionStart = nil
    }
    if !isInsideTransaction { boundary = position }
  }

  // MARK: Annotations

  private mutating func annotationLine(_ bytes: UnsafeRawBufferPointer) -> Int {
    let used = annotation.take(bytes)
    if let reason = annotation.fault { return fail(reason, at: used) }
    return used
  }

  private mutating func endAnnotation() {
    step = .lineStart
    if let seconds = annotation.seconds {
      findings.add(
        AOFFinding(kind: .timestamp(seconds: seconds), start: annotation.start, end: position),
        insideTransaction: isInsideTransaction)
    }
    if !isInsideTransaction { boundary = position }
  }
}
