import BackupFormat
import BackupLogic
import BackupTypes

/// Restore points that need log that was durable and has disappeared.
extension PointChooser {
  struct Lost {
    var loss: LogLoss
    /// A snapshot whose chain contains the loss.
    var snapshot: Snapshot
  }

  /// The state at a time. A state that needs lost log does not count, and neither does a time of which no
  /// log was shipped.
  func state(at: Instant, _ selection: PointSelection) async throws -> RestorePoint {
    let timeline = selection.timeline ?? reader.history.timeline(at: at)
    let message = "the state at \(at) needs log that is lost"
    let point: RestorePoint
    do {
      point = try await known(at: at, selection)
    } catch let error as LifeboatError where error.code == .noBackup {
      // A log without a full copy before it has no state at all if its beginning is lost.
      if let lost = try await lost(of: timeline, from: nil, until: at) {
        throw try await lostError(message, lost)
      }
      throw error
    }
    guard isBefore(point, at) else { return try only(point, at: at) }
    let losses = LossFinder(
      reader.history, snapshots: try await reader.readableSnapshots(of: point.timeline).read.values)
    if let loss = losses.loss(rightBehind: point) {
      throw try await lostError(message, Lost(loss: loss, snapshot: point.snapshot))
    }
    if let lost = try await lost(of: timeline, from: point, until: at), isWithoutState(lost) {
      throw try await lostError(message, lost)
    }
    return try only(point, at: at)
  }

  private func isWithoutState(_ lost: Lost) -> Bool {
    let finder = PointFinder(
      history: reader.history, timeline: lost.snapshot.timeline, snapshots: [:])
    return lost.snapshot.chain?.base == nil && finder.isWithoutLog(lost.snapshot)
  }

  /// Reports a position that was durable and has disappeared as a loss, not as a mistake of the caller.
  /// - Parameter snapshots: show how far the log was durable.
  func checkWhole(
    _ snapshot: Snapshot, at position: LogPosition?, _ id: String, by snapshots: [Snapshot]
  ) async throws {
    guard snapshot.primary == .aof, let chain = snapshot.chain else { return }
    let losses = LossFinder(reader.history, snapshots: snapshots)
    guard let loss = losses.loss(of: snapshot) else { return }
    if let position {
      guard chain.order(of: position) > chain.order(of: loss.position),
        let segment = chain.files.flatMap(\.segments).first(where: {
          $0.timeline == position.timeline && $0.ordinal == position.ordinal
        }), position.offset <= end(of: segment, in: snapshot, losses)
      else { return }
    }
    throw try await lostError(
      "the restore point \(printable(id)) needs log that is lost",
      Lost(loss: loss, snapshot: snapshot))
  }

  /// How far a span was durable, by the records and by the names of its remaining objects.
  private func end(
    of segment: Snapshot.Segment, in snapshot: Snapshot, _ losses: LossFinder
  ) -> UInt64 {
    let spans = reader.history.catalogue.timelines[segment.timeline]?.log[segment.ordinal] ?? []
    let known = losses.durableEnd(of: segment, in: snapshot)
    return segment.to ?? spans.reduce(known) { max($0, $1.to) }
  }

  /// The newest loss that began by `at`, in the snapshots after those of `point`.
  func lost(of timeline: TimelineNumber?, from point: RestorePoint?, until at: Instant) async throws
    -> Lost?
  {
    var number = timeline
    while let current = number, current >= point?.timeline ?? current {
      let snapshots = try await reader.readableSnapshots(of: current).read
      let losses = LossFinder(reader.history, snapshots: snapshots.values)
      for (sequence, snapshot) in snapshots.sorted(by: { $0.key > $1.key })
      where snapshot.primary == .aof {
        if let point, (current, sequence) <= (point.timeline, point.snapshot.sequence) { break }
        if let loss = losses.loss(of: snapshot), loss.since <= at {
          return Lost(loss: loss, snapshot: snapshot)
        }
      }
      number = reader.history.claims[current]?.parent
    }
    return nil
  }

