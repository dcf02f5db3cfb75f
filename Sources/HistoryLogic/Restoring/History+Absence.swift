package import BackupFormat
package import BackupTypes

/// Log with commands whose BASE never became durable, as an interrupted first ship leaves it. It is not a
/// restore point, because the state that it continues is unknown.
package struct UnfinishedLog: Sendable, Equatable {
  /// A first ship takes minutes. Log that spans more than this can't come from an interrupted first ship. It
  /// is reported, and never ignored.
  package static let spanMax: Int64 = 3_600_000

  /// The last snapshot that names its files.
  package var snapshot: Snapshot
  package var bytes: UInt64
  /// When its first and its last object were written, according to the store or, if the store has no times,
  /// according to the marks in their names. Nil if neither is known.
  package var times: ClosedRange<Instant>?
  /// Whether objects exist after a hole, which means that some durable objects are gone.
  package var hasHole: Bool

  package var timeline: TimelineNumber { snapshot.timeline }
  package var isShort: Bool {
    times.map { $0.upperBound.since($0.lowerBound) < UnfinishedLog.spanMax } ?? false
  }
  /// `1.2 MiB of 2026-11-28T06:00:00Z to 2026-11-28T06:01:00Z`.
  package var text: String {
    humanBytes(bytes) + (times.map { " of \($0.lowerBound) to \($0.upperBound)" } ?? "")
  }
}

extension Snapshot {
  /// The snapshot with the log that it only names, as a chain without BASE; nil if it names none.
  package var behindEmptyBase: Snapshot? {
    guard let detached, !detached.files.isEmpty else { return nil }
    var copy = self
    copy.chain = Chain(form: detached.form, base: nil, files: detached.files)
    copy.primary = .aof
    copy.detached = nil
    return copy
  }
}

extension History {
  /// Whether the complete listing and the records prove that there has never been a restore point, except
  /// for log that `unfinishedLogs` reports. All of this must be true:
  /// - there is no index of a generation, and no snapshot with a restore point;
  /// - every snapshot that a claim counted, and every listed one, is among `snapshots`. A foreign one may
  ///   have replaced a restore point;
  /// - every ordinal that has a log object is named by a snapshot, since no log is sent before that;
  /// - if there is no claim at all, there is no piece of a generation either.
  ///
  /// A shipper that is killed before its first generation is durable, and started again, claims again and
  /// names its predecessor. Its `end` says how many snapshots the predecessor had. All of them must exist.
  package func provesNoRestorePoint(snapshots: [Snapshot]) -> Bool {
    guard unreadable.isEmpty, catalogue.generations.values.allSatisfy({ !$0.hasIndex }),
      snapshots.allSatisfy({ $0.primary == nil }), namesEveryLog(snapshots),
      !claims.isEmpty || catalogue.generations.isEmpty
    else { return false }
    var seen: [TimelineNumber: Set<Int>] = [:]
    for snapshot in snapshots { seen[snapshot.timeline, default: []].insert(snapshot.sequence) }
    guard claims.keys.allSatisfy({ seen[$0, default: []].isSuperset(of: self.snapshots(of: $0)) })
    else { return false }
    return claims.values.allSatisfy { claim in
      guard let parent = claim.parent else { return claim.timeline == .first }
      guard claims[parent] != nil, let end = claim.end, end.snapshots >= 0 else { return false }
      return (seen[parent]?.count { $0 <= end.snapshots } ?? 0) == end.snapshots
    }
  }

  private func namesEveryLog(_ snapshots: [Snapshot]) -> Bool {
    let named = snapshots.reduce(into: Set<Ordinal>()) { $0.formUnion(ordinals(of: $1)) }
    return catalogue.timelines.allSatisfy { timeline, listed in
      listed.log.keys.allSatisfy { named.contains(Ordinal(timeline: timeline, ordinal: $0)) }
    }
  }

  /// Log that snapshots name without a BASE, the newest first.
  package func unfinishedLogs(_ snapshots: [Snapshot]) -> [UnfinishedLog] {
    var covered: Set<Ordinal> = []
    var found: [UnfinishedLog] = []
    let newestFirst = snapshots.sorted {
      ($0.timeline, $0.sequence) > ($1.timeline, $1.sequence)
    }
    for snapshot in newestFirst where snapshot.primary == nil {
      let shipped = ordinals(of: snapshot).filter {
        catalogue.timelines[$0.timeline]?.log[$0.ordinal]?.isEmpty == false
      }
      guard snapshot.detached != nil, !shipped.isSubset(of: covered) else { continue }
      covered.formUnion(shipped)
      let log = unfinishedLog(of: snapshot)
      if log.bytes > 0 || log.hasHole { found.append(log) }
    }
    return found
  }

  private func unfinishedLog(of snapshot: Snapshot) -> UnfinishedLog {
    var log = UnfinishedLog(snapshot: snapshot, bytes: 0, times: nil, hasHole: false)
    for segment in snapshot.detached?.files.flatMap(\.segments) ?? [] {
      let coverage = self.log(
        of: segment.timeline, ordinal: segment.ordinal, from: segment.from, limit: segment.to)
      log.bytes = log.bytes.addingSaturated(coverage.reached - segment.from)
      if coverage.objectsBehindHole > 0 || !coverage.isWhole {
        log.hasHole = true
      }
      guard let times = catalogue.timelines[segment.timeline]?.logTimes[segment.ordinal] else {
        continue
      }
      log.times =
        log.times.map {
          min($0.lowerBound, times.lowerBound)...max($0.upperBound, times.upperBound)
        } ?? times
    }
    return log
  }

  private struct Ordinal: Hashable {
    var timeline: TimelineNumber
    var ordinal: Int
  }

  private func ordinals(of snapshot: Snapshot) -> Set<Ordinal> {
    let files = (snapshot.chain?.files ?? []) + (snapshot.detached?.files ?? [])
    return Set(
      files.flatMap(\.segments).map { Ordinal(timeline: $0.timeline, ordinal: $0.ordinal) })
  }
}
