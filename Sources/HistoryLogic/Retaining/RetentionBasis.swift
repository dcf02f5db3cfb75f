package import BackupFormat
package import BackupTypes

/// All facts that decide what may be deleted: a complete listing, the objects that the store has had for less
/// than a grace period, every claim, every snapshot, and the operations of people.
package struct RetentionBasis: Sendable {
  package var history: History
  /// Snapshots that exist for a reader, written by their timeline's own process.
  package var snapshots: [SnapshotKey: Snapshot]
  /// Listed snapshots of other processes: their purpose is unknown.
  package var foreign: Set<SnapshotKey>
  package var pins: [Pin]
  /// It is unknown what these pins keep. Nothing may be deleted until they are released.
  package var unreadablePins: [String]
  /// Which pins were released.
  package var released: Set<String>
  package var letGo: LetGo
  /// The ids of the records that `letGo` was made from.
  package var records: [String]
  /// By the store's clock.
  package var now: Instant

  package init(
    history: History, snapshots: [SnapshotKey: Snapshot], foreign: Set<SnapshotKey> = [],
    pins: [Pin] = [], unreadablePins: [String] = [], released: Set<String> = [],
    letGo: LetGo = LetGo(), records: [String] = [], now: Instant
  ) {
    self.history = history
    self.snapshots = snapshots
    self.foreign = foreign
    self.pins = pins
    self.unreadablePins = unreadablePins
    self.released = released
    self.letGo = letGo
    self.records = records
    self.now = now
  }

  /// The first pin in force whose content is unknown. A released one no longer counts, not even for a grace
  /// period.
  package var unknownPin: String? { unreadablePins.first { !released.contains($0) } }

  /// The policy is applied as of one grace period ago.
  package var asOf: Instant { now.advanced(byMilliseconds: -RetentionPolicy.grace) }

  /// The timelines' snapshots, each in order.
  var byTimeline: [TimelineNumber: [Int: Snapshot]] {
    var made: [TimelineNumber: [Int: Snapshot]] = [:]
    for (key, snapshot) in snapshots { made[key.timeline, default: [:]][key.sequence] = snapshot }
    return made
  }

  /// A sign that the listing is incomplete, or that something was lost; nil if there is none. If there is
  /// one, nothing may be deleted, since it is unknown what is needed. Claims are numbered without a gap, and
  /// so are the snapshots of each timeline, except those recorded as deleted.
  package func problem() -> String? {
    if let (path, other) = history.catalogue.contradicting.min(by: { $0.key.text < $1.key.text }) {
      return "\(path.text) and \(other.text) contradict each other: one of them is forged"
    }
    var expected = TimelineNumber.first
    for (number, _) in history.catalogue.timelines.sorted(by: { $0.key < $1.key })
    where history.claims[number] != nil {
      while expected < number, let next = expected.next {
        if let problem = gap(at: expected) { return problem }
        expected = next
      }
      expected = number.next ?? expected
      if let problem = problem(of: number) { return problem }
    }
    return history.unreadable.last { $0.timeline >= expected }.flatMap { gap(at: $0.timeline) }
  }

  /// If a writer has passed a timeline, and nothing was shipped under it, nothing of it is needed, whether
  /// its claim still exists or not. If something was shipped under it, it is unknown what that needs.
  private func gap(at number: TimelineNumber) -> String? {
    let unreadable = history.unreadable.first { $0.timeline == number }
    guard history.isPassed(number) else {
      return "the claim of timeline \(number) "
        + (unreadable == nil ? "is missing" : "can't be read, and no writer has skipped it yet")
    }
    guard let unreadable, unreadable.objects > 0 else { return nil }
    return
      "timeline \(number) has \(counted(unreadable.objects, "object")), and its claim can't be read"
  }

  private func problem(of timeline: TimelineNumber) -> String? {
    let present = history.snapshots(of: timeline)
    for sequence in present {
      let key = SnapshotKey(timeline, sequence)
      if snapshots[key] == nil, !foreign.contains(key) {
        return "snapshot \(sequence) of timeline \(timeline) was not read"
      }
    }
    return missing(of: timeline).first.map {
      "snapshot \($0.lowerBound) of timeline \(timeline) is missing"
    }
  }

  private func missing(of timeline: TimelineNumber) -> [ClosedRange<Int>] {
    let present = history.snapshots(of: timeline)
    let last = max(present.last ?? 0, history.end(of: timeline)?.snapshots ?? 0)
    return letGo.gaps(in: present, upTo: last, of: timeline)
  }

  /// The numbers of the snapshots that the listing lacks and that no record lists as deleted.
  package var missingSnapshots: [TimelineNumber: [ClosedRange<Int>]] {
    var found: [TimelineNumber: [ClosedRange<Int>]] = [:]
    for timeline in history.claims.keys {
      let missing = missing(of: timeline)
      if !missing.isEmpty { found[timeline] = missing }
    }
    return found
  }

  /// Counts these snapshots as deleted. Someone has said that they are lost, and the store has proved that
  /// they do not exist.
  package mutating func takeAsLost(_ missing: [TimelineNumber: [ClosedRange<Int>]]) {
    for (timeline, ranges) in missing { letGo.add(ranges, of: timeline) }
  }
}
