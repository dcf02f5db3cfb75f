package import BackupFormat
package import BackupTypes
package import HistoryLogic

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
  package func snapshots(of timeline: TimelineNumber) async throws -> [Int: Snapshot] {
    try await withThrowingTaskGroup(of: (Int, Snapshot?).self) { group in
      var snapshots: [Int: Snapshot] = [:]
      var budget = SpanBudget()
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
  package func readableSnapshots(of timeline: TimelineNumber) async throws -> (
    read: [Int: Snapshot], damaged: [Int: LifeboatError]
  ) {
    do {
      return (try await snapshots(of: timeline), [:])
    } catch let error as LifeboatError where error.isDamage {
      // Damage is rare. If there is any, snapshots are read one by one.
      var (read, damaged): ([Int: Snapshot], [Int: LifeboatError]) = ([:], [:])
      var budget = SpanBudget()
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

  /// What a restore without a choice would give; nil if that would end at something damaged.
  func newestUnlessDamaged() async throws -> RestorePoint? {
    try await ask { try $0.newestUnlessDamaged() }
  }

  /// The time of the first remaining restore point; nil if there is none.
  package func firstPoint() async throws -> Instant? { try await ask { try $0.first() }?.instant }

  /// The marks inside a log object. If the object is missing or damaged, none of them can be restored; the
  /// restore points before it remain.
  package func marks(of name: ObjectPath) async throws -> [Mark] {
    guard case .log(let timeline, _, let span) = name else { return [] }
    do {
      guard
        let content = try await repository.content(name, kind: .log, limit: LogPayload.sizeMax)
      else { return [] }
      let payload = try LogPayload(decoding: content, span: span)
      return payload.nonce == history.claims[timeline]?.nonce ? payload.marks : []
    } catch let error as LifeboatError where error.code == .corrupt {
      return []
    }
  }
}

/// How many spans of log the snapshots of a timeline that are held at the same time may name. A writer that
/// restarts every minute for a day names 1,440 in each.
struct SpanBudget {
  static let spansMax = 1_000_000
  private var left = spansMax

  mutating func take(_ snapshot: Snapshot?) throws(LifeboatError) {
    guard let snapshot else { return }
    let files = (snapshot.chain?.files ?? []) + (snapshot.detached?.files ?? [])
    left -= files.reduce(files.count) { $0 + $1.segments.count }
    guard left < 0 else { return }
    throw LifeboatError(
      .corrupt,
      "the snapshots of timeline \(snapshot.timeline) name more than \(SpanBudget.spansMax) spans of log",
      cause:
        "no writer makes so many: somebody else wrote \(ObjectPath.snapshot(snapshot.timeline, sequence: snapshot.sequence).text)",
      hint:
        "`restore --point ID` needs only the snapshot of that point; find out who may write there")
  }
}
