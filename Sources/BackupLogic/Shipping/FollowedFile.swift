package import BackupFormat
package import BackupTypes
package import RedisFormats

/// One growing file of the AOF while it is followed: how far it was scanned, where it may be cut, and
/// how much of it is durable.
///
/// Invariant: start ≤ durable ≤ sent ≤ boundary ≤ scanned ≤ size. Only bytes up to a boundary are shipped:
/// a command that Redis rolls back (a full disk) or truncates at its start was never sent.
package struct FollowedFile: Sendable {
  /// A place where the file may be cut, and when we saw it that long.
  package struct Cut: Sendable, Equatable {
    package var offset: UInt64
    package var seenAt: Instant
  }

  /// A command that emptied a database, seen in the log.
  package struct Drop: Sendable, Equatable {
    package var command: String
    package var start: UInt64
    package var end: UInt64
    package var seenAt: Instant
    /// Whether anything but another such command came before it, so that there is something to keep.
    package var hadContent: Bool
  }

  package let pin: PinID
  package let name: String
  package let sequence: Int64
  package let identity: FileIdentity
  /// The ordinal of this file in our timeline, once it has one.
  package var ordinal: Int?
  /// What earlier timelines hold of it, from 0 to `start`.
  package let inherited: [Snapshot.Segment]
  package let start: UInt64
  /// How long it was when it was first seen: for a legacy AOF, what must be durable before it is a
  /// restore point of its own.
  package let firstSize: UInt64
  /// A legacy AOF, which can begin with what a rewrite wrote: inside that is no state the server had.
  private let isLegacy: Bool
  /// The first place of a legacy AOF that is a state for sure: none before it is marked. Nil until what
  /// the file held at first was read.
  private var firstState: UInt64?

  package private(set) var size: UInt64
  package private(set) var scanned: UInt64
  package private(set) var durable: UInt64
  /// The end of what was handed out to be written. Until the write ends nobody knows whether it is in
  /// the repository: it counts as shipped.
  private var sent: UInt64
  /// Whether a loader may stop at `sent`, so that scanning can begin there.
  private var isSentAtCut = true
  package private(set) var cuts: [Cut] = []
  package private(set) var annotations: [Mark] = []
  package private(set) var drops: [Drop] = []
  /// A manifest said that nothing will be appended any more.
  package private(set) var isFinal = false
  package private(set) var fault: AOFFault?
  /// Commands but SELECT seen since the last drop.
  private var commandsAtDrop: UInt64 = 0
  private var hadContent: Bool
  private var scanner: AOFScanner
  /// When it was last written, as of the last look.
  package private(set) var lastWrite: Instant

  package init(
    file: PinnedFile, sequence: Int64, inherited: [Snapshot.Segment], start: UInt64,
    hasContentBefore: Bool, isLegacy: Bool = false
  ) {
    self.isLegacy = isLegacy
    pin = file.pin
    name = file.name
    self.sequence = sequence
    identity = file.identity
    self.inherited = inherited
    self.start = start
    firstSize = file.size
    size = file.size
    scanned = start
    durable = start
    sent = start
    scanner = AOFScanner(at: start)
    hadContent = hasContentBefore || start > 0
    lastWrite = file.modified.instant
    scanner.keys = KeySample(isPartial: start > 0)
  }

  /// What the commands before `start` did to keys: somebody looked.
  package mutating func seed(_ keys: KeySample) { scanner.keys = keys }

  /// How many keys there are behind what was scanned, if there were `beneath` before this file.
  package func keyBounds(over beneath: KeyBounds) -> KeyBounds { scanner.keyBounds(over: beneath) }

  /// The last place where a loader may stop, of what was scanned.
  package var boundary: UInt64 { scanner.boundary }
  package var isScanned: Bool { scanned >= size || fault != nil }
  /// Final, read to its end, and every byte of it a complete command: another file may follow.
  package var isComplete: Bool { isFinal && scanned >= size && boundary == size && fault == nil }
  package var isDurable: Bool { isScanned && durable == boundary }
  package var isEmpty: Bool { !hadContent && scanner.commands == 0 && !scanner.hasContent }
  package var preamble: RDBSummary? { scanner.preamble }
  /// When the oldest byte that is not durable was seen; nil when there is none.
  package var pendingSince: Instant? {
    guard size > durable else { return nil }
    return cuts.first?.seenAt ?? lastWrite
  }
  package var pendingBytes: UInt64 { size - min(size, durable) }

  /// The file is shorter than what was shipped of it: the timeline ends.
  package private(set) var isCutBack = false

  package mutating func observe(size newSize: UInt64, modified: Instant) {
    lastWrite = modified
    if newSize < sent || (newSize < scanned && !isSentAtCut) {
      isCutBack = true
    } else if newSize < scanned {
      // A tail that was never shipped went away (a full disk rolled back, a torn tail cut at start).
      rescan(size: newSize)
    } else {
      size = newSize
    }
  }
  package mutating func makeFinal() {
    isFinal = true
    if isComplete { scanner.settleKeys() }
  }

  /// Takes the next bytes of the file, which begin at `scanned`. `seenAt` is when the file was known
  /// to hold them.
  package mutating func consume(_ bytes: UnsafeRawBufferPointer, seenAt: Instant) {
    precondition(scanned &+ UInt64(bytes.count) <= size, "scanned past the observed size")
    let before = scanner.boundary
    scanner.consume(bytes)
    scanned += UInt64(bytes.count)
    for finding in scanner.takeFindings() {
      switch finding.kind {
      case .timestamp(let seconds):
        if annotations.count < LogPayload.marksMax / 2 {
          annotations.append(
            Mark(offset: finding.start, time: Instant(seconds: seconds), kind: .annotation))
        }
      case .destructive(let command):
        drops.append(
          Drop(
            command: command, start: finding.start, end: finding.end, seenAt: seenAt,
            hadContent: hadContent || scanner.commands > commandsAtDrop + 1))
        hadContent = false
        commandsAtDrop = scanner.commands
      }
    }
    if isLegacy, firstState == nil, scanned >= min(firstSize, size) {
      firstState = min(firstSize, scanner.boundary)
    }
    if scanner.boundary > before { cuts.append(Cut(offset: scanner.boundary, seenAt: seenAt)) }
    fault = scanner.fault
    if isComplete { scanner.settleKeys() }
  }

  /// Forgets what was scanned but not sent and begins again there, to be read once more: what stood
  /// behind the last boundary has changed under us.
  private mutating func rescan(size newSize: UInt64) {
    hadContent = hadContent || scanner.hasContent
    commandsAtDrop = 0
    // What the bytes that are gone did to keys is as good as done again: they mostly come back.
    let keys = scanner.keys
    scanner = AOFScanner(at: sent)
    scanner.keys = keys
    scanned = sent
    size = newSize
    cuts.removeAll { $0.offset > sent }
    annotations.removeAll { $0.offset >= sent }
    drops.removeAll { $0.end > sent }
    fault = nil
  }

  /// `shipment` is being written.
  package mutating func noteSent(_ shipment: LogShipment) {
    sent = shipment.to
    isSentAtCut = cuts.contains { $0.offset == shipment.to }
  }

  package mutating func acknowledge(upTo offset: UInt64) {
    precondition(offset <= boundary, "acknowledged beyond the last boundary")
    durable = max(durable, offset)
    cuts.removeAll { $0.offset <= durable }
    annotations.removeAll { $0.offset < durable }
  }

  package mutating func takeDurableDrops() -> [Drop] {
    let passed = drops.filter { $0.end <= durable }
    drops.removeAll { $0.end <= durable }
    return passed
  }

  /// The next object of this file's log, if there is anything to ship.
  package func nextShipment() -> LogShipment? {
    let limit = boundary
    guard durable < limit, let ordinal else { return nil }
    let most = durable + UInt64(LogPayload.bytesMax)
    let cut = cuts.last { $0.offset <= most && $0.offset > durable }
    let to = cut?.offset ?? min(most, limit)
    let isState = { (offset: UInt64) in !isLegacy || firstState.map { offset >= $0 } ?? false }
    var marks = annotations.filter { $0.offset >= durable && $0.offset < to && isState($0.offset) }
    // Seen marks a second apart are enough: they are what an instant is found by.
    var last: Instant?
    for inner in cuts where inner.offset < to && isState(inner.offset) {
      if last.map({ inner.seenAt.since($0) >= 1000 }) ?? true {
        marks.append(Mark(offset: inner.offset, time: inner.seenAt, kind: .seen))
        last = inner.seenAt
      }
    }
    marks.sort { $0.offset < $1.offset }
    return LogShipment(
      pin: pin, ordinal: ordinal, from: durable, to: to, mark: isState(to) ? cut?.seenAt : nil,
      marks: marks)
  }
}

/// One log object to be written. Its bytes are frozen at the first attempt.
package struct LogShipment: Sendable, Equatable {
  package var pin: PinID
  package var ordinal: Int
  package var from: UInt64
  package var to: UInt64
  /// The mark at `to`; nil when it lies inside a command larger than an object, or inside what a legacy
  /// AOF began with.
  package var mark: Instant?
  package var marks: [Mark]
}
