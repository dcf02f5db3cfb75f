package import BackupFormat
package import BackupTypes

/// The facts about a snapshot that are shown: a few hundred bytes, so that those of a long history can be
/// kept in memory.
package struct SnapshotTrace: Sendable, Equatable {
  package var sequence: Int
  package var at: Instant
  package var primary: Snapshot.Primary?
  package var isClean: Bool
  package var destructive: Snapshot.Destructive?
  package var base: GenerationID?
  package var dump: GenerationID?
  package var dumpAt: Instant?
  /// Of the chain, in order.
  package var segments: [Snapshot.Segment]
  /// Up to where the log of its open segment was durable.
  package var reached: UInt64?
  /// The ordinals of its own timeline that it names, including those of detached files.
  package var named: [Int]
  /// How many keys there were, as far as its writer knew; nil if unknown.
  package var estimate: Snapshot.Estimate?

  package init(_ snapshot: Snapshot) {
    sequence = snapshot.sequence
    at = snapshot.at
    primary = snapshot.primary
    isClean = snapshot.isClean
    destructive = snapshot.destructive
    base = snapshot.chain?.base?.generation
    dump = snapshot.dump?.generation
    dumpAt = snapshot.dump?.contentAt
    segments = snapshot.chain?.files.flatMap(\.segments) ?? []
    reached = snapshot.reached
    estimate = snapshot.estimate
    let detached = snapshot.detached?.files.flatMap(\.segments) ?? []
    named = (segments + detached).filter { $0.timeline == snapshot.timeline }.map(\.ordinal)
  }

  /// The full copy that its point begins with.
  package var needed: GenerationID? { primary == .rdb ? dump : base }

  /// The end of its log when it was written; nil if it has no log.
  var position: LogPosition? {
    segments.last.map {
      LogPosition(
        timeline: $0.timeline, ordinal: $0.ordinal, offset: $0.to ?? reached ?? $0.from)
    }
  }
}

/// The value for `--point`.
func pointID(_ timeline: TimelineNumber, _ sequence: Int, _ position: LogPosition?) -> String {
  "\(timeline).\(sequence)"
    + (position.map {
      "@" + ($0.timeline == timeline ? "" : "\($0.timeline)/") + "\($0.ordinal):\($0.offset)"
    } ?? "")
}
