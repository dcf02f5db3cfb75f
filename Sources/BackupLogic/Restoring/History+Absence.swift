package import BackupFormat
package import BackupTypes

/// Log with commands whose BASE never became durable: what a first ship leaves that was cut off. It is no
/// restore point, for nobody knows what it goes on from.
package struct UnfinishedLog: Sendable, Equatable {
  /// A first ship takes minutes. What spans more than this is more than one that was cut off: it is said, and
  /// never passed over.
  package static let spanMax: Int64 = 3_600_000

  /// The last one that names its files.
  package var snapshot: Snapshot
  package var bytes: UInt64
  /// When its first and its last object came to be, by the store; where the store does not say, by the marks
  /// in their names. Nil: neither says.
  package var times: ClosedRange<Instant>?
  /// Objects lie behind a hole: some that were durable are gone.
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
  /// The same with the log that it only names as a chain without BASE; nil when it names none.
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
  /// Whether the complete listing and the records prove that there has never been a restore point, but for
  /// log that `unfinishedLogs` tells of. All of it has to be there:
  /// - no index of a generation, and no snapshot that carries a point;
  /// - every snapshot that a claim knew of, and every one that is listed, is among `snapshots`: a foreign one
  ///   may stand where a point was;
  /// - every ordinal of which a log object exists is named by a snapshot: none is sent before that;
  /// - the claim of every piece of a generation, where there is no other.
  ///
  /// A shipper that is killed before its first generation is durable, and started again, claims again
  /// and names its predecessor; its `end` says how many snapshots that had. All of them have to be there.
  package func provesNoRestorePoint(snapshots: [Snapshot]) -> Bool {
    guard catalogue.generations.values.allSatisfy({ !$0.hasIndex }),
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
      if coverage.beyondHole > 0 || segment.to.map({ coverage.reached < $0 }) ?? false {
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
