package import BackupFormat
package import BackupTypes

/// A log object with a position inside it where it may be cut. Names show only the marks at the ends of
/// objects. A fold contains the marks of all objects that it replaced.
package struct InnerMarks: Sendable, Equatable {
  package var snapshot: Snapshot
  package var timeline: TimelineNumber
  package var ordinal: Int
  package var span: LogSpan
  /// The bytes of the object that belong to the chain.
  fileprivate var from: UInt64
  fileprivate var to: UInt64
  /// The last mark in a name before it. Times never go back along a log.
  private var earliest: Instant?

  package var name: ObjectPath { .log(timeline, ordinal: ordinal, span) }

  init(
    snapshot: Snapshot, segment: Snapshot.Segment, span: LogSpan, earliest: Instant?
  ) {
    self.snapshot = snapshot
    timeline = segment.timeline
    ordinal = segment.ordinal
    self.span = span
    from = max(span.from, segment.from)
    to = min(span.to, segment.to ?? span.to)
    self.earliest = earliest
  }

  /// The last of the object's own marks that is not after `instant`.
  package func last(of marks: [Mark], notAfter instant: Instant) -> RestorePoint? {
    cuts(marks).last { $0.instant <= instant }
  }

  /// The mark at `offset`, if the object has one.
  package func point(of marks: [Mark], at offset: UInt64) -> RestorePoint? {
    cuts(marks).first { $0.cut?.offset == offset }
  }

  /// All of the object's own marks.
  package func points(of marks: [Mark]) -> [RestorePoint] { cuts(marks) }

  /// An annotation is not a cut: it may be inside a transaction.
  private func cuts(_ marks: [Mark]) -> [RestorePoint] {
    var last = earliest
    return marks.compactMap { mark in
      guard mark.kind == .seen, mark.offset > from, mark.offset <= to else { return nil }
      last = max(mark.time, last ?? mark.time)
      return RestorePoint(
        snapshot: snapshot, primary: .aof,
        cut: LogPosition(timeline: timeline, ordinal: ordinal, offset: mark.offset),
        instant: last!)
    }
  }
}

extension PointFinder {
  /// In every chain, the objects that may contain a mark not after `instant` and later than those in the
  /// names.
  package func inner(around instant: Instant) -> [InnerMarks] {
    var found: [InnerMarks] = []
    for sequence in snapshots.keys.sorted(by: >) where snapshots[sequence]!.primary == .aof {
      let snapshot = snapshots[sequence]!
      if history.isQuarantined(snapshot) { continue }
      for made in history.chain(of: snapshot).inner(around: instant, of: snapshot) {
        // Many snapshots contain the log of one file. The newest of them is used.
        if !found.contains(where: { $0.name == made.name && $0.to >= made.to }) {
          found.append(made)
        }
      }
    }
    return found
  }

  /// The object of a snapshot's chain that contains `position`.
  package func inner(of snapshot: Snapshot, at position: LogPosition) -> InnerMarks? {
    history.chain(of: snapshot).inner(of: snapshot, at: position)
  }
}
