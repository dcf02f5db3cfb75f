package import BackupFormat
package import BackupTypes

/// What retention deleted according to the records of earlier prunes. None of it is a loss.
package struct LetGo: Sendable, Equatable {
  /// The numbers of snapshots, as ranges that do not touch.
  private var snapshots: [TimelineNumber: [ClosedRange<Int>]] = [:]
  package private(set) var dumps: Set<GenerationID> = []
  package private(set) var logs: Set<Prune.Log> = []
  package private(set) var generations: Set<GenerationID> = []
  /// The last run that announced that it would delete more than half.
  package private(set) var announced: Prune.Announcement?

  /// Two concurrent runs leave two records: both are valid.
  package init(_ records: [Prune] = []) {
    for record in records {
      for gone in record.gone where gone.from >= 1 && gone.from <= gone.to {
        snapshots[gone.timeline, default: []].append(gone.from...gone.to)
      }
      dumps.formUnion(record.dumps)
      logs.formUnion(record.logs)
      generations.formUnion(record.generations)
      if let one = record.announced, announced.map({ one.at > $0.at }) ?? true { announced = one }
    }
    snapshots = snapshots.mapValues(LetGo.merged)
  }

  package mutating func add(_ keys: some Sequence<SnapshotKey>) {
    for key in keys {
      snapshots[key.timeline, default: []].append(key.sequence...key.sequence)
    }
    snapshots = snapshots.mapValues(LetGo.merged)
  }

  package func has(_ timeline: TimelineNumber, _ sequence: Int) -> Bool {
    // A timeline that exists for long has a range for each kept day, a few dozen in all.
    snapshots[timeline]?.contains { $0.contains(sequence) } ?? false
  }

  package mutating func add(_ ranges: [ClosedRange<Int>], of timeline: TimelineNumber) {
    snapshots[timeline] = LetGo.merged((snapshots[timeline] ?? []) + ranges)
  }

  /// The first of `gaps`.
  package func gap(in present: [Int], upTo last: Int, of timeline: TimelineNumber) -> Int? {
    gaps(in: present, upTo: last, of: timeline).first?.lowerBound
  }

  /// The numbers from 1 to `last` that are neither in `present` (in ascending order) nor recorded as
  /// deleted, as ascending ranges.
  package func gaps(in present: [Int], upTo last: Int, of timeline: TimelineNumber)
    -> [ClosedRange<Int>]
  {
    var gaps: [ClosedRange<Int>] = []
    var next = 1
    for sequence in present + [last == .max ? last : last + 1] {
      if sequence > next {
        for range in snapshots[timeline] ?? []
        where range.upperBound >= next && range.lowerBound < sequence {
          if range.lowerBound > next { gaps.append(next...(range.lowerBound - 1)) }
          next = range.upperBound == .max ? .max : range.upperBound + 1
        }
        if next < sequence { gaps.append(next...(sequence - 1)) }
      }
      next = max(next, sequence == .max ? sequence : sequence + 1)
    }
    return gaps
  }

  package var gone: [Prune.Gone] {
    snapshots.sorted { $0.key < $1.key }.flatMap { timeline, ranges in
      ranges.map { Prune.Gone(timeline: timeline, from: $0.lowerBound, to: $0.upperBound) }
    }
  }

  private static func merged(_ ranges: [ClosedRange<Int>]) -> [ClosedRange<Int>] {
    var merged: [ClosedRange<Int>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, range.lowerBound - 1 <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
      } else {
        merged.append(range)
      }
    }
    return merged
  }
}

/// Names one snapshot.
package struct SnapshotKey: Hashable, Comparable, Sendable {
  package var timeline: TimelineNumber
  package var sequence: Int
  package init(_ timeline: TimelineNumber, _ sequence: Int) {
    self.timeline = timeline
    self.sequence = sequence
  }
  package static func < (a: SnapshotKey, b: SnapshotKey) -> Bool {
    (a.timeline, a.sequence) < (b.timeline, b.sequence)
  }
}

extension Snapshot {
  package var key: SnapshotKey { SnapshotKey(timeline, sequence) }
}
