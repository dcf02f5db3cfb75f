package import BackupFormat
package import BackupTypes

/// The log of a snapshot's chain, as the names of its objects show it: the slices of its segments in order,
/// up to the first hole.
package struct ChainLog: Sendable {
  /// A place at the end of an object where the chain can be cut.
  package struct Mark: Sendable, Equatable {
    package var position: LogPosition
    /// Never earlier than the time of the mark before it.
    package var time: Instant
  }
  package struct Part: Sendable {
    package let segment: Snapshot.Segment
    package let log: LogSlice
    /// The time of the last mark in the parts before it.
    fileprivate let earliest: Instant?

    fileprivate func mark(_ mark: LogRun.Mark) -> Mark {
      Mark(position: segment.position(mark.offset), time: max(mark.time, earliest ?? mark.time))
    }
  }

  package let parts: [Part]
  /// Whether nothing is missing in it, as far as its segments have an end.
  private let isWhole: Bool

  init(_ segments: [Snapshot.Segment], in history: History) {
    var parts: [Part] = []
    var last: Instant?
    var isWhole = true
    for segment in segments {
      let log = history.log(
        of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: segment.to)
      let part = Part(segment: segment, log: log, earliest: last)
      parts.append(part)
      last = log.marks.last.map { part.mark($0).time } ?? last
      isWhole = log.isWhole
      guard isWhole else { break }
    }
    self.parts = parts
    self.isWhole = isWhole
  }

  /// Nothing is missing in it.
  /// - Parameter reached: up to where the last segment was durable, if it is open.
  func isWhole(upTo reached: UInt64?) -> Bool {
    guard isWhole, let last = parts.last, last.segment.to == nil, let reached else {
      return isWhole
    }
    return last.log.reached >= reached
  }

  package var first: Mark? {
    parts.first { !$0.log.marks.isEmpty }.map { $0.mark($0.log.marks.first!) }
  }
  package var last: Mark? {
    parts.last { !$0.log.marks.isEmpty }.map { $0.mark($0.log.marks.last!) }
  }
  package var isEmpty: Bool { parts.allSatisfy { $0.log.spans.isEmpty } }

  /// The first and the last mark of the log of one timeline that are not beyond `end`.
  func marks(of timeline: TimelineNumber, notBeyond end: LogPosition?) -> (first: Mark, last: Mark)?
  {
    var found: (first: Mark, last: Mark)?
    for part in parts where part.segment.timeline == timeline {
      let marks = part.log.marks
      let behind = marks.partitioningIndex { mark in
        end.map { part.segment.position(mark.offset) > $0 } ?? false
      }
      guard behind > marks.startIndex else { continue }
      found = (found?.first ?? part.mark(marks.first!), part.mark(marks[behind - 1]))
    }
    return found
  }

  /// The last mark not after `instant`.
  package func last(notAfter instant: Instant) -> Mark? {
    for part in parts.reversed() where part.earliest.map({ $0 <= instant }) ?? true {
      let marks = part.log.marks
      let after = marks.partitioningIndex { $0.time > instant }
      if after > marks.startIndex { return part.mark(marks[after - 1]) }
    }
    return nil
  }

  /// The mark at `position`, if an object ends there.
  package func mark(at position: LogPosition) -> Mark? {
    for part in parts where part.segment.isOf(position) {
      let marks = part.log.marks
      let index = marks.partitioningIndex { $0.offset >= position.offset }
      if index < marks.endIndex, marks[index].offset == position.offset {
        return part.mark(marks[index])
      }
    }
    return nil
  }

  /// In the order of the log.
  package var marks: [Mark] { parts.flatMap { part in part.log.marks.map(part.mark) } }

  /// The objects, in the order of the log.
  package var objects: some Sequence<(segment: Snapshot.Segment, span: LogSpan)> {
    parts.lazy.flatMap { part in part.log.spans.lazy.map { (part.segment, $0) } }
  }
  /// The last object.
  package var lastObject: (segment: Snapshot.Segment, span: LogSpan)? {
    parts.last { !$0.log.spans.isEmpty }.map { ($0.segment, $0.log.spans.last!) }
  }

  // MARK: Inside objects

  /// The objects that may contain a mark not after `instant` that is later than the marks at the ends of
  /// objects: the object that contains the log of that time, and objects from inside of which a successor
  /// continued.
  func inner(around instant: Instant, of snapshot: Snapshot) -> [InnerMarks] {
    var found: [InnerMarks] = []
    for part in parts {
      let (spans, marks) = (part.log.spans, part.log.marks)
      if part.earliest.map({ $0 > instant }) ?? false { break }
      let after = marks.partitioningIndex { $0.time > instant }
      let earliest = after > marks.startIndex ? part.mark(marks[after - 1]).time : part.earliest
      func add(_ span: LogSpan) {
        found.append(
          InnerMarks(snapshot: snapshot, segment: part.segment, span: span, earliest: earliest))
      }
      if after < marks.endIndex {
        add(spans[spans.partitioningIndex { $0.to >= marks[after].offset }])
      } else if part.log.isCrossed, let last = spans.last, last.mark != nil {
        add(last)
      }
    }
    return found
  }

  /// The object that contains `position`.
  func inner(of snapshot: Snapshot, at position: LogPosition) -> InnerMarks? {
    for part in parts where part.segment.isOf(position) {
      let spans = part.log.spans
      let index = spans.partitioningIndex { $0.to >= position.offset }
      guard index < spans.endIndex, spans[index].from < position.offset else { continue }
      let marks = part.log.marks
      let next = marks.partitioningIndex { $0.offset >= spans[index].to }
      let earliest = next > marks.startIndex ? part.mark(marks[next - 1]).time : part.earliest
      return InnerMarks(
        snapshot: snapshot, segment: part.segment, span: spans[index], earliest: earliest)
    }
    return nil
  }
}

extension Snapshot.Segment {
  /// Whether the position is in the same log.
  package func isOf(_ position: LogPosition) -> Bool {
    timeline == position.timeline && ordinal == position.ordinal
  }
  package func position(_ offset: UInt64) -> LogPosition {
    LogPosition(timeline: timeline, ordinal: ordinal, offset: offset)
  }
}
