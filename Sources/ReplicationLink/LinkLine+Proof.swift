import BackupFormat
import BackupTypes
import WriterLogic

/// How far the stream is the log that the repository has. Most of it is proved by the server, and not read.
extension LinkLine {
  /// The end of the last log object before the first that may differ from the part (`Need.agreement`).
  ///
  /// The last object of the range can go on behind its end, with what a fork left behind. Nothing depends on
  /// these bytes.
  func agreement(_ part: Part, size: UInt64, with spans: [LogSpan], in range: LogRange)
    throws(LifeboatError) -> UInt64
  {
    let proved = min(size, proved(part, in: range.timeline))
    let agreed = spans.last { $0.to <= proved }?.to ?? range.from
    if !isForked(part, in: range.timeline, at: proved),
      spans.contains(where: { range.end(of: $0) > proved && $0.to <= size })
    {
      // The rest is compared, if it is in memory.
      try require(part, from: agreed, to: size)
    }
    return agreed
  }

  /// How far the part agrees with the bytes of one log object (`Need.shared`). Nil if they have to be
  /// compared.
  func shared(_ part: Part, size: UInt64, with span: LogSpan, in range: LogRange)
    throws(LifeboatError) -> UInt64?
  {
    let end = min(range.end(of: span), size)
    let proved = proved(part, in: range.timeline)
    if proved >= end { return end }
    // Nobody holds the bytes up to the fork any more, and those after it differ.
    if proved >= span.from, isForked(part, in: range.timeline, at: proved) { return proved }
    try require(part, from: span.from, to: end)
    return nil
  }

  private func require(_ part: Part, from: UInt64, to: UInt64) throws(LifeboatError) {
    guard from < to, !holds(from: part.start + from, to: part.start + to) else { return }
    makeStale()
    throw LifeboatError(
      .failure, "the repository has been written to since it was read",
      cause: "another shipper has continued this history", isRetryable: true)
  }
}

extension LogRange {
  /// Up to where an object belongs to the range.
  fileprivate func end(of span: LogSpan) -> UInt64 { min(span.to, limit ?? .max) }
}
