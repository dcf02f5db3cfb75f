import BackupFormat
import BackupTypes
import HistoryLogic
import ObjectStorage

/// Reads what decides which objects may be deleted: a listing, every claim and snapshot, pins and records.
struct RetentionReader: Sendable {
  let repository: Repository
  let memory: SnapshotMemory
  /// Receives how many snapshots were read, of how many.
  var reading: @Sendable (UInt64, UInt64) -> Void = { _, _ in }

  private static let width = 8

  func basis(at now: Instant) async throws -> RetentionBasis {
    try await repository.withHistory(
      youngAfter: now.advanced(byMilliseconds: -RetentionPolicy.grace), deletes: true,
      { try await read($0, now) })
  }

  private func read(_ history: History, _ now: Instant) async throws -> RetentionBasis {
    let operations = history.catalogue.operations
    let pins = try await repository.pins(operations[.pins] ?? [])
    let records = try await repository.prunes(history.catalogue).records
    var basis = RetentionBasis(
      history: history, snapshots: [:], pins: pins.pins, unreadablePins: pins.unreadable,
      released: operations[.releases] ?? [], letGo: LetGo(records), records: records.map(\.id),
      now: now)
    let keys = history.claims.keys.sorted().flatMap { number in
      history.snapshots(of: number).map { SnapshotKey(number, $0) }
    }
    for (key, snapshot) in try await snapshots(keys, history) {
      if let snapshot { basis.snapshots[key] = snapshot } else { basis.foreign.insert(key) }
    }
    memory.forget(except: Set(keys))
    return basis
  }

  private func snapshots(_ keys: [SnapshotKey], _ history: History) async throws
    -> [SnapshotKey: Snapshot?]
  {
    var found: [SnapshotKey: Snapshot?] = [:]
    var unknown: [(SnapshotKey, Nonce)] = []
    let budget = SpanBudget()
    for key in keys {
      if let known = memory.snapshot(key) {
        try budget.take(known)
        found.updateValue(known, forKey: key)
      } else if let claim = history.claims[key.timeline] {
        unknown.append((key, claim.nonce))
      }
    }
    try await withThrowingTaskGroup(of: (SnapshotKey, Snapshot?).self) { group in
      var (next, running) = (0, 0)
      while next < unknown.count || running > 0 {
        if next < unknown.count, running < RetentionReader.width {
          let (key, nonce) = unknown[next]
          group.addTask { (key, try await snapshot(key, nonce)) }
          (next, running) = (next + 1, running + 1)
        } else if let (key, snapshot) = try await group.next() {
          running -= 1
          reading(UInt64(next - running), UInt64(unknown.count))
          try budget.take(snapshot)
          memory.note(snapshot, key)
          found.updateValue(snapshot, forKey: key)
        }
      }
    }
    return found
  }

  private func snapshot(_ key: SnapshotKey, _ nonce: Nonce) async throws
    -> Snapshot?
  {
    do {
      return try await repository.snapshot(key.timeline, key.sequence, nonce: nonce)
    } catch let error as LifeboatError where error.isDamage {
      let name = ObjectPath.snapshot(key.timeline, sequence: key.sequence).text
      throw LifeboatError(
        .corrupt, "nothing was deleted at \(repository.store.location): \(error.message)",
        cause: error.cause,
        hint: "recover \(name) from a copy; if there is none, delete it by hand, and "
          + "`lifeboat prune --repo \(repository.store.location) --confirm` declares it lost")
    }
  }
}
