package import BackupFormat
package import BackupTypes
import HistoryLogic
package import RedisFormats

/// Reads the log after a snapshot's full copy, in order, and passes on its events.
///
/// It streams: only a few objects are in memory. Each is opened and its digest checked before its bytes are
/// used.
package struct LogWalk {
  /// An event in the log, and its position.
  package struct Step {
    package var event: AOFCommandReader.Event
    /// Where it begins.
    package var place: LogPosition
    /// When the file was seen to contain it.
    package var seenAt: Instant
    /// Whether it is outside a transaction, so that the log may be cut before it.
    package var isCut: Bool
    /// Whether it is the first event in its file.
    package var isFirst: Bool
  }

  /// A part of one log object: the bytes that belong to the chain and are in no earlier part.
  private struct Part: Sendable {
    var segment: Snapshot.Segment
    var span: LogSpan
    var range: Range<UInt64>
    /// Whether a command may begin after it.
    var endsAtCut: Bool
  }

  private struct Enough: Error {}

  package let reader: HistoryReader
  package let snapshot: Snapshot
  /// Receives the keys of an RDB with which the log begins.
  package var observer: (any RDBKeyObserver)?
  /// Receives the log bytes that were read.
  package var progress: @Sendable (UInt64) -> Void = { _ in }

  package init(reader: HistoryReader, snapshot: Snapshot) {
    self.reader = reader
    self.snapshot = snapshot
  }

  /// Bytes that a walk from the beginning reads.
  package var bytes: UInt64 {
    parts(from: nil, margin: 0).reduce(0) {
      $0 &+ ($1.range.upperBound - $1.range.lowerBound)
    }
  }

  /// - Parameters:
  ///   - start: the walk begins with the object that contains this position, and reads nothing earlier; nil:
  ///     from the beginning.
  ///   - margin: how many objects before that one are read, too.
  ///   - preamble: receives the RDB with which the log begins, after its end.
  ///   - take: returns false to end the walk.
  /// - Returns: the last end of an object that was read and after which a command may begin.
  @discardableResult
  package func run(
    from start: LogPosition? = nil, margin: Int = 0, preamble: (RDBWalker) -> Void = { _ in },
    take: (Step) -> Bool
  ) async throws -> LogPosition? {
    let parts = parts(from: start, margin: margin)
    func feed(at offset: UInt64) -> LogFileFeed {
      LogFileFeed(at: offset, observer: observer)
    }
    var file = feed(at: 0)
    var end: LogPosition?
    var isFirst = true
    do {
      try await ReadAhead.run(parts) { [reader, progress] part in
        let payload = try await LogWalk.payload(part.segment, part.span, reader)
        progress(part.range.upperBound - part.range.lowerBound)
        return payload
      } take: { part, payload in
        if isFirst || part.range.lowerBound == 0 { file = feed(at: part.range.lowerBound) }
        isFirst = false
        guard
          try file.feed(
            payload, part.span, part.range, part.segment, preambleEnded: preamble, take)
        else { throw Enough() }
        if part.endsAtCut { end = part.segment.position(part.range.upperBound) }
      }
    } catch is Enough {}
    return end
  }

  private func parts(from start: LogPosition?, margin: Int) -> [Part] {
    var parts: [Part] = []
    for (segment, span) in reader.history.chain(of: snapshot).objects {
      let isSameFile = parts.last.map { segment.from > 0 || $0.segment == segment } ?? false
      let from = max(span.from, segment.from, isSameFile ? parts.last!.range.upperBound : 0)
      let to = min(span.to, segment.to ?? span.to)
      guard from < to else { continue }
      // The log may also be cut at a fork.
      parts.append(
        Part(
          segment: segment, span: span, range: from..<to,
          endsAtCut: span.mark != nil || to < span.to))
    }
    guard let start else { return parts }
    let first = parts.lastIndex {
      $0.segment.timeline == start.timeline && $0.segment.ordinal == start.ordinal
        && $0.range.lowerBound <= start.offset
    }
    guard var first = first ?? firstBehind(start, parts) else { return [] }
    first = max(0, first - margin)
    while first > 0, parts[first].range.lowerBound > 0, !parts[first - 1].endsAtCut { first -= 1 }
    return Array(parts[first...])
  }

  /// A file that is still empty has no part. The log continues in the next file.
  private func firstBehind(_ start: LogPosition, _ parts: [Part]) -> Int? {
    let segments = snapshot.chain?.files.flatMap(\.segments) ?? []
    guard
      let index = segments.lastIndex(where: {
        $0.timeline == start.timeline && $0.ordinal == start.ordinal && $0.from <= start.offset
      })
    else { return nil }
    return parts.firstIndex { segments[(index + 1)...].contains($0.segment) }
  }

  private static func payload(
    _ segment: Snapshot.Segment, _ span: LogSpan, _ reader: HistoryReader
  ) async throws -> LogPayload {
    let name = ObjectPath.log(segment.timeline, ordinal: segment.ordinal, span)
    func broken(_ cause: String, isGone: Bool = false) -> LifeboatError {
      var error = LifeboatError(
        .corrupt, "the log can't be read to its end", cause: "\(name.text) \(cause)",
        hint: "`lifeboat verify` lists all damage; choose a restore point with --at or --point")
      error.missingObject = isGone ? name.text : nil
      return error
    }
    switch try await reader.log(name, segment.timeline, span) {
    case .payload(let payload): return payload
    case .gone: throw broken("is missing", isGone: true)
    case .unusable(let error):
      if reader.history.catalogue.hasElsewhere(name) {
        throw UnusableLog(name: name, reason: error.reason)
      }
      throw broken("can't be used: \(error.reason)")
    }
  }
}

