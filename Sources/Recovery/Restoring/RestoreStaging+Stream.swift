import BackupFormat
import BackupTypes
import HistoryLogic
import RedisFormats
import RepositoryAccess
import SystemIO

/// A single AOF, made of a full copy and of the stream of a server older than Redis 7.0.
extension RestoreStaging {
  /// After an interruption the file is made again: its staged bytes are not those of the objects.
  func fetch(
    _ parts: [RestorePlan.LogPart], over base: RestorePlan.File, _ file: RestorePlan.File
  ) async throws -> (digest: Digest, size: UInt64) {
    guard let original = try directory(base).open(base.name) else {
      throw LifeboatError(.failure, "\(base.path) was removed during the restore")
    }
    let staged = try open(file)
    try staged.truncate(to: 0)
    try fill(staged, from: original, size: base.size)
    progress(base.size)
    var size = base.size
    var check = StagedFileCheck(file.content, now: now)
    var expiries = AbsoluteExpiries()
    var receipt = Receipt(latest: plan.point.instant)
    try await ReadAhead.run(
      parts.map { Part($0) }, cost: { 2 * $0.heldBytes }, within: objectsBytes
    ) { part in
      let opened = try await opened(part)
      progress(UInt64(opened.bytes.count))
      return opened
    } take: { part, opened in
      opened.bytes.withUnsafeBytes { check.consume($0) }
      receipt.enter(part, opened.marks)
      let made = expiries.consume(opened.bytes) { index in
        receipt.time(of: part.range.lowerBound + UInt64(index - opened.bytes.startIndex) + 1)
      }
      try made.output.withUnsafeBytes { try staged.write($0, at: size) }
      size += UInt64(made.output.count)
      for patch in made.patches {
        try patch.bytes.withUnsafeBytes { try staged.write($0, at: base.size + patch.offset) }
      }
    }
    if let reason = check.finish(size: file.size - base.size) { throw broken(file, reason) }
    try staged.synchronize()
    return (try StagedDigest.of(staged, size: size), size)
  }

  /// When the bytes of a stream were received.
  private struct Receipt {
    private var marks: [Mark] = []
    private var next = 0
    /// The time to use if no mark follows: in the middle of a command that is larger than an object.
    private var time: Instant

    /// - Parameter latest: everything was received by then.
    init(latest: Instant) { time = latest }

    mutating func enter(_ part: Part, _ marks: [Mark]) {
      (self.marks, next) = (marks, 0)
      guard let (span, _) = part.span, let mark = span.mark else { return }
      self.marks.append(Mark(offset: span.to, time: mark, kind: .seen))
    }

    /// The first time at which the file was seen to have that many bytes.
    mutating func time(of size: UInt64) -> Instant {
      while next < marks.count, marks[next].offset < size { next += 1 }
      if next < marks.count { time = marks[next].time }
      return time
    }
  }
}
