import BackupFormat
import BackupLogic
import BackupTypes
import Codec
import RedisFormats
import SystemIO

/// Compares one growing file on disk with what the repository holds of it.
struct LogComparison: Sendable {
  let repository: Repository
  let history: History
  /// Called for every object that is compared.
  let moves: @Sendable () -> Void

  struct Result: Sendable {
    /// The last common position where a loader may stop.
    var offset: UInt64
    /// What the repository holds of the file up to there.
    var segments: [Snapshot.Segment]
    var position: LogPosition?
    /// Everything that the repository holds of the file is on disk, byte for byte.
    var isWhole: Bool
  }

  /// Compares by the digests in the names. Only an object whose digest does not match is downloaded and
  /// compared byte by byte (a fold may extend past the fork).
  func compare(_ file: any SourceFile, size: UInt64, with record: Snapshot.LogFile) async throws
    -> Result
  {
    var result = Result(offset: 0, segments: [], position: nil, isWhole: true)
    var boundary: UInt64 = 0
    for segment in record.segments {
      guard segment.from == result.offset else { break }
      let log = history.log(
        of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: segment.to)
      var reached = segment.from
      for span in log.spans {
        moves()
        let end = min(span.to, segment.to ?? span.to)
        let common = try await commonEnd(file, size: size, span, segment, upTo: end)
        if common < end {
          result.isWhole = false
          reached = try await lastBoundary(file, from: boundary, upTo: common)
          break
        }
        reached = end
        if span.mark != nil || end == segment.to { boundary = end }
      }
      if let to = segment.to, reached < to { result.isWhole = false }
      if reached > segment.from || record.segments.count == 1 {
        result.position = LogPosition(
          timeline: segment.timeline, ordinal: segment.ordinal, offset: reached)
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
      trim(&result, to: try await lastBoundary(file, from: boundary, upTo: result.offset))
    }
    return result
  }

  private func trim(_ result: inout Result, to offset: UInt64) {
    result.segments.removeAll { $0.from >= offset }
    if let last = result.segments.indices.last { result.segments[last].to = offset }
    result.offset = offset
    if let position = result.position {
      result.position = LogPosition(
        timeline: position.timeline, ordinal: position.ordinal, offset: offset)
    }
  }

  /// How far disk and object agree, from the object's start and at most to `end`.
  private func commonEnd(
    _ file: any SourceFile, size: UInt64, _ span: LogSpan, _ segment: Snapshot.Segment,
    upTo end: UInt64
  ) async throws -> UInt64 {
    if span.to <= size,
      try await file.digest(from: span.from, to: span.to, frame: repository.frame).short
        == span.digest
    {
      return end
    }
    let name = ObjectPath.log(segment.timeline, ordinal: segment.ordinal, span)
    guard
      let content = try await repository.content(name, kind: .log, limit: LogPayload.sizeMax)
    else { return span.from }
    let payload = try LogPayload(decoding: content, span: span)
    guard size > span.from else { return size }
    let onDisk = try await file.whole(from: span.from, to: min(span.to, size))
    let common = zip(onDisk, payload.bytes).prefix { $0 == $1 }.count
    return min(span.from + UInt64(common), end)
  }

  private func lastBoundary(_ file: any SourceFile, from: UInt64, upTo end: UInt64) async throws
    -> UInt64
  {
    guard end > from else { return from }
    var scanner = AOFScanner(at: from)
    try await file.stream(from: from, to: end) {
      scanner.consume($0)
      return true
    }
    return scanner.boundary
  }
}
