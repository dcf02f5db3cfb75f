package import BackupFormat
package import BackupTypes

/// The deletions of a run of retention, in order.
///
/// Even if the run is interrupted, no object that is kept refers to a deleted one. Snapshots are deleted
/// before the objects that they refer to. The pieces of a generation are deleted before its index, since a
/// shipper may continue a generation without an index, but not one with an index.
package struct PrunePlan: Sendable, Equatable {
  /// A fold, and the objects that it has replaced.
  package struct Covered: Sendable, Equatable {
    package var timeline: TimelineNumber
    package var ordinal: Int
    package var fold: LogSpan
    package var parts: [LogSpan]
  }

  package private(set) var snapshots: [SnapshotKey] = []
  package private(set) var logs: [ObjectPath] = []
  package private(set) var pieces: [ObjectPath] = []
  package private(set) var indexes: [ObjectPath] = []
  /// Pins that keep nothing any more, releases without a pin, quarantines of deleted generations.
  package private(set) var operations: [ObjectPath] = []
  /// Deleted only if the fold proves to have the same bytes.
  package private(set) var covered: [Covered] = []
  /// The content of the prune record about the deletions.
  package private(set) var letGo: LetGo
  package private(set) var dumpsGone: [GenerationID] = []
  package private(set) var logsGone: [Prune.Log] = []
  package private(set) var generationsGone: [GenerationID] = []
  /// Restore points before and after.
  package private(set) var points = 0
  package private(set) var pointsLeft = 0
  /// Listed snapshots that do not exist for a reader, and how many of them are deleted.
  private var hidden = 0
  private var hiddenGone = 0
  /// The number of deleted log objects that no snapshot names that exists for a reader.
  private var hiddenLogGone = 0
  /// The first remaining restore point.
  package var firstLeft: Instant? { kept.first }
  /// What is kept although the policy would not keep it.
  package var held: [Retention.Held] { kept.held }

  private let basis: RetentionBasis
  private let kept: Retention.Kept

  package static func == (a: PrunePlan, b: PrunePlan) -> Bool { a.stages == b.stages }

  package init(_ basis: RetentionBasis, _ policy: RetentionPolicy) {
    self.basis = basis
    kept = Retention(basis, policy).kept()
    letGo = basis.letGo
    chooseSnapshots()
    let needs = needs()
    chooseLogs(needs)
    chooseGenerations(needs)
    chooseOperations(needs)
    chooseCovered(needs)
  }

  /// The stages of the deletion, in order. The objects of one stage may be deleted in any order.
  package var stages: [[ObjectPath]] {
    [
      snapshots.map { .snapshot($0.timeline, sequence: $0.sequence) }, logs, pieces, indexes,
      operations,
    ].filter { !$0.isEmpty }
  }
  package var isEmpty: Bool { stages.isEmpty && covered.isEmpty }

  /// Whether something is deleted that a reader would otherwise report as missing.
  package var changesWhatIsKnown: Bool {
    !(snapshots.isEmpty && logs.isEmpty && pieces.isEmpty && indexes.isEmpty)
  }

  /// Whether more than half of the restore points would be deleted. This has to be confirmed, or waits for a
  /// grace period. Restore points that a reader does not see count, too, since somebody may have hidden them.
  package var takesMost: Bool {
    let logObjects = basis.history.catalogue.timelines.values.reduce(0) { sum, timeline in
      sum + timeline.log.values.reduce(0) { $0 + $1.count }
    }
    return (points - pointsLeft + hiddenGone) * 2 > points + hidden
      || hiddenLogGone * 2 > logObjects
  }

  // MARK: Snapshots

  private mutating func chooseSnapshots() {
    let young = basis.history.catalogue.young
    points = basis.snapshots.values.count { $0.primary != nil }
    pointsLeft = points
    // Before the first restore point there is no history to keep or delete.
    guard points > 0 else { return }
    for (timeline, listed) in basis.history.catalogue.timelines where listed.hasClaim {
      for sequence in listed.snapshots {
        let key = SnapshotKey(timeline, sequence)
        if basis.snapshots[key] == nil, !basis.foreign.contains(key) { hidden += 1 }
        guard !kept.snapshots.contains(key),
          !young.contains(.snapshot(timeline, sequence: sequence))
        else { continue }
        snapshots.append(key)
        guard let snapshot = basis.snapshots[key] else {
          hiddenGone += 1
          continue
        }
        if snapshot.primary != nil { pointsLeft -= 1 }
      }
    }
    snapshots.sort()
    letGo.add(snapshots.filter { basis.snapshots[$0] != nil })
  }

  // MARK: What is needed

  private struct Needs {
    var logs: Set<Prune.Log> = []
    var generations: Set<GenerationID> = []
    /// Generations that are named by any snapshot that exists for a reader, whether it is kept or not.
    var named: Set<GenerationID> = []
    var namedLogs: Set<Prune.Log> = []
  }

  private func needs() -> Needs {
    var needs = Needs()
    var besideChain: [(key: SnapshotKey, dump: GenerationID)] = []
    for (key, snapshot) in basis.snapshots {
      let base = snapshot.chain?.base?.generation
      let dump = snapshot.dump?.generation
      needs.named.formUnion([base, dump].compactMap { $0 })
      let logs = snapshot.logs
      needs.namedLogs.formUnion(logs)
      guard kept.snapshots.contains(key) else { continue }
      if let base { needs.generations.insert(base) }
      needs.logs.formUnion(logs)
      guard let dump else { continue }
      // A reader that planned within the last grace period may use it.
      if snapshot.primary != .aof || kept.whole.contains(key) || snapshot.at > basis.asOf {
        needs.generations.insert(dump)
      } else {
        besideChain.append((key, dump))
      }
    }
    var last: [GenerationID] = []
    for (_, dump) in besideChain.sorted(by: { $0.key > $1.key }) where !last.contains(dump) {
      last.append(dump)
      if last.count == RetentionPolicy.dumpsBesideChain { break }
    }
    needs.generations.formUnion(last)
    return needs
  }

  // MARK: Data

  /// Chooses the logs that no kept snapshot needs. A log with a young object stays in this run, since a
  /// running shipper may have just sent the object. If snapshots named the log, it is recorded as pruned
  /// nevertheless. For example, a shipper folds the log of last week today, and then its snapshots are
  /// pruned: without the record `verify` would call that log lost.
  private mutating func chooseLogs(_ needs: Needs) {
    let catalogue = basis.history.catalogue
    guard points > 0 else { return }
    var forged: [Prune.Log: [ObjectPath]] = [:]
    for case .log(let timeline, let ordinal, let span) in catalogue.unusable.keys {
      forged[Prune.Log(timeline: timeline, ordinal: ordinal), default: []].append(
        .log(timeline, ordinal: ordinal, span))
    }
    for (timeline, listed) in catalogue.timelines where listed.hasClaim {
      for (ordinal, spans) in listed.log {
        let log = Prune.Log(timeline: timeline, ordinal: ordinal)
        guard !needs.logs.contains(log) else { continue }
        var names = spans.map { ObjectPath.log(timeline, ordinal: ordinal, $0) }
        names += forged[log] ?? []
        let isOld = listed.youngLog[ordinal] == nil
        if isOld {
          logs += names
          if !needs.namedLogs.contains(log), !basis.letGo.logs.contains(log) {
            hiddenLogGone += names.count
          }
        }
        let wasNamed = needs.namedLogs.contains(log) || basis.letGo.logs.contains(log)
        if isOld || wasNamed { logsGone.append(log) }
      }
    }
    logsGone.sort { ($0.timeline, $0.ordinal) < ($1.timeline, $1.ordinal) }
  }

  /// Chooses the generations to delete. A generation that no snapshot has named yet is kept as long as its
  /// writer may still be running: the holder of the highest claim, or the one before it. This does not apply
  /// if snapshots have named it before, or if it was left unfinished long ago.
  private mutating func chooseGenerations(_ needs: Needs) {
    let catalogue = basis.history.catalogue
    guard points > 0 else { return }
    let writers = basis.history.claims.values.sorted { $0.timeline > $1.timeline }.prefix(2)
    func isUnfinished(_ id: GenerationID, _ listed: Catalogue.Generation) -> Bool {
      guard writers.contains(where: { $0.nonce == id.nonce }) else { return false }
      guard !writers.contains(where: \.reusesForEver), let written = listed.written else {
        return true
      }
      return basis.now.since(written) <= RetentionPolicy.unfinished
    }
    for (id, listed) in catalogue.generations where !needs.generations.contains(id) {
      let wasNamed = needs.named.contains(id) || basis.letGo.generations.contains(id)
      guard wasNamed || !isUnfinished(id, listed) else { continue }
      let made = listed.pieces.flatMap { number, digests in
        digests.map { ObjectPath.piece(id, number: number, $0) }
      }
      let index = listed.hasIndex ? [ObjectPath.index(id)] : []
      guard catalogue.young.isDisjoint(with: made + index) else { continue }
      pieces += made
      indexes += index
      generationsGone.append(id)
    }
    generationsGone.sort { $0.description < $1.description }
    dumpsGone = basis.snapshots.filter { kept.snapshots.contains($0.key) }
      .compactMap { $0.value.primary == .aof ? $0.value.dump?.generation : nil }
      .filter { !needs.generations.contains($0) }
    dumpsGone = Set(dumpsGone).union(basis.letGo.dumps.intersection(needs.named))
      .subtracting(needs.generations.intersection(catalogue.complete))
      .sorted { $0.description < $1.description }
  }

  // MARK: The rest

  private mutating func chooseOperations(_ needs: Needs) {
    let catalogue = basis.history.catalogue
    let listed = catalogue.operations
    func isOld(_ path: ObjectPath) -> Bool { !catalogue.young.contains(path) }
    let over =
      basis.pins.filter { !basis.isInForce($0) }.map(\.id)
      + basis.unreadablePins.filter { basis.released.contains($0) }
    operations += over.map { .operation(.pins, id: $0) }.filter(isOld)
    // A release stays one run longer than its pin, which must not come back.
    operations += (listed[.releases] ?? []).subtracting(listed[.pins] ?? [])
      .map { .operation(.releases, id: $0) }.filter(isOld)
    // A copy may have a snapshot, and nothing of the damaged generation that it names.
    operations += catalogue.quarantined
      .filter { catalogue.generations[$0] == nil && !needs.named.contains($0) }
      .map { .operation(.quarantines, id: $0.description) }.filter(isOld)
    operations.sort { $0.text < $1.text }
  }

  /// Chooses objects that folds replaced, in logs that are kept. A shipper deletes them itself, unless it was
  /// stopped before that, or may not delete.
  private mutating func chooseCovered(_ needs: Needs) {
    let timelines = basis.history.catalogue.timelines
    for log in needs.logs.sorted(by: { ($0.timeline, $0.ordinal) < ($1.timeline, $1.ordinal) }) {
      let end = basis.history.end(of: log.timeline).map { end in
        end.ordinals.first { $0.ordinal == log.ordinal }?.offset ?? 0
      }
      let all = timelines[log.timeline]?.log[log.ordinal] ?? []
      guard !all.followEachOther else { continue }
      let young = Set(timelines[log.timeline]?.youngLog[log.ordinal] ?? [])
      let spans = LogRun.sorted(
        all.filter { span in end.map { span.to <= $0 } ?? true && !young.contains(span) })
      var fold: LogSpan?
      var parts: [LogSpan] = []
      func close() -> Covered? {
        guard let fold, !parts.isEmpty else { return nil }
        return Covered(timeline: log.timeline, ordinal: log.ordinal, fold: fold, parts: parts)
      }
      for span in spans {
        if let fold, span.to <= fold.to {
          // Two objects with the same bytes and different times stay: it is unknown which name is right.
          if span.count < fold.count { parts.append(span) }
        } else {
          if let made = close() { covered.append(made) }
          (fold, parts) = (span.mark == nil ? nil : span, [])
        }
      }
      if let made = close() { covered.append(made) }
    }
  }
}

extension Snapshot {
  /// The logs that it names.
  var logs: Set<Prune.Log> {
    let files = (chain?.files ?? []) + (detached?.files ?? [])
    return Set(
      files.flatMap(\.segments).map { Prune.Log(timeline: $0.timeline, ordinal: $0.ordinal) })
  }
}
