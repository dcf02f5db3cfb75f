package import BackupFormat
package import BackupTypes
package import HistoryLogic
import Synchronization

/// Reads the few records of a history that a question needs.
package struct HistoryReader: Sendable {
  package let repository: Repository
  package let history: History
  /// Called for each snapshot that was read.
  private let didRead: @Sendable () -> Void

  package init(
    repository: Repository, history: History, didRead: @escaping @Sendable () -> Void = {}
  ) {
    self.repository = repository
    self.history = history
    self.didRead = didRead
  }

  /// The last snapshot of `timeline`; nil if it has none. A foreign snapshot does not count.
  package func lastSnapshot(of timeline: TimelineNumber) async throws -> Snapshot? {
    for sequence in history.snapshots(of: timeline).reversed() {
      if let snapshot = try await own(timeline, sequence) { return snapshot }
    }
    return nil
  }

  /// A snapshot that was requested by its number.
  package func snapshot(_ timeline: TimelineNumber, _ sequence: Int) async throws -> Snapshot {
    guard let snapshot = try await own(timeline, sequence) else {
      throw LifeboatError(
        .corrupt, "snapshot \(sequence) of timeline \(timeline) was written by another process",
        cause: "two shippers wrote to one timeline: the store allows overwriting objects",
        hint: "`lifeboat list` shows the restore points")
    }
    return snapshot
  }

  /// Nil for a snapshot of another process, which does not count.
  func own(_ timeline: TimelineNumber, _ sequence: Int) async throws -> Snapshot? {
    guard let claim = history.claims[timeline] else {
      throw LifeboatError(.noBackup, "there is no timeline \(timeline)")
    }
    defer { didRead() }
    return try await repository.snapshot(timeline, sequence, nonce: claim.nonce)
  }

  /// Every snapshot of `timeline`, by sequence. Several are read at a time.
  /// - Parameter budget: of all snapshots that the caller holds at the same time.
  package func snapshots(of timeline: TimelineNumber, within budget: SpanBudget = SpanBudget())
    async throws -> [Int: Snapshot]
  {
    try await withThrowingTaskGroup(of: (Int, Snapshot?).self) { group in
      var snapshots: [Int: Snapshot] = [:]
      for (count, sequence) in history.snapshots(of: timeline).enumerated() {
        if count >= Repository.readWidth, let (read, snapshot) = try await group.next() {
          try budget.take(snapshot)
          snapshots[read] = snapshot
        }
        group.addTask { (sequence, try await own(timeline, sequence)) }
      }
      for try await (read, snapshot) in group {
        try budget.take(snapshot)
        snapshots[read] = snapshot
      }
      return snapshots
    }
  }

  /// The readable snapshots of `timeline`, by sequence, and what is wrong with the others.
  package func readableSnapshots(
    of timeline: TimelineNumber, within budget: SpanBudget = SpanBudget()
  ) async throws -> (read: [Int: Snapshot], damaged: [Int: LifeboatError]) {
    let left = budget.left
    do {
      return (try await snapshots(of: timeline, within: budget), [:])
    } catch let error as LifeboatError where error.isDamage {
      // Damage is rare. If there is any, snapshots are read one by one.
      var (read, damaged): ([Int: Snapshot], [Int: LifeboatError]) = ([:], [:])
      budget.left = left
      for sequence in history.snapshots(of: timeline) {
        do {
          if let snapshot = try await own(timeline, sequence) {
            try budget.take(snapshot)
            read[sequence] = snapshot
          }
        } catch let error as LifeboatError where error.isDamage { damaged[sequence] = error }
      }
      return (read, damaged)
    }
  }

  /// The newest restore point of the repository, read from its end; nil if it has none.
  package func newestPoint() async throws -> RestorePoint? { try await ask { try $0.newest() } }

  /// The point that a restore without a choice would give; nil if something damaged prevents that.
  func newestUnlessDamaged() async throws -> RestorePoint? {
    try await ask { try $0.newestUnlessDamaged() }
  }

  /// The time of the first remaining restore point; nil if there is none.
  package func firstPoint() async throws -> Instant? { try await ask { try $0.first() }?.instant }
}

/// Limits the number of spans of log in the snapshots that a reader holds at the same time, over all
/// timelines. For example, if a writer restarts every minute for a day, each snapshot has 1,440 spans.
///
/// A span takes 40 bytes, so all of them take at most 16 MiB of the 64 MiB of a reader.
package final class SpanBudget: Sendable {
  static let spansMax = (16 << 20) / MemoryLayout<Snapshot.Segment>.stride
  private let state = Mutex(spansMax)

  package init() {}

  var left: Int {
    get { state.withLock { $0 } }
    set { state.withLock { $0 = newValue } }
  }

  func take(_ snapshot: Snapshot?) throws(LifeboatError) {
    guard let snapshot else { return }
    let files = (snapshot.chain?.files ?? []) + (snapshot.detached?.files ?? [])
    let spans = files.reduce(files.count) { $0 + $1.segments.count }
    let left = state.withLock { left in
      left -= spans
      return left
    }
    guard left < 0 else { return }
    throw LifeboatError(
      .corrupt,
      "the snapshots to be read name more than \(SpanBudget.spansMax) spans of log",
      cause:
        "the last is \(ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence).text): "
        + "a writer makes so many only if it was restarted thousands of times without a rewrite of the AOF",
      hint:
        "`restore --point ID` needs only the snapshot of that point; if no shipper was restarted so often, "
        + "find out who may write there")
  }
}
