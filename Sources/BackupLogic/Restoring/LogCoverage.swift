package import BackupFormat
package import BackupTypes

/// Which objects of one ordinal's log give the bytes from an offset on, without a gap.
package struct LogCoverage: Sendable, Equatable {
  /// In order. Each begins at or before the end of the previous one, and extends further.
  package var picks: [LogSpan]
  /// The end of the contiguous bytes.
  package var reached: UInt64
  /// The last restore point among them that names show: the end of a contiguous object that has a mark.
  package var lastMark: (offset: UInt64, time: Instant)?
  /// The number of objects after a hole. They do not count, and a reader reports them.
  package var beyondHole: Int

  /// From `from` on, a reader takes at each position p, of the objects with from ≤ p < to, the one that
  /// extends furthest. `limit` is a cut: the last object may extend past it.
  package init(_ spans: [LogSpan], from: UInt64, limit: UInt64? = nil) {
    let usable = spans.sorted { ($0.from, $1.to) < ($1.from, $0.to) }
    var position = from
    var chosen: [LogSpan] = []
    var index = 0
    while limit.map({ position < $0 }) ?? true {
      var best: LogSpan?
      while index < usable.count, usable[index].from <= position {
        if usable[index].to > max(position, best?.to ?? 0) { best = usable[index] }
        index += 1
      }
      guard let pick = best else { break }
      chosen.append(pick)
      position = pick.to
    }
    picks = chosen
    reached = max(from, chosen.last?.to ?? from)
    lastMark = chosen.last(where: { $0.mark != nil }).map { ($0.to, $0.mark!) }
    let isComplete = limit.map { position >= $0 } ?? false
    beyondHole = isComplete ? 0 : usable[index...].count { $0.to > position }
  }

  package static func == (a: LogCoverage, b: LogCoverage) -> Bool {
    a.picks == b.picks && a.reached == b.reached && a.beyondHole == b.beyondHole
  }
}