/// One of Redis's files, object by object.
private struct LogFileFeed {
  /// Longer arguments are ignored.
  private static let argumentBytesMax = 1024

  private var reader: AOFCommandReader
  /// The RDB that a legacy AOF may begin with.
  private var preamble: RDBWalker?
  private var isAtStart: Bool
  private var isFirst: Bool
  private var isInTransaction = false
  private var lastSeen: Instant?

  private let observer: (any RDBKeyObserver)?

  init(at offset: UInt64, observer: (any RDBKeyObserver)?) {
    self.observer = observer
    reader = AOFCommandReader(at: offset, argumentBytesMax: LogFileFeed.argumentBytesMax)
    isAtStart = offset == 0
    isFirst = offset == 0
  }

  /// Returns false when `take` has ended the walk.
  mutating func feed(
    _ payload: LogPayload, _ span: LogSpan, _ range: Range<UInt64>, _ segment: Snapshot.Segment,
    preambleEnded: (RDBWalker) -> Void, _ take: (LogWalk.Step) -> Bool
  ) throws -> Bool {
    let skipped = Int(range.lowerBound - span.from)
    let bytes = payload.bytes[skipped..<skipped + Int(range.upperBound - range.lowerBound)]
    // The marks at the ends of a fold's parts, and at the end of the object.
    let marks =
      payload.marks.filter { $0.kind == .seen } + [
        Mark(
          offset: span.to, time: span.mark ?? payload.marks.last?.time ?? Instant(milliseconds: 0),
          kind: .seen)
      ]
    var next = 0
    var goesOn = true
    var (isFirst, isInTransaction, lastSeen) = (self.isFirst, self.isInTransaction, self.lastSeen)
    try bytes.withUnsafeBytes { buffer in
      guard let rest = try readPreamble(buffer, preambleEnded) else { return }
      reader.consume(rest) { event in
        guard goesOn else { return }
        let (start, end, name) = event.place
        while next < marks.count - 1, marks[next].offset < end { next += 1 }
        lastSeen = max(marks[next].time, lastSeen ?? marks[next].time)
        goesOn = take(
          LogWalk.Step(
            event: event,
            place: segment.position(start),
            seenAt: lastSeen!, isCut: !isInTransaction, isFirst: isFirst))
        isFirst = false
        if name == "MULTI" { isInTransaction = true }
        if name == "EXEC" || name == "DISCARD" { isInTransaction = false }
      }
    }
    (self.isFirst, self.isInTransaction, self.lastSeen) = (isFirst, isInTransaction, lastSeen)
    guard !reader.isBroken else {
      throw LifeboatError(
        .corrupt, "the log can't be read as commands",
        cause:
          "invalid command near offset \(reader.offset) of a file of timeline \(segment.timeline)")
    }
    return goesOn
  }

  /// Returns the bytes after the preamble; nil until the preamble ends.
  private mutating func readPreamble(
    _ bytes: UnsafeRawBufferPointer, _ preambleEnded: (RDBWalker) -> Void
  ) throws -> UnsafeRawBufferPointer? {
    if isAtStart, let first = bytes.first {
      isAtStart = false
      if first == UInt8(ascii: "R") || first == UInt8(ascii: "V") {
        preamble = RDBWalker(observer: observer)
      }
    }
    guard var walker = preamble else { return bytes }
    preamble = nil  // so that it is not copied
    let used = walker.consume(bytes)
    switch walker.state {
    case .walking:
      preamble = walker
      return nil
    case .ended(let end):
      preambleEnded(walker)
      reader = AOFCommandReader(at: end, argumentBytesMax: LogFileFeed.argumentBytesMax)
      return UnsafeRawBufferPointer(rebasing: bytes[used...])
    case .malformed(let fault), .unknown(let fault):
      throw LifeboatError(
        .corrupt, "the RDB at the beginning of the log can't be read", cause: fault.reason)
    }
  }
}

extension AOFCommandReader.Event {
  /// The offsets of its first byte and after its last, and the name of a command.
  package var place: (start: UInt64, end: UInt64, name: String) {
    switch self {
    case .command(let command): (command.start, command.end, command.name)
    case .timestamp(_, let start): (start, start, "")
    }
  }
}
