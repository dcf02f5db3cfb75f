import BackupFormat
import BackupTypes
import HistoryLogic

/// Compares one growing file on disk with what the repository holds of it.
extension Comparing {
  struct Common {
    /// The last common position where a loader may stop.
    var offset: UInt64 = 0
    /// What the repository holds of the file up to there.
    var segments: [Snapshot.Segment] = []
    var position: LogPosition?
    /// The disk has all bytes that the repository has of this file.
    var isWhole = true
  }

  /// Compares by the digests in the names. Only an object whose digest does not match is compared byte by
  /// byte (a fold may extend past the fork).
  func common(_ file: PinnedFile, _ record: Snapshot.LogFile) throws(Evidence.Missing) -> Common {
    var result = Common()
    var boundary: UInt64 = 0
    for segment in record.segments {
      guard segment.from == result.offset else { break }
      var reached = segment.from
      for (end, span, common) in try compared(file, segment) {
        if common < end {
          result.isWhole = false
          reached = try lastBoundary(file, from: boundary, to: common)
          break
        }
        reached = end
        if span.mark != nil || end == segment.to { boundary = end }
      }
      if let to = segment.to, reached < to { result.isWhole = false }
      if reached > segment.from || record.segments.count == 1 {
        result.position = segment.position(reached)
      }
      if reached > segment.from {
        result.segments.append(
          .init(
            timeline: segment.timeline, ordinal: segment.ordinal, from: segment.from, to: reached))
        result.offset = reached
      }
      if !result.isWhole { break }
    }
    if result.offset > boundary {
      // The last object ended inside a command, so the common part ends before that command.
      trim(&result, to: try lastBoundary(file, from: boundary, to: result.offset))
    }
    return result
  }

  /// The objects of a segment, up to the first one that the file does not have. Each result says where the
  /// object ends within this segment, and up to where the file agrees with it.
  private func compared(_ file: PinnedFile, _ segment: Snapshot.Segment) throws(Evidence.Missing)
    -> [(end: UInt64, span: LogSpan, common: UInt64)]
  {
    let range = LogRange(segment)
    let spans = history.log(
      of: range.timeline, ordinal: range.ordinal, from: range.from, limit: range.limit
    ).spans
    guard !spans.isEmpty else { return [] }
    let agreed = try facts.offset(.agreement(file.pin, size: file.size, range))
    var found: [(end: UInt64, span: LogSpan, common: UInt64)] = []
    for span in spans {
      let end = min(span.to, segment.to ?? span.to)
      guard span.to > agreed else {
        found.append((end, span, end))
        continue
      }
      var common = file.size
      if file.size > span.from {
        common = try facts.offset(.shared(file.pin, size: file.size, range, span))
      }
      found.append((end, span, min(common, end)))
      if common < end { break }
    }
    return found
  }

  private func trim(_ result: inout Common, to offset: UInt64) {
    result.segments.removeAll { $0.from >= offset }
    if let last = result.segments.indices.last { result.segments[last].to = offset }
    result.offset = offset
    if let position = result.position {
      result.position = LogPosition(
        timeline: position.timeline, ordinal: position.ordinal, offset: offset)
    }
  }

  private func lastBoundary(_ file: PinnedFile, from: UInt64, to end: UInt64)
    throws(Evidence.Missing) -> UInt64
  {
    guard end > from else { return from }
    return try facts.offset(.boundary(file.pin, from: from, to: end))
  }
}
