package import BackupFormat
package import BackupTypes

/// The snapshots of one timeline that can give the state at a time, according to names alone, without reading
/// log. The answer is one of them, and retention keeps them for each time that it promises.
///
/// For example, a timeline has snapshots every hour and no annotations. For 12:30 this is the newest snapshot
/// whose log has marks before and after that time. If no shipper ran from 12:00 to 13:00, these are the last
/// snapshot before 12:30 and the first one after it, whose BASE may be of 12:20.
struct Candidates {
  private let history: History
  private let timeline: TimelineNumber
  /// Those with a restore point.
  private let snapshots: [Int: Snapshot]
  /// The first and the last instant for which each one's chain is the one to cut.
  let windows: [Int: (from: Instant, to: Instant)]

  init(_ history: History, _ timeline: TimelineNumber, _ snapshots: [Int: Snapshot]) {
    self.history = history
    self.timeline = timeline
    self.snapshots = snapshots.filter { $0.value.primary != nil }
    let finder = PointFinder(history: history, timeline: timeline, snapshots: [:])
    windows = Candidates.limited(
      self.snapshots.compactMapValues { finder.window(of: $0) }, self.snapshots, history)
  }

  /// For this time after the beginning of a chain, annotations in the log before it may still say when its
  /// first commands were executed; in milliseconds.
  private static let settled: Int64 = 60_000

  private static func hasBase(_ snapshot: Snapshot, _ history: History) -> Bool {
    snapshot.primary == .aof
      && snapshot.chain?.base.map { history.isUsable($0.generation) } ?? false
  }

  /// Limits the window of a snapshot to the beginning of the chain that replaced its BASE.
  ///
  /// For example, snapshot 4 has BASE 1 with the files 1 and 2, and snapshot 5, after a rewrite, BASE 2 with
  /// file 2. The log of file 2 continues both. From the first mark of snapshot 5 on, that snapshot is used,
  /// and BASE 1 is needed only for times before it.
  private static func limited(
    _ windows: [Int: (from: Instant, to: Instant)], _ snapshots: [Int: Snapshot],
    _ history: History
  ) -> [Int: (from: Instant, to: Instant)] {
    var limited = windows
    /// Where the chains of later snapshots begin, by the first span of their first file.
    var begun: [LogPosition: Instant] = [:]
    for sequence in snapshots.keys.sorted(by: >) {
      guard let chain = snapshots[sequence]?.chain, snapshots[sequence]?.primary == .aof,
        let window = windows[sequence]
      else { continue }
      let next = chain.files.dropFirst().compactMap { $0.begin.flatMap { begun[$0] } }.min()
      if let next, next < window.to { limited[sequence]?.to = max(window.from, next) }
      if let position = chain.files.first?.begin, hasBase(snapshots[sequence]!, history) {
        begun[position] = window.from
      }
    }
    return limited
  }

  /// The candidates for a time, by sequence. Of snapshots that share the log at that time, it is the newest.
  func at(_ instant: Instant) -> Set<Int> {
    let finder = finder(around: instant)
    var found = Set(finder.inner(around: instant).map(\.snapshot.sequence))
    if let point = finder.last(notAfter: instant) { found.insert(point.snapshot.sequence) }
    return found.union(beginnings(at: instant))
  }

  /// Whether the timeline has a state not after the time, so that no earlier timeline is searched. That is
  /// shown by names of log objects, or by a chain that began before.
  func isCertain(at instant: Instant) -> Bool {
    finder(around: instant).last(notAfter: instant) != nil
      || snapshots.values.contains {
        instant.since($0.at) >= Candidates.settled && Candidates.hasBase($0, history)
      }
  }

  /// Whether its log continues past the second of the time, so that no later timeline is searched.
  func goesOn(past instant: Instant) -> Bool {
    windows.values.contains { $0.to.since(instant) >= 1000 }
  }

  /// The snapshots whose window contains the time, the last one that ends before it, and the first one that
  /// begins after it, whose first object may contain older marks.
  private func finder(around instant: Instant) -> PointFinder {
    let before = windows.values.filter { $0.to < instant }.map(\.to).max()
    let after = windows.values.filter { $0.from > instant }.map(\.from).min()
    let around = snapshots.filter { sequence, _ in
      guard let window = windows[sequence] else { return false }
      return (window.from <= instant && instant <= window.to) || window.to == before
        || window.from == after
    }
    return PointFinder(history: history, timeline: timeline, snapshots: around)
  }

  /// If no log continues over the whole second of a time, the state at that time may be the beginning of a
  /// chain: of one that was readable by then, or of the next one. A full copy has a time in whole seconds,
  /// and may be of any moment within that second. So if a chain begins in the second, the chain before it
  /// counts, too. Writes from a time when no shipper ran are in the log of a timeline that was claimed later.
  private func beginnings(at instant: Instant) -> [Int] {
    let isLater = history.claims[timeline].map { $0.claimedAt > instant } ?? false
    let isInside = windows.values.contains {
      $0.from <= instant && $0.to.since(instant) >= 1000
    }
    if isInside, !isLater { return [] }
    let begin = instant.advanced(byMilliseconds: -1000)
    let end = instant.advanced(byMilliseconds: 999)
    let within = snapshots.filter { begin < $0.value.at && $0.value.at <= end }.keys
    return within
      + [
        snapshots.filter { $0.value.at <= begin }.keys.max(),
        snapshots.filter { $0.value.at > end }.keys.min(),
      ].compactMap { $0 }
  }
}

extension History {
  /// The snapshots that a restore to `instant` may use: those of the timeline of that time; those of its
  /// parent, if it has no restore point itself; and those of the timelines that continued its log. For
  /// example, a shipper is killed at 23:59 and starts again at 00:05. The first object of the next timeline
  /// then has the writes from before midnight.
  func candidates(at instant: Instant, _ timelines: [TimelineNumber: Candidates]) -> Set<
    SnapshotKey
  > {
    let own = timeline(at: instant)
    var keys: Set<SnapshotKey> = []
    func add(_ number: TimelineNumber) {
      for sequence in timelines[number]?.at(instant) ?? [] {
        keys.insert(SnapshotKey(number, sequence))
      }
    }
    var number = own
    while let current = number {
      add(current)
      number = timelines[current]?.isCertain(at: instant) == true ? nil : claims[current]?.parent
    }
    var next = own.flatMap { successor(of: $0)?.timeline }
    while let current = next {
      add(current)
      if timelines[current]?.goesOn(past: instant) == true { break }
      next = successor(of: current)?.timeline
    }
    return keys
  }

  /// The same of snapshots that were read.
  package func candidates(at instant: Instant, _ snapshots: [TimelineNumber: [Int: Snapshot]])
    -> Set<SnapshotKey>
  {
    var timelines: [TimelineNumber: Candidates] = [:]
    for (number, read) in snapshots { timelines[number] = Candidates(self, number, read) }
    return candidates(at: instant, timelines)
  }
}

extension Snapshot.LogFile {
  /// Where the file's log begins; nil if none of it is known.
  fileprivate var begin: LogPosition? { segments.first.map { $0.position($0.from) } }
}

extension History {
  /// Whether a dump or BASE exists, and was not found damaged.
  fileprivate func isUsable(_ id: GenerationID) -> Bool {
    catalogue.generations[id]?.hasIndex == true && !catalogue.quarantined.contains(id)
  }
}
