package import BackupFormat
package import BackupTypes
package import RedisFormats

/// One growing file of the AOF that is followed: how far it was scanned, where it may be cut, and how much
/// of it is durable.
///
/// Invariant: start ≤ durable ≤ sent ≤ boundary ≤ scanned ≤ size. Only bytes up to a boundary are shipped.
/// A command that Redis rolls back (on a full disk) or truncates when it starts was therefore never sent.
package struct FollowedFile: Sendable {
  /// A position where the file may be cut, and when the file was seen to reach it.
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
    /// Whether any other command came before it, so that there is a state to keep.
    package var hadContent: Bool
  }

  package let pin: PinID
  package let name: String
  package let sequence: Int64
  package let identity: FileIdentity
  /// The ordinal of this file in our timeline, once it has one.
  package var ordinal: Int?
  /// The segments from 0 to `start`, which earlier timelines hold.
  package let inherited: [Snapshot.Segment]
  package let start: UInt64
  /// The size at the first look. For a legacy AOF, this much must be durable before it is a restore point.
  package let firstSize: UInt64
  /// A legacy AOF can begin with the output of a rewrite. No position inside that is a state that the
  /// server had.
  private let isLegacy: Bool
  /// The first position of a legacy AOF that is certainly a state. No mark is set before it. Nil until the
  /// content of the first look was read.
  private var firstState: UInt64?

  package private(set) var size: UInt64
  package private(set) var scanned: UInt64
  package private(set) var durable: UInt64
  /// The end of the bytes that were given to the lane to be written. Until the write ends, it is unknown
  /// whether they are in the repository, so they count as shipped.
  private var sent: UInt64
  /// Whether a loader may stop at `sent`, so that scanning can begin there.
  private var isSentAtCut = true
  package private(set) var cuts: [Cut] = []
  package private(set) var annotations: [Mark] = []
  package private(set) var drops: [Drop] = []
  /// A manifest says that nothing will be appended any more.
  package private(set) var isFinal = false
  package private(set) var fault: FileFault?
  /// How many commands other than SELECT were seen since the last drop.
  private var commandsAtDrop: UInt64 = 0
  private var hadContent: Bool
  private var scanner: AOFScanner
  /// The number of bytes of an incomplete annotation at the end of a final file. Every loader skips them, so
  /// they are not counted as part of the file.
  private var passed: UInt64 = 0
  /// When it was last written, as of the last look.
  package private(set) var lastWrite: Instant
  /// The file had reached its measured size by this time at the latest. A kernel stamps a file with the time
  /// of its last tick, which is up to 10 ms ago (CONFIG_HZ=100).
  package var writtenBy: Instant { lastWrite.advanced(byMilliseconds: 10) }

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

  /// Sets what the commands before `start` did to keys, as found by reading them.
  package mutating func seed(_ keys: KeySample) { scanner.keys = keys }

  /// How many keys there are after the scanned part, if there were `beneath` keys before this file.
  package func keyBounds(over beneath: KeyBounds) -> KeyBounds { scanner.keyBounds(over: beneath) }

  /// The last position in the scanned part where a loader may stop.
  package var boundary: UInt64 { scanner.boundary }
  package var isScanned: Bool { scanned >= size || fault != nil }
  /// The file is final, read to its end, and every byte is part of a complete command: another file may
  /// follow.
  package var isComplete: Bool { isFinal && scanned >= size && boundary == size && fault == nil }
  package var isDurable: Bool { isScanned && durable == boundary }
  package var isEmpty: Bool { !hadContent && scanner.commands == 0 && !scanner.hasContent }
  package var preamble: RDBSummary? { scanner.preamble }
  /// When the oldest byte that is not durable was seen; nil if there is none.
  package var pendingSince: Instant? {
    guard size > durable else { return nil }
    return cuts.first?.seenAt ?? lastWrite
  }
  package var pendingBytes: UInt64 { size - min(size, durable) }

  /// The file became shorter than the part that was shipped, so the timeline ends.
  package private(set) var isCutBack = false

  package mutating func observe(size measured: UInt64, modified: Instant) {
    lastWrite = modified
    let newSize = measured - min(passed, measured)
    if newSize < sent || (newSize < scanned && !isSentAtCut) {
      isCutBack = true
    } else if newSize < scanned {
      // A tail that was never shipped is gone (rolled back on a full disk, or truncated at a start).
      rescan(size: newSize)
    } else {
      size = newSize
    }
  }
  package mutating func makeFinal() {
    isFinal = true
    settleIfFinal()
  }

  private mutating func settleIfFinal() {
    guard isFinal, scanned >= size else { return }
    if scanner.endsInAnnotation, passed == 0 {
      passed = size - boundary
      (size, scanned) = (boundary, boundary)
    }
    if isComplete { scanner.settleKeys() }
  }

  /// Takes the next bytes of the file, beginning at `scanned`. `seenAt` is when the file was known to hold
  /// them.
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
    settleIfFinal()
  }

  /// Drops what was scanned but not sent and scans it again: the bytes after the last boundary have
  /// changed.
  private mutating func rescan(size newSize: UInt64) {
    hadContent = hadContent || scanner.hasContent
    commandsAtDrop = 0
    // The counted effect of these bytes on keys is kept, because usually the same commands are written again.
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

  /// The next log object of this file, if there is anything to ship.
  package func nextShipment() -> LogShipment? {
    let limit = boundary
    guard durable < limit, let ordinal else { return nil }
    let most = durable + UInt64(LogPayload.bytesMax)
    let cut = cuts.last { $0.offset <= most && $0.offset > durable }
    let to = cut?.offset ?? min(most, limit)
    let isState = { (offset: UInt64) in !isLegacy || firstState.map { offset >= $0 } ?? false }
    var marks = annotations.filter { $0.offset >= durable && $0.offset < to && isState($0.offset) }
    // *Seen* marks one second apart are enough to find an instant.
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
  /// The mark at `to`; nil if it lies inside a command larger than an object, or inside the initial content
  /// of a legacy AOF.
  package var mark: Instant?
  package var marks: [Mark]
}