  /// What is lost of the point's own chain.
  func lost(in point: RestorePoint) -> Lost? {
    let losses = LossFinder(reader.history, snapshots: [point.snapshot])
    return losses.loss(of: point.snapshot).map { Lost(loss: $0, snapshot: point.snapshot) }
  }

  // MARK: What there is

  /// Extends an error with what the planner can't know: the complete states around the one that it refused.
  func explained(_ error: LifeboatError, _ point: RestorePoint) async throws
    -> LifeboatError
  {
    let losses = LossFinder(reader.history, snapshots: [point.snapshot])
    guard let loss = losses.loss(rightBehind: point), error.missingObject == loss.object else {
      return error
    }
    return try await lostError(error.message, Lost(loss: loss, snapshot: point.snapshot))
  }

  /// Names what is missing, and the complete states on both sides.
  func lostError(_ message: String, _ lost: Lost) async throws -> LifeboatError {
    let loss = lost.loss
    var ways: [String] = []
    if let before = try await lastWhole(before: lost) {
      ways.append("the last whole state before it is --point \(before.id) of \(before.instant)")
    }
    if let behind = try await firstWhole(behind: lost) {
      ways.append("the first whole one after it is --point \(behind.id) of \(behind.instant)")
    }
    ways.append("`lifeboat verify` names what is missing")
    var error = LifeboatError(
      .corrupt, message,
      cause: "\(loss.what) were durable and are missing: what was written from "
        + "\(loss.since) to \(loss.until) is lost",
      hint: ways.joined(separator: "; "))
    error.missingObject = loss.object
    return error
  }

  /// What is left of the chain itself, if that holds anything; otherwise the newest state of an earlier
  /// chain.
  private func lastWhole(before lost: Lost) async throws -> RestorePoint? {
    var finder = try await readableFinder(of: lost.snapshot.timeline)
    if let point = finder.newest(of: lost.snapshot), try await holdsKeys(lost.snapshot, finder) {
      return point
    }
    while true {
      for (sequence, snapshot) in finder.snapshots.sorted(by: { $0.key > $1.key })
      where finder.timeline < lost.snapshot.timeline || sequence < lost.snapshot.sequence {
        if snapshot.primary == .aof, snapshot.chain.map({ lost.loss.isIn($0) }) ?? true { continue }
        if let point = finder.newest(of: snapshot) { return point }
      }
      guard let parent = reader.history.claims[finder.timeline]?.parent else { return nil }
      finder = try await readableFinder(of: parent)
    }
  }

  private func holdsKeys(_ snapshot: Snapshot, _ finder: PointFinder) async throws -> Bool {
    guard finder.isWithoutLog(snapshot) else { return true }
    guard let base = snapshot.chain?.base?.generation,
      let index = try? await reader.repository.index(base)
    else { return false }
    return !(index.dataset?.isEmpty ?? (index.size == 0))
  }

  private func firstWhole(behind lost: Lost) async throws -> RestorePoint? {
    var number: TimelineNumber? = lost.snapshot.timeline
    while let timeline = number {
      let finder = try await readableFinder(of: timeline)
      for (sequence, snapshot) in finder.snapshots.sorted(by: { $0.key < $1.key })
      where timeline > lost.snapshot.timeline || sequence > lost.snapshot.sequence {
        if let point = finder.firstState(of: snapshot, behind: lost.loss) { return point }
      }
      number =
        reader.history.claims.values.filter { $0.parent == timeline }
        .min { $0.timeline < $1.timeline }?.timeline
    }
    return nil
  }

  private func readableFinder(of timeline: TimelineNumber) async throws -> PointFinder {
    PointFinder(
      history: reader.history, timeline: timeline,
      snapshots: try await reader.readableSnapshots(of: timeline).read)
  }
}

extension LifeboatError {
  /// For another listing. A snapshot that was written during a listing can name log that was created after
  /// its page was read. An object counts as missing if the next listing lacks it, too.
  init(missing object: String) {
    self.init(.corrupt, "the log has a hole: \(object)... is missing")
    missingObject = object
  }
}
