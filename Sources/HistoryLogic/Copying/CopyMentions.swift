package import BackupFormat

/// What the snapshots of a source refer to, in the order of the snapshots. Each log and each generation is
/// stored with the first snapshot that refers to it. So the size depends on how many there are, and not on
/// how often they are named.
package struct CopyMentions: Sendable {
  /// A snapshot, and what it refers to that no earlier snapshot does.
  package struct Mention: Sendable, Equatable {
    package var key: SnapshotKey
    /// The snapshot is a restore point.
    package var isPoint: Bool
    package var logs: [Need] = []
    /// Full copies that the restore point needs.
    package var generations: [GenerationID] = []
    /// The dump of the snapshot, if it is beside a chain.
    package var beside: [GenerationID] = []
  }

  /// A log, and how much of it was durable when the snapshot was written.
  package struct Need: Sendable, Equatable {
    package var log: Prune.Log
    package var end: UInt64
  }

  package private(set) var mentions: [Mention] = []
  /// Every log that a snapshot names.
  package private(set) var logs: Set<Prune.Log> = []
  /// Logs of snapshots that are in the copy. A reader of the copy sees what is added to them.
  package private(set) var visibleLogs: Set<Prune.Log> = []
  /// Generations that a restore point needs. A dump that is only beside a chain does not count.
  package private(set) var generations: Set<GenerationID> = []
  private var beside: Set<GenerationID> = []

  package init() {}

  /// Snapshots are added in order of timeline and number.
  /// - Parameter isInCopy: the snapshot is in the copy.
  package mutating func add(_ snapshot: Snapshot, isInCopy: Bool) {
    var mention = Mention(key: snapshot.key, isPoint: snapshot.primary != nil)
    let named = snapshot.logs
    if isInCopy { visibleLogs.formUnion(named) }
    mention.logs = named.subtracting(logs).sorted {
      ($0.timeline, $0.ordinal) < ($1.timeline, $1.ordinal)
    }.map { Need(log: $0, end: snapshot.durableEnd(of: $0)) }
    logs.formUnion(named)
    let base = snapshot.chain?.base?.generation
    let dump = snapshot.dump?.generation
    for needed in [base, snapshot.primary == .aof ? nil : dump].compactMap({ $0 })
    where generations.insert(needed).inserted {
      mention.generations.append(needed)
    }
    if snapshot.primary == .aof, let dump, !generations.contains(dump),
      beside.insert(dump).inserted
    {
      mention.beside.append(dump)
    }
    mentions.append(mention)
  }
}

extension Snapshot {
  /// How much of a log was durable when this snapshot was written, if the snapshot says so.
  fileprivate func durableEnd(of log: Prune.Log) -> UInt64 {
    let files = (chain?.files ?? []) + (detached?.files ?? [])
    let own = files.flatMap(\.segments).filter {
      $0.timeline == log.timeline && $0.ordinal == log.ordinal
    }
    let isOpen = chain?.openSegment.map { own.contains($0) } ?? false
    return max(own.compactMap(\.to).max() ?? 0, isOpen ? reached ?? 0 : 0)
  }
}
