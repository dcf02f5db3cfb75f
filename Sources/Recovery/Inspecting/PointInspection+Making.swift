import BackupFormat
package import BackupTypes
package import HistoryLogic
package import ObjectStorage
package import RepositoryAccess

extension PointInspection {
  /// - Parameter progress: receives how much of the full copy and the log after it was read.
  package static func make(
    _ store: any ObjectStore, keys: KeySource = .none, question: Question,
    options: Options = Options(), now: Instant,
    progress: @escaping @Sendable (_ done: UInt64, _ of: UInt64) -> Void = { _, _ in }
  ) async throws -> PointInspection {
    guard let repository = try await Repository.open(store, keys: keys) else {
      throw LifeboatError(
        .noBackup, "there is no backup at \(store.location)", hint: "check the bucket and prefix")
    }
    return try await repository.withHistory { history in
      try await make(
        HistoryReader(repository: repository, history: history), question, options, now: now,
        progress: progress)
    }
  }

  private static func make(
    _ reader: HistoryReader, _ question: Question, _ options: Options, now: Instant,
    progress: @escaping @Sendable (_ done: UInt64, _ of: UInt64) -> Void
  ) async throws -> PointInspection {
    let store = reader.repository.store
    let command = reader.repository.command(options.url)
    guard
      let point = try await reader.point(question, now: now, url: options.url, progress: progress)
    else {
      throw LifeboatError(.noBackup, "there is no restore point at \(store.location) yet")
    }
    let plan = try await reader.plan(point, .init())
    let indexes = try await reader.indexes(of: point.snapshot)
    let content = try await PointReading(
      reader: reader, point: point, indexes: indexes, copyBytesMax: options.copyBytesMax,
      progress: progress
    ).run()
    let drops = try await drops(before: point, reader, content.search, command, progress)
    let shrunk = try await CopyComparison(reader: reader, point: point).drops(
      known: drops.map(\.at))
    return PointInspection(
      point: point.id, instant: point.instant.description, primary: point.primary.rawValue,
      loadsWithAppendonlyYes: plan.loadsWithYes?.description,
      loadsWithAppendonlyNo: plan.loadsWithNo?.description,
      files: plan.files.map { .init(path: $0.path, bytes: $0.size) },
      dataset: content.dataset ?? plan.dataset,
      logBytesBehindDataset: plan.files.filter { $0.role == .increment || $0.role == .legacy }
        .reduce(0) { $0 + $1.size },
      keys: content.keys, keysUnread: content.unread, ray: content.ray,
      shrunk: shrunk.map { Shrinkage($0, restore: command.line("--point \($0.before.point)")) },
      destructive: drops.map(\.drop), warnings: plan.warnings + content.warnings)
  }

  /// Found in the log and, for older events, in the snapshots that were written because of them.
  private static func drops(
    before point: RestorePoint, _ reader: HistoryReader, _ own: LogSearch?,
    _ command: RestoreCommand, _ progress: @escaping HistoryReader.Progress
  ) async throws -> [(at: Instant, drop: Destructive)] {
    var drops: [(at: Instant, drop: Destructive)] = []
    var known = Answering.Evidence()
    if let own { known.searches[point.snapshot.key] = own }
    let found = try await reader.ask(known: known, progress: progress) {
      try $0.drops(before: point)
    }
    for one in found { drops.append((one.occurrence.at, Destructive(one, command))) }
    let places = Set(found.map(\.occurrence.before))
    for snapshot in try await reader.snapshots(of: point.timeline).values {
      guard let drop = snapshot.destructive, !places.contains(drop.before) else { continue }
      let id = RestorePoint(
        snapshot: snapshot, primary: .aof, cut: drop.before, instant: drop.at
      ).id
      drops.append(
        (
          drop.at,
          Destructive(
            command: printable(drop.command), at: drop.at.description, before: id, isRow: false,
            restore: command.line("--point \(id)"))
        ))
    }
    return drops.sorted { $0.at < $1.at }
  }
}

extension PointInspection.Destructive {
  fileprivate init(_ found: Answering.Found, _ command: RestoreCommand) {
    let one = found.occurrence
    self.init(
      command: one.command, at: one.at.description, before: found.point.id,
      keysBefore: one.keysBefore, keysRemoved: one.keysRemoved, elementsBefore: one.entriesBefore,
      elementsRemoved: one.entriesRemoved, isRow: one.isRow,
      restore: command.line("--point \(found.point.id)"))
  }
}

extension PointInspection.Shrinkage {
  fileprivate init(_ drop: CopyDrops.Drop, restore: String) {
    self.init(
      from: drop.before.at.description, to: drop.after.at.description,
      keysBefore: drop.before.keys, keysAfter: drop.after.keys,
      elementsBefore: drop.before.entries, elementsAfter: drop.after.entries, restore: restore)
  }
}
